//! What every source must do.

use super::{SourceSubject, assert_metrics_are_collected, eventually};
use crate::limits::STOP_WAIT;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Every number up to `last` is told, or is covered by what a later one says is missing; none twice, none out of order.
fn assert_nothing_is_missing_in_silence(told: &[(u64, u64)], last: u64) {
    let mut before = 0;
    for (number, missing) in told {
        assert!(*number > before, "{number} after {before}");
        assert!(
            number - before - 1 <= *missing,
            "{before} to {number}, and only {missing} are said to be missing"
        );
        before = *number;
    }
    assert_eq!(before, last, "the newest sample is told");
}

pub async fn every_sample_is_told_once_and_in_order(subject: &impl SourceSubject) {
    for number in 1..=500 {
        subject.sample(number).await;
    }
    let expected: Vec<_> = (1..=500).map(|number| (number, 0)).collect();
    eventually("500 samples", async || (subject.told().await == expected).then_some(())).await;
}

pub async fn a_full_log_loses_no_sample_in_silence(subject: &impl SourceSubject) {
    let mut number = 0;
    let mut sample = async |count: u64| {
        for _ in 0..count {
            number += 1;
            subject.sample(number).await;
        }
        number
    };
    for outage in [5, 100, 1] {
        sample(20).await;
        subject.fill_log();
        sample(outage).await;
        sleep(Duration::from_secs(30)).await;
        subject.make_room();
        sleep(Duration::from_secs(30)).await;
    }
    let last = sample(20).await;
    let is_last = |told: &[(u64, u64)]| told.last().is_some_and(|(number, _)| *number == last);
    let told =
        eventually("the newest sample", async || Some(subject.told().await).filter(|t| is_last(t))).await;
    assert_nothing_is_missing_in_silence(&told, last);
}

pub async fn a_full_log_costs_bounded_memory(subject: &impl SourceSubject) {
    subject.sample(1).await;
    eventually("the first sample", async || (!subject.told().await.is_empty()).then_some(())).await;
    subject.fill_log();
    for number in 2..=100 {
        subject.sample(number).await;
    }
    let after_hundred = subject.metrics().pending.get();
    for number in 101..=300 {
        subject.sample(number).await;
    }
    assert_eq!(subject.metrics().pending.get(), after_hundred, "records that wait");
}

pub async fn a_source_stops_in_time_and_leaves_nothing_behind(subject: &impl SourceSubject) {
    for number in 1..=10 {
        subject.sample(number).await;
    }
    let began = Instant::now();
    subject.stop().await;
    assert!(began.elapsed() <= STOP_WAIT + Duration::from_millis(10), "{:?}", began.elapsed());
    assert_eq!(subject.told().await.len(), 10);
}

pub async fn metrics_are_collected_and_add_up(subject: &impl SourceSubject) {
    let before = subject.metrics().records.get();
    for number in 1..=100 {
        subject.sample(number).await;
    }
    eventually("100 samples", async || (subject.told().await.len() == 100).then_some(())).await;
    let metrics = subject.metrics();
    eventually("a count of 100", async || (metrics.records.get() - before == 100).then_some(())).await;
    assert_eq!((metrics.pending.get(), metrics.dropped.get()), (0, 0));
    assert_metrics_are_collected(&metrics);
}
