//! Topics that a query needs, made where there are none.

use crate::SqlError;
use millstream_bus::{Bus, BusError, TopicSpec};

/// Makes a topic where there is none, and says how many partitions it has.
pub(super) async fn ensure(bus: &dyn Bus, spec: &TopicSpec) -> Result<i32, SqlError> {
    let describe = || async {
        match bus.describe_topic(&spec.name).await {
            Ok(topic) => Ok(Some(topic.partitions)),
            Err(BusError::UnknownTopic(_)) => Ok(None),
            Err(error) => Err(SqlError::bus(format!("looking at topic `{}`", spec.name))(error)),
        }
    };
    if let Some(partitions) = describe().await? {
        return Ok(partitions);
    }
    match bus.create_topic(spec).await {
        // Somebody else may have been faster.
        Ok(()) | Err(BusError::TopicExists(_)) => {}
        Err(error) => return Err(SqlError::bus(format!("making topic `{}`", spec.name))(error)),
    }
    Ok(describe().await?.unwrap_or(spec.partitions))
}
