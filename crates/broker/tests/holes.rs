//! Offsets that hold nothing: a failing disk or compaction took what was there. Readers get past them.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use millstream_bus::{Acks, Bus, BusError, CommittedOffset, FetchLimit, Isolation, Reader, TopicSpec};
use millstream_log::{Operation, SimDisk};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, records};

/// Polls until nothing comes; what the records say.
async fn everything(reader: &mut dyn Reader) -> Vec<String> {
    let at_once = FetchLimit { wait_max: Duration::ZERO, ..FetchLimit::default() };
    let mut found = Vec::new();
    loop {
        let fetched = reader.poll(at_once).await.unwrap();
        if fetched.is_empty() {
            return found;
        }
        found.extend(fetched.into_iter().flat_map(|part| part.records).map(support::text));
    }
}

#[tokio::test]
async fn a_reader_gets_past_offsets_that_were_lost_with_a_failing_disk() {
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        get_past_what_was_lost(isolation).await;
    }
}

async fn get_past_what_was_lost(isolation: Isolation) {
    let disk = SimDisk::new(1);
    let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
    let mut producer = bus.transactional("id").await.unwrap();
    disk.fail(Operation::Sync, "topics/t/0", 1);
    let lost = bus.append(&at("t", 0), records(["lost"]), Acks::All).await;
    assert!(matches!(lost, Err(BusError::Unavailable { .. })), "{lost:?}");
    log.maintain();
    let mut reader = support::reader(&bus, &at("t", 0), isolation).await;
    assert_eq!(everything(&mut *reader).await, ["a"]);
    // Nothing is left to read, so the reader stands at the end, although nothing has the last offsets.
    let range = bus.offsets(&at("t", 0)).await.unwrap();
    assert!(range.stable > 1, "{range:?}");
    assert_eq!(reader.positions(), [(at("t", 0), range.stable)]);
    // The first record behind the hole belongs to an open transaction: committed readers stop before it.
    let mut behind = support::reader(&bus, &at("t", 0), isolation).await;
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["b"])).await.unwrap();
    let open: &[&str] = if isolation == Isolation::ReadCommitted { &["a"] } else { &["a", "b"] };
    assert_eq!(everything(&mut *behind).await, open);
    transaction.commit().await.unwrap();
    assert_eq!(
        [open, &everything(&mut *behind).await.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        ["a", "b"]
    );
    assert_eq!(everything(&mut *reader).await, ["b"]);
}

#[tokio::test]
async fn a_reader_of_what_was_lost_neither_starts_again_nor_commits_it() {
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        while !wait_behind_what_was_lost(isolation).await {}
    }
}

/// False where the engine's own maintenance was faster than the failure: then nothing was lost.
async fn wait_behind_what_was_lost(isolation: Isolation) -> bool {
    let disk = SimDisk::new(1);
    let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
    bus.append(&at("t", 0), records(["lost"]), Acks::Leader).await.unwrap();
    let mut reader = support::reader(&bus, &at("t", 0), isolation).await;
    assert_eq!(everything(&mut *reader).await, ["a", "lost"]);
    let read = reader.positions()[0].1;
    disk.fail(Operation::Sync, "topics/t/0", 1);
    bus.append(&at("t", 0), records(["lost"]), Acks::All).await.unwrap_err();
    let partition = log.partition("t", 0).unwrap();
    if partition.range().durable == read {
        return false;
    }
    // The reader is ahead of what is left. It waits there.
    assert_eq!(everything(&mut *reader).await, [""; 0]);
    let commit = async |offset| bus.commit("g", &[(at("t", 0), CommittedOffset::new(offset))]).await;
    let refused = commit(read).await;
    assert!(matches!(refused, Err(BusError::Unavailable { .. })), "what it read is lost: {refused:?}");
    log.maintain();
    assert!(matches!(commit(read).await, Err(BusError::Unavailable { .. })), "and stays so");
    commit(1).await.unwrap();
    bus.append(&at("t", 0), records(["b"]), Acks::All).await.unwrap();
    assert_eq!(everything(&mut *reader).await, ["b"]);
    commit(reader.positions()[0].1).await.unwrap();
    true
}
