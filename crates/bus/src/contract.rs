//! What every engine must do, as one suite of named behaviours.
//!
//! An engine's own tests call [`bus_contract!`](crate::bus_contract), which makes one test of each behaviour. Every
//! behaviour takes names of its own for topics, groups and producers, so that all may run at once, and again and again,
//! on one shared engine. A behaviour waits on conditions with a deadline and asserts no speed.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "these are tests, kept in the library so that every engine runs the same; their names say what they hold"
)]

pub mod append;
pub mod groups;
pub mod read;
pub mod topics;
pub mod transactions;

use crate::{Acks, Bus, FetchLimit, Fetched, Reader, ReceivedRecord, Record, TopicPartition, TopicSpec};
use bytes::Bytes;
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a behaviour may take in all. Generous: engines under load are slow, never wrong.
const DEADLINE: Duration = Duration::from_secs(90);
/// How long one poll waits; short, so that a behaviour notices at once what it waits for.
const WAIT: Duration = Duration::from_millis(100);
/// The time of the first record of a topic.
const BASE: i64 = 1_700_000_000_000;

/// Makes one `#[tokio::test]` of every behaviour, in modules `<engine>::<area>`.
///
/// The second argument is an expression of a future that gives an `Arc` of the engine; it is evaluated for each test.
#[macro_export]
macro_rules! bus_contract {
    ($engine:ident, $factory:expr) => {
        mod $engine {
            #[allow(unused_imports, reason = "the factory may use what stands beside the call")]
            use super::*;
            $crate::bus_contract! { @tests $factory;
                append {
                    records_come_back_in_the_order_appended
                    keys_values_headers_and_times_come_back
                    an_append_returns_the_offset_of_its_first_record
                    an_empty_batch_is_refused
                    a_record_over_the_size_limit_is_refused
                    a_record_with_too_many_headers_is_refused
                    a_large_record_comes_back_whole
                    a_large_batch_comes_back_whole
                    what_does_not_exist_is_named
                    appends_with_either_acknowledgement_are_readable
                    concurrent_batches_stay_whole_and_in_order
                    many_partitions_are_kept_apart
                }
                read {
                    a_reader_starts_where_it_was_told
                    the_first_record_at_or_after_a_time_is_found
                    a_waiting_poll_wakes_on_an_append
                    a_poll_of_nothing_returns_empty_after_its_wait
                    a_cancelled_poll_loses_nothing
                    a_poll_stops_near_its_limits
                    one_reader_reads_several_partitions
                    seek_moves_one_partition_only
                    a_partition_that_is_not_read_cannot_be_sought
                    a_position_out_of_range_is_reported_and_seek_mends_it
                    one_lost_partition_does_not_cost_the_others
                    deleted_records_are_gone
                    deleting_past_the_end_is_refused
                    a_partition_is_asked_for_once
                    the_range_tells_first_and_next_offset
                    the_ranges_of_many_partitions_are_those_of_each
                }
                topics {
                    a_topic_is_created_described_listed_and_deleted
                    a_topic_of_that_name_exists_already
                    an_unknown_topic_cannot_be_deleted
                    bad_names_are_refused
                    a_topic_has_at_least_one_partition
                    configs_come_back
                    internal_topics_are_not_listed
                    a_topic_made_again_is_empty
                }
                groups {
                    committed_offsets_come_back_with_their_metadata
                    groups_do_not_see_each_others_offsets
                    a_later_commit_replaces_an_earlier_one
                    bad_commits_are_refused
                    a_member_starts_at_the_committed_offset
                    a_member_without_offsets_starts_where_it_was_told
                    two_members_share_the_partitions
                    a_leaving_member_hands_over
                    a_dropped_member_hands_over
                    a_member_cannot_commit_what_it_gave_up
                    an_outsider_cannot_commit_while_there_are_members
                    nothing_is_lost_or_doubled_when_members_come_and_go
                    groups_are_listed_with_their_members
                    an_unknown_topic_cannot_be_subscribed
                }
                transactions {
                    records_are_invisible_until_commit
                    uncommitted_readers_see_open_records
                    aborted_records_are_passed_over
                    a_dropped_transaction_is_aborted
                    offsets_are_committed_with_the_records
                    offsets_of_an_aborted_transaction_are_dropped
                    all_partitions_commit_together
                    a_newer_producer_fences_an_older
                    a_fenced_producer_cannot_begin
                    opening_aborts_what_was_left_open
                    an_open_transaction_holds_back_what_follows
                    a_waiting_committed_reader_wakes_on_commit
                    a_waiting_committed_reader_wakes_on_abort
                    a_transaction_with_a_failed_append_cannot_commit
                    a_transaction_of_offsets_alone_commits
                    an_empty_transaction_ends_either_way
                    transactions_of_two_producers_interleave
                    many_transactions_in_a_row_keep_order
                    a_large_transaction_is_whole
                }
            }
        }
    };
    (@tests $factory:expr; $($area:ident { $($name:ident)* })*) => {
        $(mod $area {
            #[allow(unused_imports, reason = "the factory may use what stands beside the call")]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let bus: ::std::sync::Arc<dyn $crate::Bus> = $factory.await;
                    $crate::contract::within_the_deadline($crate::contract::$area::$name(bus)).await;
                }
            )*
        })*
    };
}

