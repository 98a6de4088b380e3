//! ApiVersions: which APIs are served in which versions, and which features are on (KIP-35, KIP-511, KIP-584).

use crate::wire::apis;
use crate::wire::call::Call;
use crate::wire::limits;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, ProduceRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use std::ops::RangeInclusive;

/// A feature: its name, the levels that could be, and the one that is.
type Feature = (&'static str, RangeInclusive<i16>, i16);

/// What a one-node Apache Kafka 4.3 says of the parts that are served here.
const FEATURES: [Feature; 3] =
    [("group.version", 0..=1, 1), ("metadata.version", 7..=30, 30), ("transaction.version", 0..=2, 2)];
/// Levels never change, so the first epoch is the last.
const FEATURES_EPOCH: i64 = 0;

/// The answer to a version that is not served: in version 0, which every client reads, and with the versions of this API alone.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let error_code = ResponseError::UnsupportedVersion.code();
    let keys = keys().filter(|key| key.api_key == ApiVersionsRequest::KEY).collect();
    ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(keys)
}

pub(crate) async fn api_versions(call: &Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let (name, version) = (&request.client_software_name, &request.client_software_version);
    if call.version >= 3 && !(is_software(name) && is_software(version)) {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    call.peer.software.get_or_init(|| (shown(name), shown(version)));
    let supported = FEATURES.iter().filter(|(_, levels, _)| {
        // Clients that ask in an older version take a level 0 for an error.
        call.version >= 4 || *levels.start() > 0
    });
    let supported = supported.map(|(name, levels, _)| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version(*levels.start())
            .with_max_version(*levels.end())
    });
    let finalized = FEATURES.iter().map(|(name, _, level)| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(keys().collect())
        .with_supported_features(supported.collect())
        .with_finalized_features_epoch(FEATURES_EPOCH)
        .with_finalized_features(finalized.collect())
}

/// As much of a name as is kept.
fn shown(name: &str) -> String {
    name.get(..limits::SOFTWARE_BYTES).unwrap_or(name).to_owned()
}

/// Letters and digits, with `-` and `.` between them.
fn is_software(name: &str) -> bool {
    let ends = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    ends && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn keys() -> impl Iterator<Item = ApiVersion> {
    apis::SERVED.iter().map(|(api_key, versions)| {
        // As Kafka 4 does: librdkafka compresses only where it sees the oldest versions, and never uses them (KIP-896).
        let min = if *api_key == ProduceRequest::KEY { 0 } else { *versions.start() };
        ApiVersion::default().with_api_key(*api_key).with_min_version(min).with_max_version(*versions.end())
    })
}
