//! Transactions of clients: how they end, who may end them, and that no late, repeated or reordered request tears one.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeTransactionsRequest, ListTransactionsRequest, ProducerId,
};
use millstream_broker::{EmbeddedConfig, ProducerConfig, WireConfig};
use millstream_bus::Bus;
use std::time::{Duration, Instant};
use support::client::{Client, Server};
use support::data::{create, error};
use support::producers::{
    Key, add_group, add_partitions, commit_offset, committed, end, end_request, id, init, init_for,
    offset_of, send, sequenced, text,
};
use support::{at, records};

const ID: &str = "copier";
/// EndTxn as librdkafka and the Java clients before 4.0 speak it.
const OLD: i16 = 3;
/// EndTxn that gives a new epoch (KIP-890).
const NEW: i16 = 5;
/// Produce as the clients speak it that say before which partitions they write to.
const OLD_PRODUCE: i16 = 9;
/// Produce that adds partitions by itself.
const NEW_PRODUCE: i16 = 12;

async fn start() -> (Server, Client, Key) {
    let server = Server::start("wire_transactions").await;
    create(&server, "out", 2, &[]).await;
    create(&server, "in", 1, &[]).await;
    server.embedded.append(&at("in", 0), records(["1", "2", "3"]), millstream_bus::Acks::All).await.unwrap();
    let mut client = server.client().await;
    let key = init(&mut client, Some(ID), None).await.unwrap();
    (server, client, key)
}

