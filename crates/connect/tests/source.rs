//! The PLC source under the real scheduler: what a scan becomes, and what becomes of scans that are missing.

#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "a test")]

mod support;

use millstream_bus::{Bus, BusError, Record, TopicSpec};
use millstream_connect::plc_source::{
    DEVICES_TOPIC, Layout, MISSED, Mode, PlcSource, STARTED, SourceGroup, SourceTag,
};
use millstream_driver::GroupIndex;
use millstream_driver::guard::WriteRequest;
use millstream_driver::schedule::{AuditTrail, DeviceConfig, Scan, ScanObserver, Scheduler, WriteReport};
use millstream_model::{Cell, DataType, Row, Status, TagType, Timestamp, Value};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::bus::FaultyBus;
use support::machine::Scripted;
use support::{START, TestClock, eventually, records, values, wait_for_value};
use tokio::time::{Instant, sleep};

const TOPIC: &str = "machine.telemetry";

struct NoWrites;

#[async_trait::async_trait]
impl AuditTrail for NoWrites {
    async fn intend(&self, _: &Arc<str>, _: &[WriteRequest]) -> Result<(), String> {
        Err("nothing is written here".to_owned())
    }

    async fn settle(&self, _: &Arc<str>, _: &[WriteReport]) {}
}

fn tag(name: &str) -> SourceTag {
    SourceTag { name: name.into(), tag_type: None, scale: 1.0, offset: 0.0, deadband: 0.0, unit: None }
}

fn group(tags: &[&str]) -> SourceGroup {
    SourceGroup {
        device: "press1".into(),
        group: "fast".into(),
        asset: "acme/berlin/press1".parse().unwrap(),
        topic: TOPIC.into(),
        layout: Layout::Row,
        mode: Mode::Always,
        tags: tags.iter().map(|name| tag(name)).collect(),
    }
}

/// One press with its source on a bus with faults.
struct Plant {
    clock: Arc<TestClock>,
    bus: Arc<FaultyBus>,
    source: Arc<PlcSource>,
    press: Scripted,
}

fn plant(group: SourceGroup) -> Plant {
    let clock = TestClock::start();
    let bus = FaultyBus::new();
    let source = PlcSource::new(bus.clone(), clock.clone());
    source.set_device(&"press1".into(), vec![group]);
    Plant { press: Scripted::new(&clock), clock, bus, source }
}

impl Plant {
    fn start(&self, config: DeviceConfig) -> Scheduler {
        let (source, clock) = (self.source.clone(), self.clock.clone());
        Scheduler::start_seeded(vec![config], source, Arc::new(NoWrites), clock, 1)
    }

    /// Hands one row of `cells` to the source, as the scheduler does.
    async fn scan(&self, at: i64, cells: Vec<Cell>, missed: u64) {
        let row = Row { read_at: Timestamp(at), cells };
        let scan = Scan { device: &"press1".into(), group: GroupIndex(0), row: &row, missed };
        self.source.scanned(scan).await;
    }

    async fn records(&self) -> Vec<Record> {
        self.source.flush().await;
        records(&*self.bus, TOPIC).await
    }
}

fn int(value: i64) -> Cell {
    Cell::Good(Value::Int(value))
}

fn text(record: &Record) -> &str {
    std::str::from_utf8(record.value.as_deref().unwrap()).unwrap()
}

