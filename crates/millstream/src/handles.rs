//! File handles: every connection and every partition takes one, and a process has only so many.

use millstream_plant::Plant;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeSet;

/// Handles that are kept for what every process needs: the runtime, the log's own files, directories while they are synced.
const OWN: u64 = 64;
/// One in so many is kept for the status page and its clients.
const SERVED: u64 = 8;

/// Raises the limit of open files to what the system lets us have: many systems start processes with 1,024, which is less than
/// a plant of a thousand devices needs. Gives the limit; `None` where there is none.
pub(crate) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// How many connections the devices of `plant` may have together, out of `limit` handles: the log and the status page come
/// first, so that what is read is kept and what is wrong is told.
pub(crate) fn for_devices(limit: u64, plant: &Plant) -> usize {
    let groups = plant.devices.iter().flat_map(|device| device.groups.iter().map(|group| &group.topic));
    let commands = plant.devices.iter().filter_map(|device| device.sink.as_ref().map(|sink| &sink.topic));
    let topics = groups.chain(commands).collect::<BTreeSet<_>>().len() as u64;
    let kept = OWN + limit / SERVED + topics;
    usize::try_from(limit.saturating_sub(kept).max(1)).unwrap_or(usize::MAX)
}
