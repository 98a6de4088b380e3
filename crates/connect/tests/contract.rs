//! The PLC source and the PLC sink keep what `connect::contract` demands.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "a test")]

mod support;

use async_trait::async_trait;
use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec};
use millstream_connect::ConnectorMetrics;
use millstream_connect::audit::{AuditLog, REFUSED_TOPIC};
use millstream_connect::contract::{SinkSubject, SourceSubject};
use millstream_connect::plc_sink::{PlcSink, SinkDevice};
use millstream_connect::plc_source::{Layout, MISSED, Mode, PlcSource, SourceGroup, SourceTag};
use millstream_connect::task::{TaskHandle, supervise};
use millstream_driver::GroupIndex;
use millstream_driver::schedule::{DeviceState, Scan, ScanObserver, Scheduler};
use millstream_model::{Cell, Clock, Row, Timestamp, Value};
use std::sync::Arc;
use support::bus::FaultyBus;
use support::machine::{OnWrite, Scripted};
use support::{TestClock, bytes, eventually, records, values};

millstream_connect::source_contract!(plc_source, std::future::ready(PlcSourceSubject::start()));
millstream_connect::sink_contract!(plc_sink, PlcSinkSubject::new());

struct PlcSourceSubject {
    bus: Arc<FaultyBus>,
    source: Arc<PlcSource>,
}

impl PlcSourceSubject {
    fn start() -> Self {
        let bus = FaultyBus::new();
        let source = PlcSource::new(bus.clone(), TestClock::start());
        let tag = SourceTag {
            name: "n".into(),
            tag_type: None,
            scale: 1.0,
            offset: 0.0,
            deadband: 0.0,
            unit: None,
        };
        let group = SourceGroup {
            device: "press1".into(),
            group: "fast".into(),
            asset: "acme/press1".parse().unwrap(),
            topic: "telemetry".into(),
            layout: Layout::Row,
            mode: Mode::Always,
            tags: vec![tag],
        };
        source.set_device(&"press1".into(), vec![group]);
        Self { bus, source }
    }
}

#[async_trait]
impl SourceSubject for PlcSourceSubject {
    async fn sample(&self, number: u64) {
        let row = Row { read_at: Timestamp(0), cells: vec![Cell::Good(Value::UInt(number))] };
        let device = "press1".into();
        self.source.scanned(Scan { device: &device, group: GroupIndex(0), row: &row, missed: 0 }).await;
    }

    async fn told(&self) -> Vec<(u64, u64)> {
        let records = records(&**self.bus.inner(), "telemetry").await;
        let missed = |record: &Record| {
            let header = record.find_header(MISSED);
            header.map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap())
        };
        let number = |record: &Record| {
            let json: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            json["n"].as_u64().unwrap()
        };
        records.iter().map(|record| (number(record), missed(record))).collect()
    }

    fn fill_log(&self) {
        self.bus.disk_full("");
    }

    fn make_room(&self) {
        self.bus.heal();
    }

    fn metrics(&self) -> Arc<ConnectorMetrics> {
        self.source.metrics().clone()
    }

    async fn stop(&self) {
        self.source.stop().await;
    }
}

const TOPIC: &str = "setpoints";

struct PlcSinkSubject {
    clock: Arc<TestClock>,
    bus: Arc<FaultyBus>,
    press: Scripted,
    audit: Arc<AuditLog>,
    scheduler: Scheduler,
    device: SinkDevice,
}

impl PlcSinkSubject {
    async fn new() -> Self {
        let clock = TestClock::start();
        let bus = FaultyBus::new();
        bus.create_topic(&TopicSpec::new(TOPIC, 1)).await.unwrap();
        let press = Scripted::new(&clock);
        press.set("20:DINT", Value::Int(-1));
        let audit = AuditLog::new(bus.clone(), clock.clone());
        let source = PlcSource::new(bus.clone(), clock.clone());
        let device =
            press.device("press1", &[("pv", "20:DINT")], vec![Scripted::rule("setpoint", "20:DINT")]);
        let scheduler = Scheduler::start_seeded(vec![device], source, audit.clone(), clock.clone(), 1);
        let mut state = scheduler.device("press1").unwrap().state;
        state.wait_for(|status| status.state == DeviceState::Online).await.unwrap();
        let device = SinkDevice {
            device: "press1".into(),
            asset: "acme/press1".parse().unwrap(),
            topic: TOPIC.into(),
            tags: vec!["setpoint".into()],
        };
        Self { clock, bus, press, audit, scheduler, device }
    }

    async fn append(&self, value: Option<String>) {
        let record = Record::new(None, value.map(Into::into), self.clock.now());
        self.bus.append(&TopicPartition::new(TOPIC, 0), vec![record], Acks::All).await.unwrap();
    }
}

#[async_trait]
impl SinkSubject for PlcSinkSubject {
    fn start(&self) -> TaskHandle {
        let (bus, clock, audit) = (self.bus.clone(), self.clock.clone(), self.audit.clone());
        let target = Arc::new(self.scheduler.device("press1").unwrap());
        let device = self.device.clone();
        supervise(ConnectorMetrics::new("sink-press1"), move || {
            let rules = vec![Scripted::rule("setpoint", "20:DINT")];
            let all = std::slice::from_ref(&device);
            PlcSink::new(
                bus.clone(),
                clock.clone(),
                audit.clone(),
                target.clone(),
                device.clone(),
                all,
                rules,
            )
        })
    }

    async fn ask(&self, number: i64) {
        self.append(Some(format!(r#"{{"setpoint":{number}}}"#))).await;
    }

    async fn ask_nonsense(&self) {
        self.append(None).await;
    }

    async fn at_destination(&self) -> Vec<i64> {
        let written = self.press.written().into_iter();
        written
            .map(|(_, value)| if let Value::Int(value) = value { value } else { panic!("{value:?}") })
            .collect()
    }

    async fn refused(&self) -> Vec<i64> {
        let refused = values(&**self.bus.inner(), REFUSED_TOPIC).await;
        // A command that was handed over before the sink was stopped is at the device, and is not taken twice.
        let own = refused.into_iter().filter(|value| value["reason"] != "duplicate");
        own.map(|value| value["asked_by"]["offset"].as_i64().unwrap()).collect()
    }

    async fn committed(&self) -> i64 {
        let at = TopicPartition::new(TOPIC, 0);
        let committed = self.bus.committed(&self.device.group(), &[at]).await.unwrap();
        committed[0].as_ref().map_or(0, |committed| committed.offset)
    }

    fn cut_off(&self) {
        self.press.go_offline();
    }

    fn come_back(&self) {
        self.press.come_back();
    }

    fn fall_silent(&self) {
        self.press.machine.lock().on_write = OnWrite::Hang;
    }
}

#[tokio::test(start_paused = true)]
async fn the_scripted_machine_takes_what_it_is_given() {
    let subject = PlcSinkSubject::new().await;
    let task = subject.start();
    subject
        .bus
        .append(
            &TopicPartition::new(TOPIC, 0),
            vec![Record::new(None, Some(bytes(r#"{"setpoint":7}"#)), subject.clock.now())],
            Acks::All,
        )
        .await
        .unwrap();
    eventually(async || (subject.at_destination().await == [7]).then_some(())).await;
    task.stop().await;
}
