//! ApiVersions: which APIs are served in which versions (KIP-35, KIP-511).

use crate::wire::apis;
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

/// The answer to a version that is not served, in version 0, which every client reads.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let error_code = ResponseError::UnsupportedVersion.code();
    ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(keys())
}

pub(crate) async fn api_versions(_call: &Call, _request: ApiVersionsRequest) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(keys())
}

fn keys() -> Vec<ApiVersion> {
    let version = |(api_key, versions): &(i16, std::ops::RangeInclusive<i16>)| {
        let (min, max) = (*versions.start(), *versions.end());
        ApiVersion::default().with_api_key(*api_key).with_min_version(min).with_max_version(max)
    };
    apis::SERVED.iter().map(version).collect()
}