/// Writes one record of the open transaction.
async fn write(client: &mut Client, version: i16, key: Key, to: (&str, i32), sequence: i32, what: &str) {
    let sent = send(client, version, Some(ID), to, sequenced(key, sequence, true, &[what])).await;
    sent.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Opens a transaction of the older protocol.
async fn begin(client: &mut Client, key: Key) {
    assert_eq!(add_partitions(client, ID, key, &[("out", &[0, 1])]).await, [None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_ones_are_seen_whole_and_aborted_ones_not_at_all() {
    let (server, mut client, key) = start().await;
    let mut sequence = [0, 0];
    for (number, commit) in [true, false, false, true, false, true].into_iter().enumerate() {
        begin(&mut client, key).await;
        for partition in [0, 1] {
            let what = format!("{number}");
            let next = &mut sequence[usize::try_from(partition).unwrap()];
            write(&mut client, OLD_PRODUCE, key, ("out", partition), *next, &what).await;
            *next += 1;
        }
        let range = server.embedded.offsets(&at("out", 0)).await.unwrap();
        assert_eq!(range.stable, range.latest - 1, "the open one holds readers of committed records up");
        end(&mut client, OLD, ID, key, commit).await.unwrap();
    }
    for partition in [0, 1] {
        assert_eq!(committed(&mut client, "out", partition).await, ["0", "3", "5"]);
        let in_process = support::committed_texts(&server.embedded, &at("out", partition)).await;
        assert_eq!(in_process, ["0", "3", "5"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transaction_of_version_two_has_an_epoch_of_its_own() {
    let (_server, mut client, mut key) = start().await;
    for (number, commit) in [true, false, true].into_iter().enumerate() {
        write(&mut client, NEW_PRODUCE, key, ("out", 0), 0, &format!("{number}a")).await;
        write(&mut client, NEW_PRODUCE, key, ("out", 0), 1, &format!("{number}b")).await;
        let next = end(&mut client, NEW, ID, key, commit).await.unwrap();
        assert_eq!(next, (key.0, key.1 + 1));
        // Asked again, it says the same; the other way it is refused.
        assert_eq!(end(&mut client, NEW, ID, key, commit).await, Ok(next));
        assert_eq!(end(&mut client, NEW, ID, key, !commit).await, Err(ResponseError::InvalidTxnState));
        key = next;
    }
    assert_eq!(committed(&mut client, "out", 0).await, ["0a", "0b", "2a", "2b"]);
    // An abort of nothing gives a new epoch too, a commit of nothing is refused.
    assert_eq!(end(&mut client, NEW, ID, key, true).await, Err(ResponseError::InvalidTxnState));
    let next = end(&mut client, NEW, ID, key, false).await.unwrap();
    assert_eq!(next, (key.0, key.1 + 1));
    let late = send(&mut client, NEW_PRODUCE, Some(ID), ("out", 0), sequenced(key, 0, true, &["late"])).await;
    assert_eq!(late, Err(ResponseError::InvalidProducerEpoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_refused_outside_their_transaction() {
    let (_server, mut client, key) = start().await;
    let batch = |sequence| sequenced(key, sequence, true, &["x"]);
    let to = ("out", 0);
    assert_eq!(
        send(&mut client, OLD_PRODUCE, Some(ID), to, batch(0)).await,
        Err(ResponseError::InvalidTxnState)
    );
    assert_eq!(send(&mut client, 11, Some(ID), to, batch(0)).await, Err(ResponseError::TransactionAbortable));
    assert_eq!(add_partitions(&mut client, ID, key, &[("out", &[1])]).await, [None]);
    assert_eq!(
        send(&mut client, OLD_PRODUCE, Some(ID), to, batch(0)).await,
        Err(ResponseError::InvalidTxnState)
    );
    write(&mut client, OLD_PRODUCE, key, ("out", 1), 0, "taken").await;
    let other = sequenced((key.0 + 1, key.1), 0, true, &["x"]);
    assert_eq!(
        send(&mut client, OLD_PRODUCE, Some(ID), ("out", 1), other).await,
        Err(ResponseError::InvalidProducerIdMapping)
    );
    let plain = sequenced(key, 1, false, &["x"]);
    assert_eq!(
        send(&mut client, OLD_PRODUCE, None, ("out", 1), plain).await,
        Err(ResponseError::InvalidTxnState)
    );
    end(&mut client, OLD, ID, key, true).await.unwrap();
    assert_eq!(
        send(&mut client, OLD_PRODUCE, Some(ID), ("out", 1), sequenced(key, 1, true, &["x"])).await,
        Err(ResponseError::InvalidTxnState)
    );
    assert_eq!(committed(&mut client, "out", 1).await, ["taken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_partitions_are_added_or_none() {
    let (_server, mut client, key) = start().await;
    let topics: [(&str, &[i32]); 3] = [("out", &[0]), ("none", &[0]), ("__consumer_offsets", &[0])];
    let codes = add_partitions(&mut client, ID, key, &topics).await;
    let expected = [
        ResponseError::OperationNotAttempted,
        ResponseError::UnknownTopicOrPartition,
        ResponseError::TopicAuthorizationFailed,
    ];
    assert_eq!(codes, expected.map(Some));
    assert_eq!(end(&mut client, OLD, ID, key, true).await, Err(ResponseError::InvalidTxnState));
    let stranger = (key.0 + 9, key.1);
    let refused = add_partitions(&mut client, ID, stranger, &[("out", &[0])]).await;
    assert_eq!(refused, [Some(ResponseError::InvalidProducerIdMapping)]);
    let unknown = add_partitions(&mut client, "nobody", key, &[("out", &[0])]).await;
    assert_eq!(unknown, [Some(ResponseError::InvalidProducerIdMapping)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_producer_fences_the_old_one_and_aborts_what_it_left_open() {
    let (server, mut old, key) = start().await;
    begin(&mut old, key).await;
    write(&mut old, OLD_PRODUCE, key, ("out", 0), 0, "left open").await;
    let mut new = server.client().await;
    let newer = init(&mut new, Some(ID), None).await.unwrap();
    assert_eq!(newer.0, key.0);
    assert!(newer.1 > key.1);
    assert_eq!(end(&mut old, OLD, ID, key, true).await, Err(ResponseError::ProducerFenced));
    assert_eq!(end(&mut old, 1, ID, key, true).await, Err(ResponseError::InvalidProducerEpoch));
    let refused = add_partitions(&mut old, ID, key, &[("out", &[0])]).await;
    assert_eq!(refused, [Some(ResponseError::ProducerFenced)]);
    let late = send(&mut old, OLD_PRODUCE, Some(ID), ("out", 0), sequenced(key, 1, true, &["x"])).await;
    assert_eq!(late, Err(ResponseError::InvalidProducerEpoch));
    assert_eq!(init(&mut old, Some(ID), Some(key)).await, Err(ResponseError::ProducerFenced));
    begin(&mut new, newer).await;
    write(&mut new, OLD_PRODUCE, newer, ("out", 0), 0, "new").await;
    end(&mut new, OLD, ID, newer, true).await.unwrap();
    assert_eq!(committed(&mut new, "out", 0).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_a_new_epoch_after_a_failure_and_may_ask_twice() {
    let (_server, mut client, key) = start().await;
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "aborted").await;
    let next = init(&mut client, Some(ID), Some(key)).await.unwrap();
    assert_eq!(next, (key.0, key.1 + 2), "one for the abort, one for the client");
    assert_eq!(init(&mut client, Some(ID), Some((key.0, key.1 + 1))).await, Ok(next));
    assert_eq!(committed(&mut client, "out", 0).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let (_server, mut client, _) = start().await;
    for timeout_ms in [0, -1, 16 * 60_000] {
        let refused = init_for(&mut client, Some(ID), None, timeout_ms).await;
        assert_eq!(refused, Err(ResponseError::InvalidTransactionTimeout));
    }
    assert_eq!(init(&mut client, Some(""), None).await, Err(ResponseError::InvalidRequest));
    assert_eq!(init(&mut client, Some(ID), Some((5, -1))).await, Err(ResponseError::InvalidRequest));
    assert_eq!(init(&mut client, Some(ID), Some((999, 0))).await, Err(ResponseError::ProducerFenced));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_count_with_their_transaction() {
    let (_server, mut client, key) = start().await;
    let (group, input) = ("g", "in");
    let early = commit_offset(&mut client, 3, (ID, key), group, (input, 1)).await;
    assert_eq!(early, Err(ResponseError::InvalidTxnState), "the group was not added");
    for (offset, commit, seen) in [(1, true, 1), (2, false, 1), (3, true, 3)] {
        add_group(&mut client, ID, key, group).await.unwrap();
        let before = offset_of(&mut client, group, input, false).await.unwrap();
        commit_offset(&mut client, 3, (ID, key), group, (input, offset)).await.unwrap();
        assert_eq!(offset_of(&mut client, group, input, false).await, Ok(before));
        assert_eq!(
            offset_of(&mut client, group, input, true).await,
            Err(ResponseError::UnstableOffsetCommit)
        );
        end(&mut client, OLD, ID, key, commit).await.unwrap();
        assert_eq!(offset_of(&mut client, group, input, true).await, Ok(seen));
    }
    // Version 5 adds the group by itself.
    commit_offset(&mut client, 5, (ID, key), "h", (input, 2)).await.unwrap();
    end(&mut client, NEW, ID, key, true).await.unwrap();
    assert_eq!(offset_of(&mut client, "h", input, true).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_goes_on_after_a_restart() {
    let (server, mut client, key) = start().await;
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "before").await;
    add_group(&mut client, ID, key, "g").await.unwrap();
    commit_offset(&mut client, 3, (ID, key), "g", ("in", 2)).await.unwrap();
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(committed(&mut client, "out", 0).await, Vec::<String>::new());
    assert_eq!(offset_of(&mut client, "g", "in", true).await, Err(ResponseError::UnstableOffsetCommit));
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 1, "after").await;
    end(&mut client, OLD, ID, key, true).await.unwrap();
    assert_eq!(committed(&mut client, "out", 0).await, ["before", "after"]);
    assert_eq!(offset_of(&mut client, "g", "in", true).await, Ok(2));
    // What was decided is known after another one.
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert!(end(&mut client, OLD, ID, key, true).await.is_ok());
    assert_eq!(end(&mut client, OLD, ID, key, false).await, Err(ResponseError::InvalidTxnState));
    assert_eq!(committed(&mut client, "out", 0).await, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_too_long_is_aborted_and_its_client_may_go_on_with_a_new_epoch() {
    let (server, mut client, _) = start().await;
    let key = init_for(&mut client, Some(ID), None, 100).await.unwrap();
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "too late").await;
    let began = Instant::now();
    loop {
        let range = server.embedded.offsets(&at("out", 0)).await.unwrap();
        if range.stable == range.latest {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is never aborted");
        tokio::task::yield_now().await;
    }
    assert_eq!(end(&mut client, OLD, ID, key, true).await, Err(ResponseError::ProducerFenced));
    let next = init(&mut client, Some(ID), Some(key)).await.unwrap();
    assert!(next.1 > key.1);
    assert_eq!(committed(&mut client, "out", 0).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_uses_is_forgotten() {
    let engine = EmbeddedConfig {
        producers: ProducerConfig {
            transactional_id_expiration: Duration::from_millis(1),
            ..ProducerConfig::default()
        },
        ..EmbeddedConfig::default()
    };
    let dir = support::fresh_dir("wire_transactions_expiry");
    let server = Server::with(&dir, engine, WireConfig::default()).await;
    let mut client = server.client().await;
    init(&mut client, Some(ID), None).await.unwrap();
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(ID)]);
    let began = Instant::now();
    loop {
        let code = client.send(0, &request).await.transaction_states[0].error_code;
        if error(code) == Some(ResponseError::TransactionalIdNotFound) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is never forgotten");
        tokio::task::yield_now().await;
    }
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let code = server.client().await.send(0, &request).await.transaction_states[0].error_code;
    assert_eq!(error(code), Some(ResponseError::TransactionalIdNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_listed_and_described() {
    let (_server, mut client, key) = start().await;
    let other = init(&mut client, Some("other"), None).await.unwrap();
    begin(&mut client, key).await;
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(ID), id("none")]);
    let described = client.send(0, &request).await.transaction_states;
    assert_eq!(described[0].transaction_state.as_str(), "Ongoing");
    assert_eq!((described[0].producer_id.0, described[0].producer_epoch), key);
    assert_eq!(described[0].topics[0].partitions, [0, 1]);
    assert_eq!(
        (described[0].transaction_timeout_ms, described[0].transaction_start_time_ms > 0),
        (60_000, true)
    );
    assert_eq!(error(described[1].error_code), Some(ResponseError::TransactionalIdNotFound));
    let list = |request: ListTransactionsRequest| request.with_duration_filter(-1);
    let all = list(ListTransactionsRequest::default());
    let cases = [
        (all.clone(), vec![ID, "other"]),
        (all.clone().with_state_filters(vec![text("Ongoing")]), vec![ID]),
        (all.clone().with_state_filters(vec![text("Empty")]), vec!["other"]),
        (all.clone().with_state_filters(vec![text("Nonsense")]), vec![]),
        (all.clone().with_producer_id_filters(vec![ProducerId(other.0)]), vec!["other"]),
        (all.clone().with_transactional_id_pattern(Some(text("c.*r"))), vec![ID]),
        (all.clone().with_duration_filter(3_600_000), vec![]),
    ];
    for (request, expected) in cases {
        let response = client.send(2, &request).await;
        let listed = response.transaction_states.iter();
        let listed: Vec<_> = listed.map(|state| state.transactional_id.as_str()).collect();
        assert_eq!(listed, expected, "{request:?}");
    }
    let bad = all.with_transactional_id_pattern(Some(text("(")));
    let response = client.send(2, &bad).await;
    assert_eq!(error(response.error_code), Some(ResponseError::InvalidRegularExpression));
}

/// A connection as a client opens it: it awaits an answer before it says anything else.
async fn connect(server: &Server) -> Client {
    let mut client = server.client().await;
    client.send(3, &ApiVersionsRequest::default()).await;
    client
}

/// Jepsen's findings about the older protocol: the first EndTxn is held up in the network, the client asks again over another
/// connection, begins the next transaction, and then the first one comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_end_of_the_last_transaction_does_not_tear_the_next_one() {
    for (late_commits, then_commit) in [(true, true), (true, false), (false, true), (false, false)] {
        let (server, mut late, key) = start().await;
        begin(&mut late, key).await;
        write(&mut late, OLD_PRODUCE, key, ("out", 0), 0, "first").await;
        // Over `late` the client has sent EndTxn, which does not arrive.
        let mut client = connect(&server).await;
        end(&mut client, OLD, ID, key, late_commits).await.unwrap();
        begin(&mut client, key).await;
        write(&mut client, OLD_PRODUCE, key, ("out", 0), 1, "second a").await;
        // Now it does, twice, and with it an older request.
        for _ in 0..2 {
            let refused = end(&mut late, OLD, ID, key, late_commits).await;
            assert_eq!(refused, Err(ResponseError::NotCoordinator));
        }
        let refused = add_partitions(&mut late, ID, key, &[("out", &[0])]).await;
        assert_eq!(refused, [Some(ResponseError::NotCoordinator)]);
        write(&mut client, OLD_PRODUCE, key, ("out", 0), 2, "second b").await;
        write(&mut client, OLD_PRODUCE, key, ("out", 1), 0, "second c").await;
        end(&mut client, OLD, ID, key, then_commit).await.unwrap();
        let mut expected = Vec::new();
        if late_commits {
            expected.push("first");
        }
        if then_commit {
            expected.extend(["second a", "second b"]);
        }
        assert_eq!(committed(&mut client, "out", 0).await, expected);
        assert_eq!(committed(&mut client, "out", 1).await.len(), usize::from(then_commit));
    }
}

/// The same with an AddPartitionsToTxn that comes when its transaction has ended: it opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_addition_opens_nothing() {
    let (server, mut late, key) = start().await;
    let mut client = connect(&server).await;
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "whole").await;
    end(&mut client, OLD, ID, key, true).await.unwrap();
    let refused = add_partitions(&mut late, ID, key, &[("out", &[0])]).await;
    assert_eq!(refused, [Some(ResponseError::NotCoordinator)]);
    assert_eq!(add_group(&mut late, ID, key, "g").await, Err(ResponseError::NotCoordinator));
    // Repeated on the newest connection, the end is answered as before.
    assert!(end(&mut client, OLD, ID, key, true).await.is_ok());
    assert_eq!(committed(&mut client, "out", 0).await, ["whole"]);
}

/// Records of the older protocol that come over a connection which their producer has left.
#[tokio::test(flavor = "multi_thread")]
async fn late_records_do_not_join_the_next_transaction() {
    let (server, mut late, key) = start().await;
    begin(&mut late, key).await;
    write(&mut late, OLD_PRODUCE, key, ("out", 0), 0, "first").await;
    let mut client = connect(&server).await;
    end(&mut client, OLD, ID, key, true).await.unwrap();
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 1, "second").await;
    // The one that was acknowledged is found; another one has no business on this connection.
    let again = send(&mut late, OLD_PRODUCE, Some(ID), ("out", 0), sequenced(key, 2, true, &["late"])).await;
    assert_eq!(again, Err(ResponseError::NotLeaderOrFollower));
    end(&mut client, OLD, ID, key, true).await.unwrap();
    assert_eq!(committed(&mut client, "out", 0).await, ["first", "second"]);
}

/// Version two needs no connections for it: the epoch tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_end_of_version_two_has_no_effect() {
    let (server, mut late, key) = start().await;
    write(&mut late, NEW_PRODUCE, key, ("out", 0), 0, "first").await;
    let mut client = connect(&server).await;
    let next = end(&mut client, NEW, ID, key, true).await.unwrap();
    // Before the next one begins the late one is told what the first one was; then it is fenced.
    assert_eq!(end(&mut late, NEW, ID, key, true).await, Ok(next));
    write(&mut client, NEW_PRODUCE, next, ("out", 0), 0, "second a").await;
    assert_eq!(end(&mut late, NEW, ID, key, true).await, Err(ResponseError::ProducerFenced));
    assert_eq!(end(&mut late, NEW, ID, key, false).await, Err(ResponseError::ProducerFenced));
    write(&mut client, NEW_PRODUCE, next, ("out", 0), 1, "second b").await;
    end(&mut client, NEW, ID, next, false).await.unwrap();
    assert_eq!(committed(&mut client, "out", 0).await, ["first"]);
}

/// The client goes right after it has asked for the end: the answer is lost, the transaction is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_client_goes_is_carried_out_whole() {
    let (server, mut client, key) = start().await;
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "a").await;
    write(&mut client, OLD_PRODUCE, key, ("out", 1), 0, "b").await;
    client.post(OLD, &end_request(ID, key, true)).await.unwrap();
    drop(client);
    let mut client = connect(&server).await;
    assert!(end(&mut client, OLD, ID, key, true).await.is_ok());
    assert_eq!(committed(&mut client, "out", 0).await, ["a"]);
    assert_eq!(committed(&mut client, "out", 1).await, ["b"]);
}

/// A producer of this process and a client take the same id in turns.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_one_for_clients_and_this_process() {
    let (server, mut client, key) = start().await;
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "left open").await;
    let mut producer = server.embedded.transactional(ID).await.unwrap();
    assert_eq!(end(&mut client, OLD, ID, key, true).await, Err(ResponseError::ProducerFenced));
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("out", 0), records(["by this process"])).await.unwrap();
    transaction.commit().await.unwrap();
    let key = init(&mut client, Some(ID), None).await.unwrap();
    assert!(producer.begin().await.is_err());
    begin(&mut client, key).await;
    write(&mut client, OLD_PRODUCE, key, ("out", 0), 0, "by a client").await;
    end(&mut client, OLD, ID, key, true).await.unwrap();
    assert_eq!(committed(&mut client, "out", 0).await, ["by this process", "by a client"]);
}
