//! InitProducerId: who a producer is, and that older ones of its transactional id are not it any more.

use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

pub(crate) async fn init_producer_id(call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let response = match init(call, &request).await {
        Ok((id, epoch)) => {
            InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch)
        }
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    };
    response.with_ongoing_txn_producer_id(ProducerId(-1)).with_ongoing_txn_producer_epoch(-1)
}

async fn init(call: &Call, request: &InitProducerIdRequest) -> Result<(i64, i16), ResponseError> {
    let transactions = &call.broker.inner.transactions;
    match &request.transactional_id {
        None => {
            if !call.may(Operation::IdempotentWrite, Resource::Cluster) {
                return Err(ResponseError::ClusterAuthorizationFailed);
            }
            transactions.idempotent_producer().await.map_err(|error| place::bus_code(&error))
        }
        Some(id) => {
            if !call.may(Operation::Write, Resource::TransactionalId(id)) {
                return Err(ResponseError::TransactionalIdAuthorizationFailed);
            }
            Err(ResponseError::CoordinatorNotAvailable)
        }
    }
}
