//! What holds for appending.

use super::{BASE, append, at, read, record, records, topic, unique};
use crate::{Acks, Bus, BusError, Header, Isolation, Position, Record, StartOffset, TopicPartition, limits};
use bytes::Bytes;
use millstream_model::Timestamp;
use std::sync::Arc;

async fn reader(bus: &Arc<dyn Bus>, of: &TopicPartition) -> Box<dyn crate::Reader> {
    let from = vec![Position::new(of.clone(), StartOffset::Earliest)];
    bus.reader(from, Isolation::ReadCommitted).await.unwrap()
}

pub async fn records_come_back_in_the_order_appended(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    append(&bus, &to, &["a", "b"]).await;
    append(&bus, &to, &["c"]).await;
    append(&bus, &to, &["d", "e", "f"]).await;
    let seen = read(&mut *reader(&bus, &to).await, 6).await;
    assert_eq!(seen.of(&to), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(seen.next[&to], 6);
}

pub async fn keys_values_headers_and_times_come_back(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let bytes = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let mut headed =
        Record::new(bytes(b"key"), bytes(b"value"), Timestamp(BASE + 1)).header("a", "1").header("a", "2");
    headed.headers.push(Header { name: "none".into(), value: None });
    headed.headers.push(Header { name: "empty".into(), value: Some(Bytes::new()) });
    let all = vec![
        headed,
        Record::new(bytes(b"tombstone"), None, Timestamp(BASE + 3)),
        Record::new(None, bytes(b""), Timestamp(BASE + 2)),
        Record::new(bytes(&[0, 255, 128]), bytes(&[0xff; 300]), Timestamp(BASE)),
        Record::new(None, None, Timestamp(BASE + 5)),
    ];
    bus.append(&to, all.clone(), Acks::All).await.unwrap();
    let mut reader = reader(&bus, &to).await;
    let mut back = Vec::new();
    while back.len() < all.len() {
        for part in reader.poll(super::limit()).await.unwrap() {
            assert_eq!(part.partition, to);
            back.extend(part.records.into_iter().map(|received| received.record));
        }
    }
    assert_eq!(back, all);
}

pub async fn an_append_returns_the_offset_of_its_first_record(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    assert_eq!(append(&bus, &to, &["a", "b", "c"]).await, 0);
    assert_eq!(append(&bus, &to, &["d"]).await, 3);
    assert_eq!(append(&bus, &to, &["e"]).await, 4);
}

pub async fn an_empty_batch_is_refused(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    assert!(matches!(bus.append(&to, Vec::new(), Acks::All).await, Err(BusError::Invalid(_))));
    assert_eq!(bus.offsets(&to).await.unwrap().latest, 0);
}

pub async fn a_record_over_the_size_limit_is_refused(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let huge = Record::new(None, Some(vec![7; limits::RECORD_BYTES + 1].into()), Timestamp(BASE));
    let refused = bus.append(&to, vec![record("small"), huge], Acks::All).await;
    assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");
    assert_eq!(bus.offsets(&to).await.unwrap().latest, 0, "nothing of the batch is there");
}

pub async fn a_record_with_too_many_headers_is_refused(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let headed = |count: usize| (0..count).fold(record("x"), |record, _| record.header("h", "v"));
    bus.append(&to, vec![headed(limits::RECORD_HEADERS)], Acks::All).await.unwrap();
    let refused = bus.append(&to, vec![headed(limits::RECORD_HEADERS + 1)], Acks::All).await;
    assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");
    let seen = read(&mut *reader(&bus, &to).await, 1).await;
    assert_eq!(seen.of(&to), ["x"], "as many as may be come back");
}

pub async fn a_large_record_comes_back_whole(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let large = "x".repeat(limits::RECORD_BYTES - 2_000);
    append(&bus, &to, &["before", &large, "after"]).await;
    let seen = read(&mut *reader(&bus, &to).await, 3).await;
    assert!(seen.of(&to) == ["before", &large, "after"], "the large record came back changed");
}

pub async fn a_large_batch_comes_back_whole(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let texts: Vec<String> = (0..20_000).map(|n| format!("{n:0>200}")).collect();
    assert_eq!(bus.append(&to, records(&texts), Acks::All).await.unwrap(), 0);
    let seen = read(&mut *reader(&bus, &to).await, texts.len()).await;
    assert!(seen.of(&to) == texts, "the batch came back changed");
}

pub async fn what_does_not_exist_is_named(bus: Arc<dyn Bus>) {
    let nowhere = at(&unique("nowhere"), 0);
    let beyond = at(&topic(&bus, 2).await, 2);
    let negative = at(&beyond.topic, -1);
    for missing in [&nowhere, &beyond, &negative] {
        let named = |error: BusError| match error {
            BusError::UnknownTopic(name) => assert!(name.starts_with(&*missing.topic), "{name}"),
            other => panic!("{other:?}"),
        };
        named(bus.append(missing, records(["a"]), Acks::All).await.unwrap_err());
        named(bus.offsets(missing).await.unwrap_err());
        named(bus.offset_for_time(missing, Timestamp(0)).await.unwrap_err());
        named(bus.delete_records(missing, 0).await.unwrap_err());
        let from = vec![Position::new(missing.clone(), StartOffset::Earliest)];
        named(bus.reader(from, Isolation::ReadCommitted).await.err().unwrap());
    }
}

pub async fn appends_with_either_acknowledgement_are_readable(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    for (text, acks) in [("a", Acks::Leader), ("b", Acks::All), ("c", Acks::Leader), ("d", Acks::Leader)] {
        bus.append(&to, records([text]), acks).await.unwrap();
    }
    let seen = read(&mut *reader(&bus, &to).await, 4).await;
    assert_eq!(seen.of(&to), ["a", "b", "c", "d"]);
}

pub async fn concurrent_batches_stay_whole_and_in_order(bus: Arc<dyn Bus>) {
    const WRITERS: usize = 8;
    const BATCHES: usize = 20;
    const RECORDS: usize = 7;
    let to = at(&topic(&bus, 1).await, 0);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (bus, to) = (Arc::clone(&bus), to.clone());
            tokio::spawn(async move {
                let mut firsts = Vec::new();
                for batch in 0..BATCHES {
                    let texts = (0..RECORDS).map(|n| format!("{writer}/{batch}/{n}"));
                    firsts.push(bus.append(&to, records(texts), Acks::All).await.unwrap());
                }
                firsts
            })
        })
        .collect();
    let mut firsts = Vec::new();
    for writer in writers {
        let own = writer.await.unwrap();
        assert!(own.is_sorted(), "a writer's batches are in its order");
        firsts.push(own);
    }
    let seen = read(&mut *reader(&bus, &to).await, WRITERS * BATCHES * RECORDS).await;
    let texts = seen.of(&to);
    for (writer, own) in firsts.iter().enumerate() {
        for (batch, first) in own.iter().enumerate() {
            for n in 0..RECORDS {
                let offset = usize::try_from(*first).unwrap() + n;
                assert_eq!(texts[offset], format!("{writer}/{batch}/{n}"));
            }
        }
    }
}

pub async fn many_partitions_are_kept_apart(bus: Arc<dyn Bus>) {
    const PARTITIONS: i32 = 48;
    let name = topic(&bus, PARTITIONS).await;
    for partition in 0..PARTITIONS {
        let texts: Vec<String> = (0..=partition).map(|n| format!("{partition}/{n}")).collect();
        let to = at(&name, partition);
        assert_eq!(bus.append(&to, records(&texts), Acks::Leader).await.unwrap(), 0);
    }
    let from = (0..PARTITIONS).map(|partition| Position::new(at(&name, partition), StartOffset::Earliest));
    let mut reader = bus.reader(from.collect(), Isolation::ReadCommitted).await.unwrap();
    let total: i32 = (1..=PARTITIONS).sum();
    let seen = read(&mut *reader, usize::try_from(total).unwrap()).await;
    for partition in 0..PARTITIONS {
        let expected: Vec<String> = (0..=partition).map(|n| format!("{partition}/{n}")).collect();
        assert_eq!(seen.of(&at(&name, partition)), expected);
    }
}
