//! The PLC4X connector's configs become devices.

mod support;

use millstream_connect::plc_source::{Layout, Mode};
use millstream_plant::{Plant, read};
use std::path::Path;
use std::time::Duration;

fn plant() -> Plant {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plants/plc4x");
    match read(&folder, &support::registry()) {
        Ok((plant, _)) => plant,
        Err(mistakes) => panic!("{}", support::lines(&mistakes.diagnostics, &mistakes.sources, &folder)),
    }
}

#[test]
fn sources_and_sinks_become_devices() {
    let plant = plant();
    let names: Vec<&str> = plant.devices.iter().map(|device| &*device.config.name).collect();
    assert_eq!(names, ["machineA", "machineB"], "a source and a sink of one connection are one device");
    let [a, b] = &plant.devices[..] else { panic!("{names:?}") };
    let [dashboard, heartbeat] = &a.groups[..] else { panic!("{:?}", a.groups) };
    assert_eq!((&*dashboard.topic, &*heartbeat.topic), ("machineData", "heartbeat"));
    assert_eq!(dashboard.layout, Layout::Plc4x { key_schemas: false, value_schemas: true });
    assert_eq!(dashboard.mode, Mode::Always);
    assert_eq!(a.config.groups[1].interval, Duration::from_millis(500));
    assert_eq!(&*a.config.groups[0].tags[1].address, "holding-register:7:REAL");
    assert_eq!(b.config.target.connection.host, "10.0.0.9", "secrets are resolved");
    assert_eq!(b.groups[0].topic, dashboard.topic);
}

#[test]
fn a_sink_becomes_write_rules() {
    let plant = plant();
    let machine = plant.device("machineA").expect("machineA");
    assert_eq!(&*machine.sink.as_ref().expect("a sink").topic, "machineSinkA");
    let rules: Vec<_> = machine.config.writes.iter().map(|rule| (&*rule.tag.name, rule.max_age)).collect();
    let age = Duration::from_secs(10);
    assert_eq!(rules, [("running", age), ("boxes", age)], "five tries of two seconds");
}

#[test]
fn nested_records_are_no_stream_until_a_statement_declares_them() {
    assert_eq!(plant().catalog().relations().count(), 0);
}
