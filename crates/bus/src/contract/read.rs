//! What holds for reading.

use super::{BASE, append, at, limit, read, read_nothing, topic};
use crate::{
    Acks, Bus, BusError, FetchLimit, Isolation, Position, Reader, Record, StartOffset, TopicPartition,
};
use bytes::Bytes;
use millstream_model::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

async fn reader(bus: &Arc<dyn Bus>, of: &TopicPartition, start: StartOffset) -> Box<dyn Reader> {
    bus.reader(vec![Position::new(of.clone(), start)], Isolation::ReadCommitted).await.unwrap()
}

pub async fn a_reader_starts_where_it_was_told(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    append(&bus, &of, &["a", "b", "c"]).await;
    let mut earliest = reader(&bus, &of, StartOffset::Earliest).await;
    let mut second = reader(&bus, &of, StartOffset::Offset(1)).await;
    let mut end = reader(&bus, &of, StartOffset::Offset(3)).await;
    let mut latest = reader(&bus, &of, StartOffset::Latest).await;
    assert_eq!(latest.positions(), [(of.clone(), 3)], "the end is fixed when the reader is opened");
    append(&bus, &of, &["d"]).await;
    assert_eq!(read(&mut *earliest, 4).await.of(&of), ["a", "b", "c", "d"]);
    assert_eq!(read(&mut *second, 3).await.of(&of), ["b", "c", "d"]);
    assert_eq!(read(&mut *end, 1).await.of(&of), ["d"]);
    assert_eq!(read(&mut *latest, 1).await.of(&of), ["d"]);
    assert_eq!(earliest.positions(), [(of, 4)]);
}

pub async fn the_first_record_at_or_after_a_time_is_found(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    assert_eq!(bus.offset_for_time(&of, Timestamp(BASE)).await.unwrap(), None, "nothing is there yet");
    for ms in [10, 20, 20, 40] {
        let record = Record::new(None, Some(Bytes::from_static(b"x")), Timestamp(BASE + ms));
        bus.append(&of, vec![record], Acks::All).await.unwrap();
    }
    let batch = [50, 60, 70].map(|ms| Record::new(None, None, Timestamp(BASE + ms)));
    bus.append(&of, batch.to_vec(), Acks::All).await.unwrap();
    for (ms, offset) in [
        (0, Some(0)),
        (10, Some(0)),
        (11, Some(1)),
        (20, Some(1)),
        (21, Some(3)),
        (41, Some(4)),
        (55, Some(5)),
        (70, Some(6)),
        (71, None),
    ] {
        assert_eq!(bus.offset_for_time(&of, Timestamp(BASE + ms)).await.unwrap(), offset, "{ms} ms");
    }
}

pub async fn a_waiting_poll_wakes_on_an_append(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    let mut reader = reader(&bus, &of, StartOffset::Earliest).await;
    let long = FetchLimit { wait_max: Duration::from_mins(10), ..FetchLimit::default() };
    let waiting = tokio::spawn(async move { reader.poll(long).await });
    tokio::task::yield_now().await;
    append(&bus, &of, &["a"]).await;
    let fetched = waiting.await.unwrap().unwrap();
    assert_eq!(fetched.len(), 1);
    assert_eq!(super::text(&fetched[0].records[0]), "a");
}

pub async fn a_poll_of_nothing_returns_empty_after_its_wait(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    append(&bus, &of, &["a"]).await;
    let mut reader = reader(&bus, &of, StartOffset::Latest).await;
    assert_eq!(reader.poll(limit()).await.unwrap(), []);
    let mut of_nothing = bus.reader(Vec::new(), Isolation::ReadCommitted).await.unwrap();
    assert_eq!(of_nothing.poll(limit()).await.unwrap(), []);
}

pub async fn a_cancelled_poll_loses_nothing(bus: Arc<dyn Bus>) {
    const RECORDS: usize = 300;
    let of = at(&topic(&bus, 1).await, 0);
    let mut reader = reader(&bus, &of, StartOffset::Earliest).await;
    let writer = {
        let (bus, of) = (Arc::clone(&bus), of.clone());
        tokio::spawn(async move {
            for n in 0..RECORDS {
                append(&bus, &of, &[&n.to_string()]).await;
            }
        })
    };
    let mut seen = super::Seen::default();
    let mut patience_us = 0;
    while seen.records < RECORDS {
        patience_us = (patience_us + 37) % 2_000;
        let poll = reader.poll(FetchLimit { records_max: 5, ..limit() });
        if let Ok(fetched) = timeout(Duration::from_micros(patience_us), poll).await {
            seen.take(fetched.unwrap());
        }
    }
    writer.await.unwrap();
    let expected: Vec<String> = (0..RECORDS).map(|n| n.to_string()).collect();
    assert_eq!(seen.of(&of), expected);
}