/// Runs one behaviour; one that hangs has failed.
pub async fn within_the_deadline(behaviour: impl Future<Output = ()>) {
    assert!(timeout(DEADLINE, behaviour).await.is_ok(), "not finished within {DEADLINE:?}");
}

/// A name that no other test has, in this process or another.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("contract-{what}-{random:016x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new topic whose records are kept however old they are.
async fn topic(bus: &Arc<dyn Bus>, partitions: i32) -> String {
    let name = unique("topic");
    bus.create_topic(&TopicSpec::new(&name, partitions).config("retention.ms", "-1")).await.unwrap();
    name
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn record(text: &str) -> Record {
    Record::new(None, Some(Bytes::copy_from_slice(text.as_bytes())), Timestamp(BASE))
}

fn records(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Record> {
    texts.into_iter().map(|text| record(text.as_ref())).collect()
}

async fn append(bus: &Arc<dyn Bus>, to: &TopicPartition, texts: &[&str]) -> i64 {
    bus.append(to, records(texts), Acks::All).await.unwrap()
}

fn text(received: &ReceivedRecord) -> String {
    String::from_utf8(received.record.value.as_ref().unwrap().to_vec()).unwrap()
}

/// What was polled, by partition, as texts.
#[derive(Debug, Default)]
struct Seen {
    texts: BTreeMap<TopicPartition, Vec<String>>,
    next: BTreeMap<TopicPartition, i64>,
    records: usize,
}

impl Seen {
    fn take(&mut self, fetched: Vec<Fetched>) {
        for part in fetched {
            let next = self.next.entry(part.partition.clone()).or_insert(i64::MIN);
            for received in &part.records {
                assert!(received.offset >= *next, "{} comes twice or out of order", received.offset);
                *next = received.offset + 1;
            }
            assert!(part.next_offset >= *next, "the next offset goes back");
            *next = part.next_offset;
            self.records += part.records.len();
            self.texts.entry(part.partition).or_default().extend(part.records.iter().map(text));
        }
    }

    fn of(&self, partition: &TopicPartition) -> Vec<&str> {
        self.texts.get(partition).map(|texts| texts.iter().map(String::as_str).collect()).unwrap_or_default()
    }
}

fn limit() -> FetchLimit {
    FetchLimit { wait_max: WAIT, ..FetchLimit::default() }
}

/// Polls until there are `count` records.
async fn read<R: Reader + ?Sized>(reader: &mut R, count: usize) -> Seen {
    let mut seen = Seen::default();
    while seen.records < count {
        seen.take(reader.poll(limit()).await.unwrap());
    }
    assert_eq!(seen.records, count, "more than what was appended: {seen:?}");
    seen
}

/// Polls for a while and wants nothing.
async fn read_nothing<R: Reader + ?Sized>(reader: &mut R) {
    let end = Instant::now() + WAIT * 3;
    while Instant::now() < end {
        let fetched = reader.poll(limit()).await.unwrap();
        assert!(fetched.iter().all(|part| part.records.is_empty()), "{fetched:?}");
    }
}
