//! The audit trail by itself: pairs, lives, and a log that comes and goes.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "a test")]

mod support;

use millstream_bus::{Bus, BusError, TopicPartition, TopicSpec};
use millstream_connect::audit::{AUDIT_TOPIC, AuditLog, REFUSED_TOPIC};
use millstream_connect::limits::{INTENT_WAIT, PENDING_REPORTS, SETTLE_WAIT};
use millstream_driver::guard::{Origin, WriteRequest};
use millstream_driver::schedule::{AuditTrail, Verdict, WriteReport};
use millstream_model::{Timestamp, Value};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::bus::FaultyBus;
use support::{TestClock, values};
use tokio::time::Instant;

fn request(id: u32, tag: &str) -> WriteRequest {
    WriteRequest {
        id: format!("setpoints-0-{id}").into(),
        origin: Origin::CommandLine { user: "karin".to_owned() },
        tag: tag.into(),
        value: Value::Real(0.1),
        asked_at: Timestamp(1),
        expires_at: None,
    }
}

fn report(request: WriteRequest, verdict: Verdict) -> WriteReport {
    WriteReport { request, verdict, old: Some(Value::Real(0.2)), at: Timestamp(9) }
}

fn written(request: WriteRequest) -> WriteReport {
    report(request, Verdict::Written { verified: true })
}

async fn write(audit: &AuditLog, id: u32) {
    let device: Arc<str> = "press1".into();
    audit.intend(&device, &[request(id, "setpoint")]).await.unwrap();
    audit.settle(&device, &[written(request(id, "setpoint"))]).await;
    audit.flush().await;
}

#[tokio::test(start_paused = true)]
async fn intent_and_result_say_who_asked_for_what_and_what_came_of_it() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    write(&audit, 1).await;
    let trail = values(&*bus, AUDIT_TOPIC).await;
    assert_eq!(
        trail[0],
        json!({
            "id": "setpoints-0-1", "phase": "intent", "device": "press1", "tag": "setpoint", "value": 0.1,
            "asked_by": {"user": "karin"}, "asked_at_ms": 1, "at_ms": support::START.0
        })
    );
    assert_eq!(
        trail[1],
        json!({
            "id": "setpoints-0-1", "phase": "result", "device": "press1", "tag": "setpoint", "value": 0.1,
            "result": "written", "old": 0.2, "verified": true,
            "asked_by": {"user": "karin"}, "asked_at_ms": 1, "at_ms": 9
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_rearmed_is_in_the_trail_and_opens_nothing() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    write(&audit, 1).await;
    let origin = Origin::CommandLine { user: "command line".to_owned() };
    audit.rearm(&"press1".into(), "setpoint", &origin).await.unwrap();
    assert_eq!(
        values(&*bus, AUDIT_TOPIC).await[2],
        json!({
            "phase": "rearm", "device": "press1", "tag": "setpoint", "asked_by": {"user": "command line"},
            "asked_at_ms": support::START.0, "at_ms": support::START.0
        })
    );
    let next = AuditLog::new(bus.clone(), TestClock::start());
    assert_eq!(next.recover().await, Ok(0), "it is no intent");
}

#[tokio::test(start_paused = true)]
async fn every_verdict_has_its_result() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let message = "words".to_owned();
    let verdicts = [
        Verdict::Mismatch { found: Value::Real(0.3) },
        Verdict::Failed { message: message.clone() },
        Verdict::Unknown { message: message.clone() },
        Verdict::Refused { code: "step", message },
    ];
    let reports: Vec<_> =
        (0..).zip(verdicts).map(|(id, verdict)| report(request(id, "a"), verdict)).collect();
    audit.settle(&"press1".into(), &reports).await;
    audit.flush().await;
    let results = values(&*bus, AUDIT_TOPIC).await;
    let names: Vec<_> = results.iter().map(|value| value["result"].as_str().unwrap()).collect();
    assert_eq!(names, ["mismatch", "failed", "unknown"]);
    assert_eq!(results[0]["found"], json!(0.3));
    let refused = values(&*bus, REFUSED_TOPIC).await;
    let reasons: Vec<_> = refused.iter().map(|value| value["reason"].as_str().unwrap()).collect();
    assert_eq!((reasons, &refused[1]["old"]), (vec!["rejected", "step"], &json!(0.2)));
}

#[tokio::test(start_paused = true)]
async fn one_command_for_two_tags_is_two_pairs() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let device: Arc<str> = "press1".into();
    audit.intend(&device, &[request(1, "a"), request(1, "b")]).await.unwrap();
    audit.settle(&device, &[written(request(1, "a"))]).await;
    audit.flush().await;
    let next = AuditLog::new(bus.clone(), TestClock::start());
    assert_eq!(next.recover().await, Ok(1));
    let trail = values(&*bus, AUDIT_TOPIC).await;
    assert_eq!((&trail[3]["tag"], &trail[3]["result"]), (&json!("b"), &json!("unknown")));
    assert!(next.was_intended(&request(1, "a")) && next.was_intended(&request(1, "b")));
    assert!(!next.was_intended(&request(1, "c")) && !next.was_intended(&request(2, "a")));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_written_only_when_it_was_offered_again_was_intended() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let again = WriteRequest { id: "setpoints-0-1~3".into(), ..request(1, "a") };
    audit.intend(&"press1".into(), &[again]).await.unwrap();
    let next = AuditLog::new(bus.clone(), TestClock::start());
    assert_eq!(next.recover().await, Ok(1));
    assert!(next.was_intended(&request(1, "a")));
    let result = &values(&*bus, AUDIT_TOPIC).await[1];
    assert_eq!((&result["id"], &result["result"]), (&json!("setpoints-0-1~3"), &json!("unknown")));
}

