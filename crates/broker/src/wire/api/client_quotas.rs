//! DescribeClientQuotas (KIP-546): quotas are settings of the broker, so that none is ever stored for a user or a client.

use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

pub(crate) async fn describe_client_quotas(
    call: &Call,
    _request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let response = DescribeClientQuotasResponse::default();
    if !call.may(Operation::DescribeConfigs, Resource::Cluster) {
        let response = response.with_error_code(ResponseError::ClusterAuthorizationFailed.code());
        return response.with_entries(None).with_error_message(Some("Cluster authorization failed.".into()));
    }
    response.with_entries(Some(Vec::new()))
}
