//! What every sink must do.

use super::{SinkSubject, assert_metrics_are_collected, eventually};
use crate::limits::STOP_WAIT;
use crate::task::TaskState;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Waits until the sink has committed everything up to `count`.
async fn committed(subject: &impl SinkSubject, count: i64) {
    eventually("every offset committed", async || (subject.committed().await == count).then_some(())).await;
}

/// Every number below `count` is at the destination or refused, and none came to the destination twice.
async fn assert_none_vanished(subject: &impl SinkSubject, count: i64) {
    let arrived = subject.at_destination().await;
    let unique: BTreeSet<_> = arrived.iter().copied().collect();
    assert_eq!(unique.len(), arrived.len(), "none twice: {arrived:?}");
    let settled: BTreeSet<_> = unique.into_iter().chain(subject.refused().await).collect();
    assert_eq!(settled, (0..count).collect::<BTreeSet<_>>());
}

pub async fn every_command_arrives_or_is_refused(subject: &impl SinkSubject) {
    let task = subject.start();
    for number in 0..200 {
        subject.ask(number).await;
    }
    committed(subject, 200).await;
    assert_none_vanished(subject, 200).await;
    let arrived = subject.at_destination().await;
    assert_eq!(arrived.last(), Some(&199), "the newest arrives");
    task.stop().await;
}

pub async fn commands_arrive_in_order(subject: &impl SinkSubject) {
    let task = subject.start();
    for number in 0..20 {
        subject.ask(number).await;
        sleep(Duration::from_millis(200)).await;
    }
    committed(subject, 20).await;
    let arrived = subject.at_destination().await;
    assert!(arrived.is_sorted(), "{arrived:?}");
    task.stop().await;
}

pub async fn nonsense_is_refused_and_ends_nothing(subject: &impl SinkSubject) {
    let task = subject.start();
    subject.ask(0).await;
    subject.ask_nonsense().await;
    subject.ask(2).await;
    committed(subject, 3).await;
    assert!(subject.refused().await.contains(&1));
    assert_eq!(subject.at_destination().await.last(), Some(&2));
    assert_eq!((task.state(), task.metrics().restarts.get()), (TaskState::Running, 0));
    task.stop().await;
}

pub async fn an_offset_is_committed_only_when_its_command_is_settled(subject: &impl SinkSubject) {
    let task = subject.start();
    subject.ask(0).await;
    committed(subject, 1).await;
    subject.cut_off();
    subject.ask(1).await;
    for _ in 0..100 {
        // In this order: what is committed now was settled before.
        let committed = subject.committed().await;
        let settled = subject.at_destination().await.len() + subject.refused().await.len();
        assert!(
            committed <= i64::try_from(settled).unwrap_or(i64::MAX),
            "{committed} committed, {settled} settled"
        );
        sleep(Duration::from_millis(100)).await;
    }
    subject.come_back();
    committed(subject, 2).await;
    assert_none_vanished(subject, 2).await;
    task.stop().await;
}

pub async fn a_restart_goes_on_where_the_sink_was(subject: &impl SinkSubject) {
    for round in 0..10 {
        let task = subject.start();
        for number in round * 10..round * 10 + 10 {
            subject.ask(number).await;
            sleep(Duration::from_millis(u64::try_from(round).unwrap_or(0) * 40)).await;
        }
        task.stop().await;
    }
    let task = subject.start();
    committed(subject, 100).await;
    assert_none_vanished(subject, 100).await;
    task.stop().await;
}

pub async fn an_outage_of_the_destination_needs_no_restart_by_hand(subject: &impl SinkSubject) {
    let task = subject.start();
    subject.ask(0).await;
    committed(subject, 1).await;
    subject.cut_off();
    for number in 1..10 {
        subject.ask(number).await;
    }
    sleep(Duration::from_hours(8)).await;
    subject.come_back();
    sleep(Duration::from_mins(2)).await;
    subject.ask(10).await;
    committed(subject, 11).await;
    assert_none_vanished(subject, 11).await;
    assert_eq!(subject.at_destination().await.last(), Some(&10));
    task.stop().await;
}

pub async fn outages_without_number_are_survived(subject: &impl SinkSubject) {
    let task = subject.start();
    for number in 0..30 {
        subject.cut_off();
        sleep(Duration::from_secs(1)).await;
        subject.come_back();
        sleep(Duration::from_mins(2)).await;
        subject.ask(number).await;
        committed(subject, number + 1).await;
    }
    assert_eq!(subject.at_destination().await, (0..30).collect::<Vec<_>>());
    task.stop().await;
}

pub async fn a_silent_destination_does_not_keep_the_sink_from_stopping(subject: &impl SinkSubject) {
    let task = subject.start();
    subject.ask(0).await;
    committed(subject, 1).await;
    subject.fall_silent();
    subject.ask(1).await;
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    task.stop().await;
    assert!(began.elapsed() <= STOP_WAIT + Duration::from_millis(10), "{:?}", began.elapsed());
}

pub async fn metrics_are_collected_and_add_up(subject: &impl SinkSubject) {
    let task = subject.start();
    for number in 0..5 {
        subject.ask(number).await;
        committed(subject, number + 1).await;
    }
    subject.ask_nonsense().await;
    committed(subject, 6).await;
    let metrics = task.metrics();
    assert_eq!((metrics.records.get(), metrics.refused.get(), metrics.lag.get()), (5, 1, 0));
    assert_eq!(metrics.state.get(), 1);
    assert_metrics_are_collected(metrics);
    task.stop().await;
}