#[tokio::test(start_paused = true)]
async fn recovery_finds_what_is_open_however_long_the_trail_and_does_it_once() {
    let bus = FaultyBus::new();
    bus.create_topic(&TopicSpec::new(AUDIT_TOPIC, 3)).await.unwrap();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    for id in 0..12_000 {
        if id % 4_000 == 0 {
            let device: Arc<str> = format!("press{id}").into();
            audit.intend(&device, &[request(id, "open")]).await.unwrap();
        }
        write(&audit, id).await;
    }
    for expected in [3, 0] {
        let next = AuditLog::new(bus.clone(), TestClock::start());
        assert_eq!(next.recover().await, Ok(expected));
        assert_eq!(next.recover().await, Ok(0));
    }
    let unknown = values(&*bus, AUDIT_TOPIC).await.into_iter().filter(|value| value["result"] == "unknown");
    assert_eq!(unknown.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn once_all_is_settled_the_place_to_recover_from_moves_on() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let device: Arc<str> = "press1".into();
    for id in 0..600 {
        write(&audit, id).await;
    }
    let at = TopicPartition::new(AUDIT_TOPIC, 0);
    let settled = || async {
        let committed = bus.committed("millstream-audit", std::slice::from_ref(&at)).await.unwrap();
        committed[0].as_ref().map_or(0, |committed| committed.offset)
    };
    let before = settled().await;
    assert!(before >= 1_000, "{before}");
    audit.intend(&device, &[request(9_999, "open")]).await.unwrap();
    for id in 600..1_200 {
        write(&audit, id).await;
    }
    assert_eq!(settled().await, before, "never past an intent without result");
}

#[tokio::test(start_paused = true)]
async fn without_a_log_there_is_no_write_and_an_answer_in_time() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let device: Arc<str> = "press1".into();
    bus.disk_full(AUDIT_TOPIC);
    let refused = audit.intend(&device, &[request(1, "a")]).await.unwrap_err();
    assert!(refused.contains("full"), "{refused}");
    bus.heal();
    bus.slow(Duration::from_hours(1));
    let began = Instant::now();
    assert!(audit.intend(&device, &[request(2, "a")]).await.is_err());
    assert!(began.elapsed() <= INTENT_WAIT + Duration::from_millis(1));
    bus.heal();
    bus.fail_appends(AUDIT_TOPIC, BusError::Unknown(AUDIT_TOPIC.to_owned()));
    assert!(audit.intend(&device, &[request(3, "a")]).await.is_err());
    bus.heal();
    // Those two may be in the log, so that their refusal is a result as well.
    let refusal = |id| report(request(id, "a"), Verdict::Refused { code: "audit", message: String::new() });
    audit.settle(&device, &[refusal(1), refusal(2), refusal(3)]).await;
    audit.flush().await;
    let results: Vec<_> = values(&*bus, AUDIT_TOPIC).await.into_iter().map(|v| v["id"].to_string()).collect();
    assert_eq!(results, ["\"setpoints-0-2\"", "\"setpoints-0-3\""]);
    assert_eq!(values(&*bus, REFUSED_TOPIC).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_find_the_log_away_hold_up_no_device_and_are_bounded() {
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), TestClock::start());
    let device: Arc<str> = "press1".into();
    bus.away();
    let began = Instant::now();
    for id in 0..10 {
        audit.settle(&device, &[written(request(id, "a"))]).await;
    }
    assert!(began.elapsed() <= 11 * SETTLE_WAIT, "{:?}", began.elapsed());
    let many: Vec<_> =
        (0..u32::try_from(PENDING_REPORTS).unwrap()).map(|id| written(request(id, "b"))).collect();
    audit.settle(&device, &many).await;
    assert_eq!(audit.metrics().pending.get(), PENDING_REPORTS as i64);
    assert_eq!(audit.metrics().dropped.get(), 10, "what found no room is counted");
    bus.heal();
    audit.flush().await;
    assert_eq!(values(&*bus, AUDIT_TOPIC).await.len(), PENDING_REPORTS);
    assert!(audit.troubles().is_empty());
}
