//! The guarded sink under the real scheduler and guard: the faults that the PLC4X sink shows in public, and those of its own.

#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "a test")]

mod support;

use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec};
use millstream_connect::ConnectorMetrics;
use millstream_connect::audit::{AUDIT_TOPIC, AuditLog, REFUSED_TOPIC};
use millstream_connect::limits::{PENDING_REPORTS, STOP_WAIT};
use millstream_connect::plc_sink::{PlcSink, SinkDevice};
use millstream_connect::plc_source::PlcSource;
use millstream_connect::task::{TaskHandle, TaskState, supervise};
use millstream_driver::guard::WriteRule;
use millstream_driver::schedule::{DeviceState, Scheduler};
use millstream_model::{Clock, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use support::bus::FaultyBus;
use support::machine::{OnWrite, Scripted};
use support::{TestClock, bytes, eventually, records, values, wait_for_value};
use tokio::time::{Instant, sleep};

const TOPIC: &str = "press1.setpoints";
const ASSET: &str = "acme/press1";

/// One process: its devices, its audit trail, its sinks. The bus and the machine outlive it.
struct Process {
    clock: Arc<TestClock>,
    bus: Arc<FaultyBus>,
    press: Scripted,
    audit: Arc<AuditLog>,
    scheduler: Scheduler,
    rules: Vec<WriteRule>,
    sink: Option<TaskHandle>,
}

fn rules() -> Vec<WriteRule> {
    vec![Scripted::rule("setpoint", "20:INT"), Scripted::rule("speed", "21:REAL")]
}

async fn start(rules: Vec<WriteRule>) -> Process {
    let clock = TestClock::start();
    let press = Scripted::new(&clock);
    press.set("20:INT", Value::Int(0));
    press.set("21:REAL", Value::Real(0.0));
    let bus = FaultyBus::new();
    let mut process = launch(clock, bus, press, rules);
    process.start_sink();
    process.online().await;
    process
}

fn launch(clock: Arc<TestClock>, bus: Arc<FaultyBus>, press: Scripted, rules: Vec<WriteRule>) -> Process {
    let audit = AuditLog::new(bus.clone(), clock.clone());
    let source = PlcSource::new(bus.clone(), clock.clone());
    let device = press.device("press1", &[("pv", "20:INT")], rules.clone());
    let scheduler = Scheduler::start_seeded(vec![device], source, audit.clone(), clock.clone(), 1);
    Process { clock, bus, press, audit, scheduler, rules, sink: None }
}

impl Process {
    fn start_sink(&mut self) {
        let device = SinkDevice {
            device: "press1".into(),
            asset: ASSET.parse().unwrap(),
            topic: TOPIC.into(),
            tags: self.rules.iter().map(|rule| rule.tag.name.clone()).collect(),
        };
        let (bus, clock, audit) = (self.bus.clone(), self.clock.clone(), self.audit.clone());
        let target = Arc::new(self.scheduler.device("press1").unwrap());
        let rules = self.rules.clone();
        self.sink = Some(supervise(ConnectorMetrics::new("sink-press1"), move || {
            let (bus, clock, audit) = (bus.clone(), clock.clone(), audit.clone());
            let all = std::slice::from_ref(&device);
            PlcSink::new(bus, clock, audit, target.clone(), device.clone(), all, rules.clone())
        }));
    }

    fn sink(&self) -> &TaskHandle {
        self.sink.as_ref().unwrap()
    }

    async fn online(&self) {
        let mut state = self.scheduler.device("press1").unwrap().state;
        state.wait_for(|status| status.state == DeviceState::Online).await.unwrap();
        eventually(async || self.bus.describe_topic(TOPIC).await.ok()).await;
    }

    async fn offline(&self) {
        self.press.go_offline();
        let mut state = self.scheduler.device("press1").unwrap().state;
        state.wait_for(|status| status.state == DeviceState::Offline).await.unwrap();
    }

    /// Asks for writes in one batch, as records of now.
    async fn ask(&self, asked: &[(Option<&str>, Option<&str>)]) {
        let now = self.clock.now();
        self.ask_at(now, asked).await;
    }

    async fn ask_at(&self, at: Timestamp, asked: &[(Option<&str>, Option<&str>)]) {
        let record =
            |(key, value): &(Option<&str>, Option<&str>)| Record::new(key.map(bytes), value.map(bytes), at);
        let records = asked.iter().map(record).collect();
        let to = TopicPartition::new(TOPIC, 0);
        self.bus.inner().append(&to, records, Acks::All).await.unwrap();
    }

    async fn ask_for(&self, value: &str) {
        self.ask(&[(None, Some(value))]).await;
    }

    /// Until everything that was asked for is settled and committed.
    async fn settled(&self) {
        let at = TopicPartition::new(TOPIC, 0);
        let group = format!("millstream-sink-press1-{TOPIC}");
        eventually(async || {
            let committed = self.bus.inner().committed(&group, std::slice::from_ref(&at)).await.unwrap();
            let latest = self.bus.inner().offsets(&at).await.unwrap().latest;
            (committed[0].as_ref()?.offset == latest).then_some(())
        })
        .await;
    }

    async fn audit(&self, phase: &str) -> Vec<Json> {
        let mut all = values(&**self.bus.inner(), AUDIT_TOPIC).await;
        all.retain(|value| value["phase"] == phase);
        all
    }

    async fn refused(&self) -> Vec<(i64, String)> {
        let all = values(&**self.bus.inner(), REFUSED_TOPIC).await;
        let reason = |value: &Json| {
            (value["asked_by"]["offset"].as_i64().unwrap(), value["reason"].as_str().unwrap().to_owned())
        };
        let mut refused: Vec<_> = all.iter().map(reason).collect();
        refused.sort();
        refused
    }

    fn written(&self) -> Vec<Value> {
        self.press.written().into_iter().map(|(_, value)| value).collect()
    }

    async fn stop(mut self) {
        if let Some(sink) = self.sink.take() {
            sink.stop().await;
        }
        self.scheduler.stop().await;
        self.audit.stop().await;
    }
}

/// Every intent has exactly one result, and nothing reached the machine without an intent before it (O7).
async fn assert_trail_is_whole(process: &Process) {
    let (intents, results) = (process.audit("intent").await, process.audit("result").await);
    let pair = |value: &Json| (value["id"].to_string(), value["tag"].to_string());
    let mut wanted: Vec<_> = intents.iter().map(pair).collect();
    let mut found: Vec<_> = results.iter().map(pair).collect();
    wanted.sort();
    found.sort();
    assert_eq!(wanted, found);
    assert!(process.press.written().len() <= intents.len());
}

#[tokio::test(start_paused = true)]
async fn an_accepted_write_leaves_who_asked_old_and_new_value_and_the_result() {
    let mut rules = rules();
    rules[0].verify = true;
    rules[0].max_step = Some(100.0);
    let process = start(rules).await;
    process.ask_for(r#"{"setpoint":42}"#).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(42)]);
    let result =
        wait_for_value(&**process.bus.inner(), AUDIT_TOPIC, |value| value["phase"] == "result").await;
    assert_eq!(result["asked_by"], json!({"topic": TOPIC, "partition": 0, "offset": 0}));
    assert_eq!((&result["old"], &result["value"]), (&json!(0), &json!(42)));
    assert_eq!((&result["result"], &result["verified"]), (&json!("written"), &json!(true)));
    assert_eq!(process.audit("intent").await[0]["id"], result["id"]);
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_writes_of_one_tag_in_a_batch_the_newer_is_written() {
    let process = start(rules()).await;
    process.ask(&[(None, Some(r#"{"setpoint":1}"#)), (None, Some(r#"{"setpoint":2}"#))]).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(2)]);
    assert_eq!(process.refused().await, vec![(0, "superseded".to_owned())]);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_of_a_hundred_setpoints_the_newest_is_in_the_machine() {
    let mut rules = rules();
    rules[0].min_interval = Some(Duration::from_secs(1));
    let process = start(rules).await;
    for value in 1..=100 {
        process.ask_for(&format!(r#"{{"setpoint":{value}}}"#)).await;
        sleep(Duration::from_millis(3)).await;
    }
    process.settled().await;
    let written = process.written();
    assert_eq!(written.last(), Some(&Value::Int(100)));
    assert!(written.len() <= 2, "one at once and the newest after the least interval: {written:?}");
    let refused = process.refused().await;
    assert_eq!(refused.len() + written.len(), 100, "every one is written or refused");
    assert!(refused.iter().all(|(_, reason)| reason == "superseded"), "{refused:?}");
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_in_the_refused_topic_before_its_offset_is_committed() {
    let mut rules = rules();
    rules[0].max = Some(90.0);
    let process = start(rules).await;
    process.bus.disk_full(REFUSED_TOPIC);
    process.ask_for(r#"{"setpoint":1000}"#).await;
    process.ask_for(r#"{"valve":1}"#).await;
    sleep(Duration::from_secs(30)).await;
    assert!(process.refused().await.is_empty());
    let group = format!("millstream-sink-press1-{TOPIC}");
    let committed = process.bus.committed(&group, &[TopicPartition::new(TOPIC, 0)]).await.unwrap();
    assert!(committed[0].as_ref().unwrap().offset < 2, "{committed:?}");
    process.bus.heal();
    process.settled().await;
    let refused = process.refused().await;
    assert_eq!(refused, vec![(0, "out-of-range".to_owned()), (1, "not-allowed".to_owned())]);
    let record = &records(&**process.bus.inner(), REFUSED_TOPIC).await[0];
    assert_eq!(record.find_header("__connect.errors.topic").unwrap(), TOPIC.as_bytes());
    assert!(process.written().is_empty());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn tombstones_garbage_unknown_tags_and_wrong_types_are_refused_and_the_task_goes_on() {
    let process = start(rules()).await;
    process
        .ask(&[
            (None, None),
            (None, Some("garbage")),
            (None, Some(&"[".repeat(10_000))),
            (None, Some(r#"{"valve":1}"#)),
            (None, Some(r#"{"setpoint":"high"}"#)),
            (None, Some(r#"{"setpoint":{"value":3}}"#)),
            (None, Some(r#"{"speed":1.5}"#)),
        ])
        .await;
    process.settled().await;
    let reasons = ["tombstone", "malformed", "malformed", "not-allowed", "wrong-type", "wrong-type"];
    let expected: Vec<_> = (0..).zip(reasons.map(str::to_owned)).collect();
    assert_eq!(process.refused().await, expected);
    assert_eq!(process.written(), vec![Value::Real(1.5)]);
    assert_eq!((process.sink().state(), process.sink().metrics().restarts.get()), (TaskState::Running, 0));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_device_rejects_is_no_success() {
    let process = start(rules()).await;
    process.press.machine.lock().on_write = OnWrite::Reject;
    process.ask_for(r#"{"setpoint":5}"#).await;
    process.settled().await;
    let results = process.audit("result").await;
    assert_eq!(results[0]["result"], "failed");
    assert!(results[0]["message"].as_str().unwrap().contains("illegal data address"), "{results:?}");
    assert_eq!(process.refused().await, vec![(0, "rejected".to_owned())]);
    assert!(process.written().is_empty());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plc_that_restarts_in_the_middle_of_a_write_never_hangs_the_sink_nor_gets_the_write_twice() {
    let process = start(rules()).await;
    process.press.machine.lock().on_write = OnWrite::TakeAndVanish;
    process.ask_for(r#"{"setpoint":5}"#).await;
    eventually(async || (!process.press.machine.lock().online).then_some(())).await;
    sleep(Duration::from_secs(2)).await;
    process.press.come_back();
    process.online().await;
    process.ask_for(r#"{"setpoint":6}"#).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(5), Value::Int(6)], "never repeated");
    let results = process.audit("result").await;
    assert!(["written", "unknown"].contains(&results[0]["result"].as_str().unwrap()), "{results:?}");
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_device_never_hangs_the_sink_for_ever() {
    let process = start(rules()).await;
    process.press.machine.lock().on_write = OnWrite::Hang;
    process.ask_for(r#"{"setpoint":5}"#).await;
    sleep(Duration::from_secs(5)).await;
    process.ask_for(r#"{"valve":1}"#).await;
    wait_for_value(&**process.bus.inner(), REFUSED_TOPIC, |value| value["reason"] == "not-allowed").await;
    process.press.come_back();
    sleep(Duration::from_mins(3)).await;
    process.ask_for(r#"{"setpoint":6}"#).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(6)]);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_only_the_newest_value_of_each_tag_is_written() {
    let process = start(rules()).await;
    process.offline().await;
    for value in 1..=50 {
        process.ask_for(&format!(r#"{{"setpoint":{value},"speed":{value}}}"#)).await;
        sleep(Duration::from_millis(20)).await;
    }
    process.press.come_back();
    process.settled().await;
    let written = process.press.written();
    assert_eq!(
        written,
        vec![("20:INT".to_owned(), Value::Int(50)), ("21:REAL".to_owned(), Value::Real(50.0))]
    );
    assert_eq!(process.refused().await.len(), 98);
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_days_offline_nothing_old_is_written_and_memory_stays_bounded() {
    let process = start(rules()).await;
    process.offline().await;
    for round in 0..200 {
        process.ask_for(&format!(r#"{{"setpoint":{round}}}"#)).await;
        sleep(Duration::from_mins(20)).await;
    }
    assert!(process.audit.metrics().pending.get() <= 1);
    process.press.come_back();
    process.online().await;
    sleep(Duration::from_mins(1)).await;
    assert!(process.written().is_empty(), "{:?}", process.written());
    assert_eq!(process.refused().await.len(), 200, "every one is told");
    process.ask_for(r#"{"setpoint":7}"#).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(7)]);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn outages_without_number_never_use_up_a_budget() {
    let process = start(rules()).await;
    for round in 1..=50 {
        process.offline().await;
        process.ask_for(&format!(r#"{{"setpoint":{round}}}"#)).await;
        sleep(Duration::from_secs(3)).await;
        process.press.come_back();
        process.online().await;
        process.settled().await;
        sleep(Duration::from_mins(2)).await;
    }
    assert_eq!(process.written(), (1..=50).map(Value::Int).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_device_is_away_the_sink_does_not_spin() {
    let process = start(rules()).await;
    process.offline().await;
    process.ask_for(r#"{"setpoint":1}"#).await;
    sleep(Duration::from_secs(1)).await;
    let before = process.bus.append_count();
    sleep(Duration::from_hours(1)).await;
    assert!(process.bus.append_count() - before < 10, "{} appends", process.bus.append_count() - before);
    assert_eq!(process.sink().metrics().retries.get(), 0);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_from_before_the_first_start_is_not_obeyed_nor_is_a_fresh_command_lost() {
    let clock = TestClock::start();
    let press = Scripted::new(&clock);
    press.set("20:INT", Value::Int(0));
    let bus = FaultyBus::new();
    let mut process = launch(clock, bus, press, rules());
    process.bus.create_topic(&TopicSpec::new(TOPIC, 1)).await.unwrap();
    let year_ago = Timestamp(process.clock.now().0 - 31_536_000_000);
    for _ in 0..100 {
        process.ask_at(year_ago, &[(None, Some(r#"{"setpoint":1}"#))]).await;
    }
    process.ask_for(r#"{"setpoint":2}"#).await;
    process.start_sink();
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(2)]);
    assert!(process.refused().await.is_empty());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_intent_and_result_is_settled_as_unknown_and_never_repeated() {
    let mut process = start(rules()).await;
    process.press.machine.lock().on_write = OnWrite::Hang;
    process.ask_for(r#"{"setpoint":5}"#).await;
    eventually(async || (!process.audit("intent").await.is_empty()).then_some(())).await;
    // kill -9: nothing of the process goes on; the log and the machine stay.
    let log = process.bus.inner().clone();
    process.bus.away();
    drop(process.sink.take());
    let Process { clock, press, scheduler, .. } = process;
    scheduler.stop().await;
    log.expire_members(&format!("millstream-sink-press1-{TOPIC}"));
    press.come_back();

    let mut process = launch(clock, FaultyBus::over(log), press, rules());
    assert_eq!(process.audit.recover().await, Ok(1));
    process.start_sink();
    process.online().await;
    process.settled().await;
    let results = process.audit("result").await;
    assert_eq!(results.len(), 1);
    assert_eq!((&results[0]["result"], &results[0]["tag"]), (&json!("unknown"), &json!("setpoint")));
    assert!(process.written().is_empty(), "the command was handed over once");
    assert_eq!(process.refused().await, vec![(0, "duplicate".to_owned())]);
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_write_happens_without_a_durable_intent() {
    let process = start(rules()).await;
    process.bus.disk_full(AUDIT_TOPIC);
    process.ask_for(r#"{"setpoint":5}"#).await;
    process.settled().await;
    assert!(process.written().is_empty());
    assert_eq!(process.refused().await, vec![(0, "audit".to_owned())]);
    process.bus.heal();
    process.ask_for(r#"{"setpoint":6}"#).await;
    process.settled().await;
    assert_eq!(process.written(), vec![Value::Int(6)]);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_finds_the_log_away_is_written_when_it_is_back() {
    let mut rules = rules();
    rules[0].verify = true;
    let process = start(rules).await;
    process.press.machine.lock().on_write = OnWrite::Hang;
    process.ask_for(r#"{"setpoint":5}"#).await;
    eventually(async || (!process.audit("intent").await.is_empty()).then_some(())).await;
    process.bus.disk_full(AUDIT_TOPIC);
    sleep(Duration::from_mins(5)).await;
    assert!(process.audit("result").await.is_empty());
    process.bus.heal();
    process.settled().await;
    assert_trail_is_whole(&process).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_goes_and_comes_costs_no_command() {
    let process = start(rules()).await;
    process.bus.inner().expire_members(&format!("millstream-sink-press1-{TOPIC}"));
    process.bus.away();
    process.ask_for(r#"{"setpoint":5}"#).await;
    sleep(Duration::from_secs(5)).await;
    process.bus.heal();
    process.settled().await;
    let reached = process.written() == vec![Value::Int(5)];
    let told = process.refused().await.iter().any(|(offset, _)| *offset == 0);
    assert!(reached || told);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_loses_its_group_goes_on_and_tells_nothing_twice() {
    let process = start(rules()).await;
    for round in 0..20 {
        process.ask(&[(None, Some("garbage")), (None, Some(&format!(r#"{{"setpoint":{round}}}"#)))]).await;
        let group = format!("millstream-sink-press1-{TOPIC}");
        eventually(async || (process.written().last() == Some(&Value::Int(round))).then_some(())).await;
        process.bus.inner().expire_members(&group);
        process.settled().await;
    }
    assert_eq!(process.written(), (0..20).map(Value::Int).collect::<Vec<_>>());
    let refused = process.refused().await;
    assert_eq!(refused, (0..20).map(|round| (round * 2, "malformed".to_owned())).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_log_has_no_room_for_refusals_commits_none_of_them() {
    let mut process = start(rules()).await;
    process.bus.disk_full(REFUSED_TOPIC);
    let count = i64::try_from(PENDING_REPORTS).unwrap() + 100;
    for _ in 0..count {
        process.ask(&[(None, Some("garbage"))]).await;
    }
    sleep(Duration::from_secs(20)).await;
    process.sink.take().unwrap().stop().await;
    let group = format!("millstream-sink-press1-{TOPIC}");
    let committed = process.bus.inner().committed(&group, &[TopicPartition::new(TOPIC, 0)]).await.unwrap();
    assert!(committed[0].as_ref().is_none_or(|committed| committed.offset == 0), "{committed:?}");
    process.bus.heal();
    process.start_sink();
    process.settled().await;
    let mut told: Vec<_> = process.refused().await.into_iter().map(|(offset, _)| offset).collect();
    told.dedup();
    assert_eq!(told, (0..count).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn devices_that_share_a_topic_obey_their_own_keys_and_strays_are_told_once() {
    let clock = TestClock::start();
    let bus = FaultyBus::new();
    let audit = AuditLog::new(bus.clone(), clock.clone());
    let source = PlcSource::new(bus.clone(), clock.clone());
    let machines = [Scripted::new(&clock), Scripted::new(&clock)];
    let names = ["press1", "press2"];
    let devices: Vec<_> = names
        .iter()
        .zip(&machines)
        .map(|(name, machine)| machine.device(name, &[], vec![Scripted::rule("setpoint", "20:INT")]))
        .collect();
    let scheduler = Scheduler::start_seeded(devices, source, audit.clone(), clock.clone(), 1);
    let sinks: Vec<_> = names
        .iter()
        .map(|name| SinkDevice {
            device: (*name).into(),
            asset: format!("acme/{name}").parse().unwrap(),
            topic: "setpoints".into(),
            tags: vec!["setpoint".into()],
        })
        .collect();
    let mut tasks = Vec::new();
    for sink in sinks.clone() {
        let target = Arc::new(scheduler.device(&sink.device).unwrap());
        let (bus, clock, audit, all) = (bus.clone(), clock.clone(), audit.clone(), sinks.clone());
        tasks.push(supervise(ConnectorMetrics::new(&*sink.device), move || {
            let rules = vec![Scripted::rule("setpoint", "20:INT")];
            PlcSink::new(bus.clone(), clock.clone(), audit.clone(), target.clone(), sink.clone(), &all, rules)
        }));
    }
    eventually(async || bus.describe_topic("setpoints").await.ok()).await;
    let record = |key: &str, value: &str| Record::new(Some(bytes(key)), Some(bytes(value)), clock.now());
    let commands = vec![
        record("acme/press1", r#"{"setpoint":1}"#),
        record("acme/press2/setpoint", r#"{"timestamp_ms":1700000000000,"value":2}"#),
        record("acme/press3", r#"{"setpoint":3}"#),
    ];
    bus.append(&TopicPartition::new("setpoints", 0), commands, Acks::All).await.unwrap();
    let stray = wait_for_value(&*bus, REFUSED_TOPIC, |value| value["reason"] == "no-device").await;
    assert_eq!(stray["asked_by"]["offset"], 2);
    eventually(async || machines.iter().all(|machine| machine.written().len() == 1).then_some(())).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(machines[0].written(), vec![("20:INT".to_owned(), Value::Int(1))]);
    assert_eq!(machines[1].written(), vec![("20:INT".to_owned(), Value::Int(2))]);
    assert_eq!(records(&*bus, REFUSED_TOPIC).await.len(), 1);
    for task in tasks {
        task.stop().await;
    }
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_sink_stops_within_five_seconds_even_with_a_write_under_way() {
    let mut process = start(rules()).await;
    process.press.machine.lock().on_write = OnWrite::Hang;
    process.ask_for(r#"{"setpoint":5}"#).await;
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    process.sink.take().unwrap().stop().await;
    assert!(began.elapsed() <= STOP_WAIT, "{:?}", began.elapsed());
    process.stop().await;
}
