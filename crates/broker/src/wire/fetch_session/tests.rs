//! Which sessions there are, and what each of them leaves out.

use super::*;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::protocol::StrBytes;

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn request(session_id: i32, session_epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let part = |(partition, offset): &(i32, i64)| {
        FetchPartition::default().with_partition(*partition).with_fetch_offset(*offset)
    };
    let partitions = partitions.iter().map(part).collect();
    FetchRequest::default()
        .with_session_id(session_id)
        .with_session_epoch(session_epoch)
        .with_topics(vec![FetchTopic::default().with_topic(name("t")).with_partitions(partitions)])
}

fn data(high_watermark: i64, records: &'static str) -> PartitionData {
    PartitionData::default()
        .with_high_watermark(high_watermark)
        .with_records(Some(Bytes::from_static(records.as_bytes())))
}

/// Sends a request whose partitions are answered alike; the session's id and the partitions that the client is told of.
fn exchange(
    sessions: &mut FetchSessions,
    request: &FetchRequest,
    answer: &PartitionData,
    now: Instant,
) -> Result<(i32, Vec<i32>), ResponseError> {
    let (fetching, wanted) = sessions.begin(request, false, now)?;
    let mut answers = wanted.into_iter().map(|wanted| (wanted, answer.clone())).collect();
    let id = sessions.end(fetching, &mut answers, now);
    Ok((id, answers.iter().map(|(wanted, _)| wanted.at.partition).collect()))
}

fn sized(count: usize) -> Vec<(i32, i64)> {
    (0..).map(|partition| (partition, 0)).take(count).collect()
}

#[test]
fn partitions_that_were_served_come_last() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, told) = exchange(&mut sessions, &request(0, 0, &sized(3)), &data(0, ""), now).unwrap();
    assert_eq!(told, [0, 1, 2]);
    let (fetching, wanted) = sessions.begin(&request(id, 1, &[]), false, now).unwrap();
    let answer = |wanted: Wanted| {
        let records = if wanted.at.partition == 0 { "records" } else { "" };
        (wanted, data(0, records))
    };
    let mut answers = wanted.into_iter().map(answer).collect();
    assert_eq!(sessions.end(fetching, &mut answers, now), id);
    assert_eq!(answers.len(), 1);
    let (_, wanted) = sessions.begin(&request(id, 2, &[]), false, now).unwrap();
    assert_eq!(wanted.iter().map(|wanted| wanted.at.partition).collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn a_request_changes_what_is_fetched_of_a_partition() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, _) = exchange(&mut sessions, &request(0, 0, &sized(2)), &data(0, ""), now).unwrap();
    let (_, wanted) = sessions.begin(&request(id, 1, &[(1, 9), (5, 7)]), false, now).unwrap();
    let places: Vec<_> = wanted.iter().map(|wanted| (wanted.at.partition, wanted.offset)).collect();
    assert_eq!(places, [(0, 0), (1, 9), (5, 7)]);
}

#[test]
fn what_changed_is_told_and_an_error_until_it_is_over() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, _) = exchange(&mut sessions, &request(0, 0, &sized(1)), &data(5, ""), now).unwrap();
    let failed = data(-1, "").with_error_code(ResponseError::KafkaStorageError.code());
    for (epoch, answer, told) in [
        (1, data(5, ""), false),
        (2, data(6, ""), true),
        (3, data(6, ""), false),
        (4, data(6, "").with_log_start_offset(2), true),
        (5, failed.clone(), true),
        (6, failed, true),
        (7, data(6, "").with_log_start_offset(2), true),
        (8, data(6, "").with_log_start_offset(2), false),
        (9, data(6, "records").with_log_start_offset(2), true),
    ] {
        let (_, parts) = exchange(&mut sessions, &request(id, epoch, &[]), &answer, now).unwrap();
        assert_eq!(!parts.is_empty(), told, "epoch {epoch}");
    }
}