fn missed(record: &Record) -> u64 {
    record.find_header(MISSED).map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_bad_tag_of_ten_never_costs_the_other_nine() {
    let names: Vec<String> = (0..10).map(|index| format!("t{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plant = plant(group(&names));
    let addresses: Vec<String> = (0..10).map(|index| format!("{index}:INT")).collect();
    for (index, address) in addresses.iter().enumerate() {
        plant.press.set(address, Value::Int(index as i64));
    }
    plant.press.machine.lock().broken.insert("3:INT".to_owned());
    let tags: Vec<_> = names.iter().copied().zip(addresses.iter().map(String::as_str)).collect();
    let scheduler = plant.start(plant.press.device("press1", &tags, vec![]));
    let value = wait_for_value(&*plant.bus, TOPIC, |_| true).await;
    for (index, name) in names.iter().enumerate() {
        assert_eq!(value[name], if index == 3 { json!(null) } else { json!(index) });
    }
    assert_eq!(value["_bad"], json!({"t3": "BadNodeIdUnknown"}));
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_has_the_asset_as_key_and_the_time_of_reading() {
    let plant = plant(group(&["a"]));
    plant.scan(START.0 + 5, vec![int(1)], 0).await;
    let records = plant.records().await;
    assert_eq!(records[0].key.as_deref(), Some(&b"acme/berlin/press1"[..]));
    assert_eq!(
        (records[0].timestamp, text(&records[0])),
        (START.plus(Duration::from_millis(5)), r#"{"a":1}"#)
    );
    // The first record after a start says since when scans are counted, the others say nothing.
    plant.scan(START.0 + 105, vec![int(1)], 0).await;
    let records = plant.records().await;
    let started = records[0].find_header(STARTED).map(|text| std::str::from_utf8(text).unwrap().to_owned());
    assert_eq!((records[0].headers.len(), started), (1, Some(START.0.to_string())));
    assert!(records[1].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tag_records_go_to_a_key_of_their_own_when_they_change() {
    let plant = plant(SourceGroup { layout: Layout::Tag, ..group(&["a", "b"]) });
    plant.scan(1, vec![int(1), int(7)], 0).await;
    plant.scan(2, vec![int(2), int(7)], 0).await;
    plant.scan(3, vec![int(2), Cell::Bad(Status::BadTimeout)], 0).await;
    plant.scan(4, vec![int(2), Cell::Bad(Status::BadTimeout)], 0).await;
    let seen: Vec<_> = plant
        .records()
        .await
        .iter()
        .map(|record| {
            let key = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
            let quality = record.find_header("quality").unwrap().clone();
            (key, text(record).to_owned(), String::from_utf8(quality.to_vec()).unwrap())
        })
        .collect();
    let entry = |tag: &str, value: &str, quality: &str| {
        (format!("acme/berlin/press1/{tag}"), value.to_owned(), quality.to_owned())
    };
    assert_eq!(
        seen,
        vec![
            entry("a", r#"{"timestamp_ms":1,"value":1}"#, "Good"),
            entry("b", r#"{"timestamp_ms":1,"value":7}"#, "Good"),
            entry("a", r#"{"timestamp_ms":2,"value":2}"#, "Good"),
            entry("b", r#"{"timestamp_ms":3,"value":null}"#, "BadTimeout"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn plc4x_records_look_like_the_connectors() {
    let layout = Layout::Plc4x { key_schemas: false, value_schemas: true };
    let int_type = Some(TagType::scalar(DataType::Int));
    let tags = vec![SourceTag { tag_type: int_type, ..tag("pv") }];
    let plant = plant(SourceGroup { layout, tags, ..group(&[]) });
    plant.scan(42, vec![Cell::Bad(Status::BadTimeout)], 0).await;
    let records = plant.records().await;
    assert_eq!(records[0].key.as_deref(), Some(&br#"{"sourceName":"press1","jobName":"fast"}"#[..]));
    let value: serde_json::Value = serde_json::from_str(text(&records[0])).unwrap();
    assert_eq!(value["payload"], json!({"tags": {"pv": null}, "timestamp": 42, "expires": null}));
    assert_eq!(value["schema"]["fields"][0]["fields"][0]["type"], "int16");
    assert_eq!(records[0].find_header("_bad").unwrap(), &br#"{"pv":"BadTimeout"}"#[..]);
}

#[tokio::test(start_paused = true)]
async fn on_change_sends_past_the_deadband_and_a_full_row_after_the_longest_interval() {
    let mode = Mode::OnChange { max_interval: Some(Duration::from_secs(10)) };
    let tags = vec![SourceTag { deadband: 5.0, scale: 0.1, ..tag("a") }, tag("b")];
    let plant = plant(SourceGroup { mode, tags, ..group(&[]) });
    for raw in [100, 120, 149, 150, 151] {
        plant.scan(raw, vec![int(raw), int(0)], 0).await;
        sleep(Duration::from_secs(1)).await;
    }
    let sent = |records: &[Record]| records.iter().map(|record| text(record).to_owned()).collect::<Vec<_>>();
    let first = vec![r#"{"a":10.0,"b":0}"#.to_owned(), r#"{"a":15.0,"b":0}"#.to_owned()];
    assert_eq!(sent(&plant.records().await), first);
    sleep(Duration::from_secs(8)).await;
    plant.scan(152, vec![int(152), int(0)], 0).await;
    assert_eq!(sent(&plant.records().await)[2..], [r#"{"a":15.2,"b":0}"#.to_owned()]);
    plant.scan(153, vec![Cell::Bad(Status::BadTimeout), int(0)], 0).await;
    plant.scan(154, vec![Cell::Bad(Status::BadTimeout), int(0)], 0).await;
    assert_eq!(plant.records().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn missed_scans_are_told_even_when_nothing_changed_meanwhile() {
    let mode = Mode::OnChange { max_interval: None };
    let plant = plant(SourceGroup { mode, ..group(&["a"]) });
    plant.scan(1, vec![int(1)], 0).await;
    plant.scan(2, vec![int(1)], 3).await;
    plant.scan(3, vec![int(1)], 4).await;
    plant.scan(4, vec![int(2)], 0).await;
    let records = plant.records().await;
    assert_eq!(records.iter().map(missed).collect::<Vec<_>>(), vec![0, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_device_is_told_at_once_by_a_row_and_by_its_state_with_the_cause() {
    let plant = plant(group(&["a", "b"]));
    plant.press.set("1:INT", Value::Int(5));
    plant.press.set("2:INT", Value::Int(6));
    let scheduler = plant.start(plant.press.device("press1", &[("a", "1:INT"), ("b", "2:INT")], vec![]));
    wait_for_value(&*plant.bus, TOPIC, |value| value["a"] == 5).await;
    plant.press.go_offline();
    let gone = Instant::now();
    let row = wait_for_value(&*plant.bus, TOPIC, |value| value["a"].is_null()).await;
    assert!(gone.elapsed() < Duration::from_millis(300), "{:?}", gone.elapsed());
    let all_bad = json!({"a": "BadCommunicationError", "b": "BadCommunicationError"});
    assert_eq!(row, json!({"a": null, "b": null, "_bad": all_bad}));
    let state = wait_for_value(&*plant.bus, DEVICES_TOPIC, |value| value["state"] == "offline").await;
    assert_eq!(state["cause"], "the machine is gone");
    assert_eq!((&state["device"], &state["asset"]), (&json!("press1"), &json!("acme/berlin/press1")));
    let topic = plant.bus.describe_topic(DEVICES_TOPIC).await.unwrap();
    assert_eq!(topic.configs.get("cleanup.policy").map(String::as_str), Some("compact"));
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plc_that_is_down_at_the_start_and_for_days_costs_no_memory_and_no_restart() {
    let plant = plant(group(&["a"]));
    plant.press.set("1:INT", Value::Int(5));
    plant.press.go_offline();
    let scheduler = plant.start(plant.press.device("press1", &[("a", "1:INT")], vec![]));
    wait_for_value(&*plant.bus, DEVICES_TOPIC, |value| value["state"] == "offline").await;
    sleep(Duration::from_hours(72)).await;
    plant.source.flush().await;
    assert_eq!(values(&*plant.bus, TOPIC).await.len(), 1, "one row says that it is away");
    assert!(records(&*plant.bus, DEVICES_TOPIC).await.len() <= 3, "a state is told when it changes");
    assert_eq!(plant.source.metrics().pending.get(), 0);
    let connects = plant.press.machine.lock().connects;
    assert!(connects < 20_000, "{connects} attempts in 72 h");
    plant.press.come_back();
    wait_for_value(&*plant.bus, TOPIC, |value| value["a"] == 5).await;
    let state = wait_for_value(&*plant.bus, DEVICES_TOPIC, |value| value["state"] == "online").await;
    assert_eq!(state["cause"], "");
    scheduler.stop().await;
}

/// O2: every number that the counter took and that no record has is covered by the header of the record after it.
fn assert_every_missing_number_is_covered(records: &[Record], scans: i64) {
    let mut last = 0;
    for record in records {
        let json: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let Some(count) = json["count"].as_i64() else { continue };
        assert!(count > last, "{count} after {last}");
        assert!(missed(record) as i64 >= count - last - 1, "{last} to {count}: {} told", missed(record));
        last = count;
    }
    assert!(last > 0 && last <= scans, "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_the_cycle_longer_and_tells_every_missing_scan() {
    let plant = plant(group(&["count"]));
    plant.press.set("1:INT", Value::Int(0));
    plant.press.machine.lock().counter = Some("1:INT".to_owned());
    let scheduler = plant.start(plant.press.device("press1", &[("count", "1:INT")], vec![]));
    sleep(Duration::from_secs(5)).await;
    plant.bus.disk_full(TOPIC);
    sleep(Duration::from_mins(2)).await;
    assert!(plant.source.metrics().pending.get() <= 20, "bounded: {}", plant.source.metrics().pending.get());
    assert!(plant.source.troubles()[0].contains("full"), "{:?}", plant.source.troubles());
    plant.bus.heal();
    sleep(Duration::from_secs(10)).await;
    scheduler.stop().await;
    plant.source.flush().await;
    let records = plant.records().await;
    let reads = plant.press.machine.lock().reads;
    assert_every_missing_number_is_covered(&records, reads as i64);
    let covered: u64 = records.iter().map(missed).sum::<u64>() + records.len() as u64;
    assert!(covered >= 1_300, "137 s at 100 ms, {covered} covered");
    assert!(plant.source.troubles().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_costs_a_scan_nothing_while_there_is_room() {
    let plant = plant(group(&["count"]));
    plant.bus.slow(Duration::from_millis(500));
    plant.press.set("1:INT", Value::Int(0));
    plant.press.machine.lock().counter = Some("1:INT".to_owned());
    let scheduler = plant.start(plant.press.device("press1", &[("count", "1:INT")], vec![]));
    sleep(Duration::from_mins(1)).await;
    scheduler.stop().await;
    let records = plant.records().await;
    assert!(records.len() >= 595, "{} records in 60 s at 100 ms", records.len());
    assert_eq!(records.iter().map(missed).sum::<u64>(), 0);
    assert!(plant.bus.append_count() <= 130, "records that wait go together: {}", plant.bus.append_count());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_away_at_the_start_is_used_when_it_comes() {
    let plant = plant(group(&["a"]));
    plant.bus.away();
    plant.scan(1, vec![int(1)], 0).await;
    sleep(Duration::from_mins(1)).await;
    plant.bus.heal();
    assert_eq!(plant.records().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_can_never_be_appended_costs_the_others_nothing_and_is_told() {
    let plant = plant(group(&["a"]));
    plant.bus.create_topic(&TopicSpec::new(TOPIC, 1)).await.unwrap();
    plant.bus.slow(Duration::from_millis(1));
    plant.scan(1, vec![int(1)], 0).await;
    let huge = Value::Text("x".repeat(millstream_bus::limits::RECORD_BYTES).into());
    plant.scan(2, vec![Cell::Good(huge)], 0).await;
    plant.scan(3, vec![int(3)], 0).await;
    plant.source.flush().await;
    plant.scan(4, vec![int(4)], 0).await;
    let records = plant.records().await;
    let values: Vec<_> = records.iter().map(|record| (text(record), missed(record))).collect();
    assert_eq!(values, vec![(r#"{"a":1}"#, 0), (r#"{"a":3}"#, 0), (r#"{"a":4}"#, 1)]);
}

#[tokio::test(start_paused = true)]
async fn states_are_told_while_the_log_is_away_and_only_the_newest_are_kept() {
    use millstream_driver::schedule::{DeviceState, StateChange};
    let plant = plant(group(&["a"]));
    plant.bus.away();
    for round in 0..1_000 {
        let state = if round % 2 == 0 { DeviceState::Online } else { DeviceState::Offline };
        let change =
            StateChange { device: "press1".into(), state, at: Timestamp(round), cause: format!("{round}") };
        plant.source.state_changed(change).await;
    }
    assert!(plant.source.metrics().pending.get() <= 17, "{}", plant.source.metrics().pending.get());
    plant.bus.heal();
    let last = wait_for_value(&*plant.bus, DEVICES_TOPIC, |value| value["since_ms"] == 999).await;
    assert_eq!((&last["state"], &last["cause"]), (&json!("offline"), &json!("999")));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_devices_share_appends() {
    let clock = TestClock::start();
    let bus = FaultyBus::new();
    bus.slow(Duration::from_millis(5));
    let source = PlcSource::new(bus.clone(), clock);
    let names: Vec<Arc<str>> = (0..1_000).map(|index| format!("m{index}").into()).collect();
    for name in &names {
        let asset = format!("acme/{name}").parse().unwrap();
        source.set_device(name, vec![SourceGroup { device: name.clone(), asset, ..group(&["a"]) }]);
    }
    for round in 0..10 {
        for device in &names {
            let row = Row { read_at: Timestamp(round), cells: vec![int(round)] };
            source.scanned(Scan { device, group: GroupIndex(0), row: &row, missed: 0 }).await;
        }
    }
    source.flush().await;
    let records = records(&*bus, TOPIC).await;
    assert_eq!(records.len(), 10_000);
    assert!(bus.append_count() < 200, "{} appends", bus.append_count());
    for name in ["acme/m0", "acme/m999"] {
        let of_one = records.iter().filter(|record| record.key.as_deref() == Some(name.as_bytes()));
        let times: Vec<_> = of_one.map(|record| record.timestamp.0).collect();
        assert_eq!(times, (0..10).collect::<Vec<_>>(), "order per key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_device_tells_what_the_one_before_had_missed() {
    let mode = Mode::OnChange { max_interval: None };
    let plant = plant(SourceGroup { mode, ..group(&["a"]) });
    plant.scan(1, vec![int(1)], 0).await;
    plant.scan(2, vec![int(1)], 3).await;
    plant.source.set_device(&"press1".into(), vec![group(&["a", "b"])]);
    plant.scan(3, vec![int(1), int(2)], 1).await;
    let records = plant.records().await;
    assert_eq!(records.iter().map(missed).collect::<Vec<_>>(), vec![0, 4]);
    // Nobody scanned while it was replaced.
    assert!(records.iter().all(|record| record.find_header(STARTED).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_removed_device_leaves_no_state_behind() {
    let plant = plant(group(&["a"]));
    plant.source.remove_device("press1");
    plant.source.flush().await;
    let states = records(&*plant.bus, DEVICES_TOPIC).await;
    assert_eq!((states[0].key.as_deref(), &states[0].value), (Some(&b"press1"[..]), &None));
    plant.scan(1, vec![int(1)], 0).await;
    assert!(plant.records().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_writes_what_is_left_and_takes_no_longer_than_five_seconds() {
    let plant = plant(group(&["a"]));
    plant.scan(1, vec![int(1)], 0).await;
    plant.source.stop().await;
    assert_eq!(records(&*plant.bus, TOPIC).await.len(), 1);

    let plant = self::plant(group(&["a"]));
    plant.bus.fail_appends(TOPIC, BusError::Unknown(TOPIC.to_owned()));
    plant.scan(1, vec![int(1)], 0).await;
    let began = Instant::now();
    plant.source.stop().await;
    assert!(began.elapsed() <= Duration::from_millis(5_010), "{:?}", began.elapsed());
    eventually(async || (plant.source.metrics().state.get() == 0).then_some(())).await;
}
