//! DescribeLogDirs: how large partitions are on disk, and how much space there is.

use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

/// The version from which there is an error of the whole response.
const TOP_LEVEL_ERROR: i16 = 3;

pub(crate) async fn describe_log_dirs(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if !call.may(Operation::Describe, Resource::Cluster) {
        let response = DescribeLogDirsResponse::default();
        // Older clients find no directory at all.
        let code = if call.version >= TOP_LEVEL_ERROR {
            ResponseError::ClusterAuthorizationFailed.code()
        } else {
            0
        };
        return response.with_error_code(code);
    }
    let log = call.broker.inner.topics.log();
    let asked: Vec<(TopicName, Vec<i32>)> = if let Some(topics) = request.topics {
        topics.into_iter().map(|topic| (topic.topic, topic.partitions)).collect()
    } else {
        let topics = log.topics().into_iter().filter(|topic| !topics::is_hidden(&topic.name));
        let name = |name: String| TopicName(StrBytes::from_string(name));
        topics.map(|topic| (name(topic.name), (0..topic.partitions).collect())).collect()
    };
    let topics = asked.into_iter().filter_map(|(name, partitions)| {
        let sizes = partitions.into_iter().filter_map(|partition| {
            let replica = place::replica(call, &name, partition).ok()?;
            let size = i64::try_from(replica.log().size_bytes()).unwrap_or(i64::MAX);
            let partition = DescribeLogDirsPartition::default().with_partition_index(partition);
            Some(partition.with_partition_size(size))
        });
        let partitions: Vec<_> = sizes.collect();
        let is_there = !partitions.is_empty();
        is_there.then(|| DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions))
    });
    let dir = StrBytes::from_string(log.dir().display().to_string());
    let mut result = DescribeLogDirsResult::default().with_log_dir(dir).with_topics(topics.collect());
    match log.space() {
        Ok(space) => {
            result.total_bytes = i64::try_from(space.total_bytes).unwrap_or(i64::MAX);
            result.usable_bytes = i64::try_from(space.free_bytes).unwrap_or(i64::MAX);
        }
        Err(error) => result.error_code = place::log_code(&error).code(),
    }
    DescribeLogDirsResponse::default().with_results(vec![result])
}
