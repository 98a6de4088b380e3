//! What every source and every sink must do, as two suites of named behaviours.
//!
//! A connector's own tests implement [`SourceSubject`] or [`SinkSubject`] and call [`source_contract!`](crate::source_contract) or
//! [`sink_contract!`](crate::sink_contract), which make one test of each behaviour. Behaviours run in simulated time, wait on
//! conditions with a deadline and assert no speed.
#![expect(
    clippy::missing_panics_doc,
    missing_docs,
    reason = "these are tests, kept in the library so that every connector runs the same; their names say what they hold"
)]

pub mod sink;
pub mod source;

use crate::ConnectorMetrics;
use crate::task::TaskHandle;
use async_trait::async_trait;
use millstream_model::metric::{Collect, Page};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long one condition is waited for, in simulated time.
const PATIENCE: Duration = Duration::from_mins(10);

/// A source under test. Samples are numbered; a subject may make of them what it likes as long as it can tell them again.
#[async_trait]
pub trait SourceSubject: Send + Sync {
    /// Hands sample `number` to the source, as its origin would. May wait.
    async fn sample(&self, number: u64);
    /// What the topic says now, in order: the sample's number, and how many samples it says are missing before it.
    async fn told(&self) -> Vec<(u64, u64)>;
    /// From now on the log refuses records as a full disk does.
    fn fill_log(&self);
    /// There is room again.
    fn make_room(&self);
    /// The source's counters.
    fn metrics(&self) -> Arc<ConnectorMetrics>;
    /// Ends the source.
    async fn stop(&self);
}

/// A sink under test. Commands are numbered from 0, and each is one record.
#[async_trait]
pub trait SinkSubject: Send + Sync {
    /// Starts the sink's task.
    fn start(&self) -> TaskHandle;
    /// Appends a record that asks for `number`.
    async fn ask(&self, number: i64);
    /// Appends a record that no sink can make sense of; it counts as the next number.
    async fn ask_nonsense(&self);
    /// The numbers that are at the destination, in the order in which they came.
    async fn at_destination(&self) -> Vec<i64>;
    /// The numbers that were refused, by the offsets of their records.
    async fn refused(&self) -> Vec<i64>;
    /// The committed offset; 0 where there is none.
    async fn committed(&self) -> i64;
    /// From now on the destination cannot be reached.
    fn cut_off(&self);
    /// It is back.
    fn come_back(&self);
    /// The destination takes what it is given and never answers.
    fn fall_silent(&self);
}

async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = timeout(PATIENCE, wait).await;
    assert!(answer.is_ok(), "not within {PATIENCE:?}: {what}");
    answer.unwrap_or_else(|_| unreachable!("asserted above"))
}

/// Every connector's metrics are on the page under its name.
fn assert_metrics_are_collected(metrics: &ConnectorMetrics) {
    let mut page = Page::default();
    metrics.collect(&mut page);
    let text = page.render();
    for name in ["records_total", "refused_total", "retries_total", "state"] {
        let sample = format!("millstream_connector_{name}{{connector=\"{}\"}}", metrics.connector);
        assert!(text.contains(&sample), "{sample} is not on the page");
    }
}

/// Makes one `#[tokio::test]` of every behaviour of a source; the second argument is an expression of a future that
/// gives a [`SourceSubject`](crate::contract::SourceSubject), evaluated for each test.
#[macro_export]
macro_rules! source_contract {
    ($connector:ident, $subject:expr) => {
        $crate::source_contract! { @tests $connector, $subject, source;
            every_sample_is_told_once_and_in_order
            a_full_log_loses_no_sample_in_silence
            a_full_log_costs_bounded_memory
            a_source_stops_in_time_and_leaves_nothing_behind
            metrics_are_collected_and_add_up
        }
    };
    (@tests $connector:ident, $subject:expr, $area:ident; $($behaviour:ident)*) => {
        mod $connector {
            #[allow(unused_imports, reason = "the subject may use what stands beside the call")]
            use super::*;
            $(
                #[tokio::test(start_paused = true)]
                async fn $behaviour() {
                    $crate::contract::$area::$behaviour(&$subject.await).await;
                }
            )*
        }
    };
}

/// Makes one `#[tokio::test]` of every behaviour of a sink; the second argument is an expression of a future that gives a
/// [`SinkSubject`](crate::contract::SinkSubject), evaluated for each test.
#[macro_export]
macro_rules! sink_contract {
    ($connector:ident, $subject:expr) => {
        $crate::source_contract! { @tests $connector, $subject, sink;
            every_command_arrives_or_is_refused
            commands_arrive_in_order
            nonsense_is_refused_and_ends_nothing
            an_offset_is_committed_only_when_its_command_is_settled
            a_restart_goes_on_where_the_sink_was
            an_outage_of_the_destination_needs_no_restart_by_hand
            outages_without_number_are_survived
            a_silent_destination_does_not_keep_the_sink_from_stopping
            metrics_are_collected_and_add_up
        }
    };
}