#[test]
fn epochs_count_and_never_become_zero() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, _) = exchange(&mut sessions, &request(0, 0, &sized(1)), &data(0, ""), now).unwrap();
    sessions.by_id.get_mut(&id).unwrap().epoch = i32::MAX;
    assert!(exchange(&mut sessions, &request(id, i32::MAX, &[]), &data(0, ""), now).is_ok());
    let late = exchange(&mut sessions, &request(id, i32::MAX, &[]), &data(0, ""), now);
    assert_eq!(late, Err(ResponseError::InvalidFetchSessionEpoch));
    assert!(exchange(&mut sessions, &request(id, 1, &[]), &data(0, ""), now).is_ok());
}

#[test]
fn names_and_ids_do_not_mix_in_a_session() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, _) = exchange(&mut sessions, &request(0, 0, &sized(1)), &data(0, ""), now).unwrap();
    let mixed = sessions.begin(&request(id, 1, &[]), true, now);
    assert_eq!(mixed.map(drop), Err(ResponseError::FetchSessionTopicIdError));
}

#[test]
fn a_session_of_which_nothing_is_left_ends() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let (id, _) = exchange(&mut sessions, &request(0, 0, &sized(1)), &data(0, ""), now).unwrap();
    let forgotten = kafka_protocol::messages::fetch_request::ForgottenTopic::default()
        .with_topic(name("t"))
        .with_partitions(vec![0]);
    let last = request(id, 1, &[]).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(exchange(&mut sessions, &last, &data(0, ""), now), Ok((NO_SESSION, vec![])));
    assert_eq!((sessions.by_id.len(), sessions.partitions), (0, 0));
}

#[test]
fn the_number_of_sessions_is_bounded_and_old_ones_give_way() {
    let (mut sessions, began) = (FetchSessions::new(7), Instant::now());
    let full = |count| request(0, 0, &sized(count));
    let mut ids = Vec::new();
    for _ in 0..limits::FETCH_SESSIONS {
        ids.push(exchange(&mut sessions, &full(2), &data(0, ""), began).unwrap().0);
    }
    assert_eq!(exchange(&mut sessions, &full(2), &data(0, ""), began).unwrap().0, NO_SESSION);
    // All but the first are used again later; the first one is the one that goes.
    let later = began + EVICTION_AGE;
    for id in &ids[1..] {
        exchange(&mut sessions, &request(*id, 1, &[]), &data(0, ""), later).unwrap();
    }
    let now = later + Duration::from_secs(1);
    assert_ne!(exchange(&mut sessions, &full(2), &data(0, ""), now).unwrap().0, NO_SESSION);
    let first = exchange(&mut sessions, &request(ids[0], 1, &[]), &data(0, ""), now);
    assert_eq!(first, Err(ResponseError::FetchSessionIdNotFound));
    // The others are in use: a session of their size gets no place, a larger one does.
    assert_eq!(exchange(&mut sessions, &full(2), &data(0, ""), now).unwrap().0, NO_SESSION);
    assert_ne!(exchange(&mut sessions, &full(3), &data(0, ""), now).unwrap().0, NO_SESSION);
    assert_eq!(sessions.by_id.len(), limits::FETCH_SESSIONS);
    let counted: usize = sessions.by_id.values().map(|session| session.turns.len()).sum();
    assert_eq!(sessions.partitions, counted);
}

#[test]
fn the_partitions_of_all_sessions_are_bounded() {
    let (mut sessions, now) = (FetchSessions::new(0), Instant::now());
    let most = sized(limits::FETCH_SESSION_PARTITIONS);
    let (id, _) = exchange(&mut sessions, &request(0, 0, &most), &data(0, ""), now).unwrap();
    assert_ne!(id, NO_SESSION);
    let (one_more, _) = exchange(&mut sessions, &request(0, 0, &sized(1)), &data(0, ""), now).unwrap();
    assert_eq!(one_more, NO_SESSION);
    // One that grows too large goes on without a session.
    let grown = exchange(&mut sessions, &request(id, 1, &[(-1, 0)]), &data(0, ""), now).unwrap();
    assert_eq!((grown.0, grown.1.len()), (NO_SESSION, most.len() + 1));
    assert_eq!(sessions.partitions, 0);
}