pub async fn a_poll_stops_near_its_limits(bus: Arc<dyn Bus>) {
    const RECORDS: usize = 400;
    let of = at(&topic(&bus, 1).await, 0);
    for n in 0..RECORDS {
        bus.append(&of, super::records([format!("{n:0>500}")]), Acks::Leader).await.unwrap();
    }
    for small in [FetchLimit { records_max: 20, ..limit() }, FetchLimit { bytes_max: 10_000, ..limit() }] {
        let mut reader = reader(&bus, &of, StartOffset::Earliest).await;
        let mut seen = super::Seen::default();
        while seen.records < RECORDS {
            let before = seen.records;
            seen.take(reader.poll(small).await.unwrap());
            assert!(seen.records - before < RECORDS / 2, "{} at once", seen.records - before);
        }
        assert_eq!(seen.records, RECORDS);
    }
}

pub async fn one_reader_reads_several_partitions(bus: Arc<dyn Bus>) {
    let (one, two) = (topic(&bus, 2).await, topic(&bus, 1).await);
    let parts = [at(&one, 0), at(&one, 1), at(&two, 0)];
    let from = parts.iter().map(|of| Position::new(of.clone(), StartOffset::Earliest)).collect();
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    append(&bus, &parts[0], &["a", "b"]).await;
    append(&bus, &parts[2], &["c"]).await;
    let seen = read(&mut *reader, 3).await;
    assert_eq!(seen.of(&parts[0]), ["a", "b"]);
    assert_eq!(seen.of(&parts[1]), [""; 0]);
    assert_eq!(seen.of(&parts[2]), ["c"]);
    append(&bus, &parts[1], &["d"]).await;
    assert_eq!(read(&mut *reader, 1).await.of(&parts[1]), ["d"]);
}

pub async fn seek_moves_one_partition_only(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 2).await;
    let parts = [at(&name, 0), at(&name, 1)];
    for of in &parts {
        append(&bus, of, &["a", "b", "c"]).await;
    }
    let from = parts.iter().map(|of| Position::new(of.clone(), StartOffset::Earliest)).collect();
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    read(&mut *reader, 6).await;
    reader.seek(&parts[1], 1).await.unwrap();
    let seen = read(&mut *reader, 2).await;
    assert_eq!(seen.of(&parts[1]), ["b", "c"]);
    read_nothing(&mut *reader).await;
    let mut positions = reader.positions();
    positions.sort();
    assert_eq!(positions, [(parts[0].clone(), 3), (parts[1].clone(), 3)]);
}

pub async fn a_partition_that_is_not_read_cannot_be_sought(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 2).await;
    let mut reader = reader(&bus, &at(&name, 0), StartOffset::Earliest).await;
    assert!(matches!(reader.seek(&at(&name, 1), 0).await, Err(BusError::Invalid(_))));
}

/// Polls until there is an error, and returns it.
async fn poll_error(reader: &mut dyn Reader) -> BusError {
    loop {
        match reader.poll(limit()).await {
            Ok(fetched) => assert!(fetched.iter().all(|part| part.records.is_empty()), "{fetched:?}"),
            Err(error) => return error,
        }
    }
}

pub async fn a_position_out_of_range_is_reported_and_seek_mends_it(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    append(&bus, &of, &["a", "b", "c"]).await;
    append(&bus, &of, &["d"]).await;
    bus.delete_records(&of, 2).await.unwrap();
    for offset in [0, 77] {
        let mut reader = reader(&bus, &of, StartOffset::Offset(offset)).await;
        let expected = BusError::OffsetOutOfRange { at: of.clone(), offset, earliest: 2, latest: 4 };
        assert_eq!(poll_error(&mut *reader).await, expected);
        reader.seek(&of, 2).await.unwrap();
        assert_eq!(read(&mut *reader, 2).await.of(&of), ["c", "d"]);
    }
}

pub async fn one_lost_partition_does_not_cost_the_others(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 2).await;
    let (good, lost) = (at(&name, 0), at(&name, 1));
    append(&bus, &good, &["a"]).await;
    let from = vec![
        Position::new(lost.clone(), StartOffset::Offset(9)),
        Position::new(good.clone(), StartOffset::Earliest),
    ];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let (mut seen, mut errors) = (super::Seen::default(), 0);
    while seen.records < 1 || errors == 0 {
        match reader.poll(limit()).await {
            Ok(fetched) => seen.take(fetched),
            Err(BusError::OffsetOutOfRange { at, .. }) => {
                assert_eq!(at, lost);
                errors += 1;
                reader.seek(&lost, 0).await.unwrap();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.of(&good), ["a"]);
    append(&bus, &lost, &["b"]).await;
    assert_eq!(read(&mut *reader, 1).await.of(&lost), ["b"]);
}

pub async fn deleted_records_are_gone(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    append(&bus, &of, &["a", "b", "c", "d"]).await;
    bus.delete_records(&of, 3).await.unwrap();
    let range = bus.offsets(&of).await.unwrap();
    assert_eq!((range.earliest, range.latest), (3, 4));
    let mut from_start = reader(&bus, &of, StartOffset::Earliest).await;
    assert_eq!(read(&mut *from_start, 1).await.of(&of), ["d"]);
    bus.delete_records(&of, 1).await.unwrap();
    assert_eq!(bus.offsets(&of).await.unwrap().earliest, 3, "deleting again what is gone changes nothing");
    bus.delete_records(&of, 4).await.unwrap();
    let range = bus.offsets(&of).await.unwrap();
    assert_eq!((range.earliest, range.latest), (4, 4));
    assert_eq!(append(&bus, &of, &["e"]).await, 4);
    assert_eq!(read(&mut *from_start, 1).await.of(&of), ["e"]);
}

pub async fn deleting_past_the_end_is_refused(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    append(&bus, &of, &["a"]).await;
    let refused = bus.delete_records(&of, 2).await;
    assert!(matches!(refused, Err(BusError::OffsetOutOfRange { offset: 2, .. })), "{refused:?}");
    assert_eq!(bus.offsets(&of).await.unwrap().earliest, 0);
}

pub async fn a_partition_is_asked_for_once(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    let from = vec![Position::new(of.clone(), StartOffset::Earliest), Position::new(of, StartOffset::Latest)];
    assert!(matches!(bus.reader(from, Isolation::ReadCommitted).await, Err(BusError::Invalid(_))));
}

pub async fn the_range_tells_first_and_next_offset(bus: Arc<dyn Bus>) {
    let of = at(&topic(&bus, 1).await, 0);
    let range = bus.offsets(&of).await.unwrap();
    assert_eq!((range.earliest, range.stable, range.latest), (0, 0, 0));
    append(&bus, &of, &["a", "b"]).await;
    let range = bus.offsets(&of).await.unwrap();
    assert_eq!((range.earliest, range.stable, range.latest), (0, 2, 2));
}

pub async fn the_ranges_of_many_partitions_are_those_of_each(bus: Arc<dyn Bus>) {
    let (first, second) = (topic(&bus, 2).await, topic(&bus, 1).await);
    let all = [at(&first, 0), at("contract-nowhere", 0), at(&first, 1), at(&second, 0)];
    append(&bus, &all[0], &["a", "b", "c"]).await;
    append(&bus, &all[3], &["d"]).await;
    bus.delete_records(&all[0], 1).await.unwrap();
    // An open transaction: what is stable and what is next differ.
    let mut producer = bus.transactional(&format!("ranges-{second}")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&all[3], vec![Record::new(None, Some("e".into()), Timestamp(BASE))]).await.unwrap();
    let ranges = bus.offsets_of_all(&all).await.unwrap();
    for (of, range) in all.iter().zip(&ranges) {
        match bus.offsets(of).await {
            Err(BusError::UnknownTopic(_)) => assert_eq!(*range, None, "{of}"),
            each => assert_eq!(range.map(Ok), Some(each), "{of}"),
        }
    }
    assert_eq!(ranges.iter().flatten().count(), 3);
    assert_eq!(ranges[3].map(|range| (range.stable, range.latest)), Some((1, 2)));
    transaction.commit().await.unwrap();
    assert_eq!(bus.offsets_of_all(&[]).await, Ok(Vec::new()));
}
