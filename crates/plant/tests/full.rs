//! A plant that uses everything there is becomes exactly what it says, and keeps its secrets.

mod support;

use millstream_connect::plc_source::{Layout, Mode};
use millstream_driver::simulate::SignalKind;
use millstream_model::{DataType, TagType};
use millstream_plant::{Device, Plant, read};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plants/full")
}

fn plant() -> Plant {
    match read(&folder(), &support::registry()) {
        Ok((plant, warnings)) => {
            assert_eq!(support::lines(&warnings, &plant.sources, &folder()), "");
            plant
        }
        Err(mistakes) => panic!("{}", support::lines(&mistakes.diagnostics, &mistakes.sources, &folder())),
    }
}

fn device<'p>(plant: &'p Plant, name: &str) -> &'p Device {
    plant.device(name).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn the_settings_are_those_of_the_file() {
    let plant = plant();
    assert_eq!(plant.log.data_dir, folder().join("data"));
    assert_eq!(plant.log.bootstrap_servers.as_deref(), Some("kafka1:9092,kafka2:9092"));
    assert_eq!(plant.log.kafka["security.protocol"], "SASL_SSL");
    assert_eq!(plant.log.kafka["sasl.password"], "hunter2");
    assert_eq!(plant.log.flush_interval, Duration::from_millis(2));
    assert_eq!(plant.log.retention, Duration::from_hours(30 * 24));
    assert_eq!(plant.log.retention_bytes, Some(10 << 30));
    assert_eq!(plant.log.segment_bytes, 64 << 20);
    assert_eq!(plant.log.forward_records_per_second, Some(20_000.0));
    assert_eq!(plant.log.forward_bytes_per_second, Some(2 << 20));
    assert_eq!(plant.kafka.as_ref().unwrap().listeners[0].listen.to_string(), "0.0.0.0:9092");
    assert_eq!(plant.http.as_ref().unwrap().address.to_string(), "[::1]:8088");
}

#[test]
fn a_device_is_what_its_table_says() {
    let plant = plant();
    let press = device(&plant, "press1");
    assert_eq!(press.asset.as_str(), "acme/berlin/stamping/line2/press1");
    assert_eq!(press.config.target.connection.port, Some(15_021));
    let governor = &press.config.governor;
    assert_eq!((governor.in_flight_max, governor.requests_per_second_max), (2, Some(50.0)));
    assert_eq!(governor.connect_timeout, Duration::from_secs(2));
    assert_eq!(governor.scan_timeout, Duration::from_secs(30));
    let [fast, slow, events] = &press.groups[..] else { panic!("{:?}", press.groups) };
    assert_eq!((&*fast.topic, fast.layout), ("machine.telemetry", Layout::Row));
    assert_eq!(fast.mode, Mode::OnChange { max_interval: Some(Duration::from_secs(10)) });
    let names: Vec<&str> = fast.tags.iter().map(|tag| &*tag.name).collect();
    assert_eq!(names, ["temperature", "speed", "running"], "tags keep the order of the file");
    let deadbands: Vec<f64> = fast.tags.iter().map(|tag| tag.deadband).collect();
    assert_eq!(deadbands, [0.25, 0.5, 0.0], "its own, the group's, none for a BOOL");
    let speed = &fast.tags[1];
    assert_eq!((speed.scale, speed.offset, speed.unit.as_deref()), (0.1, -5.0, Some("m/min")));
    assert_eq!((&*slow.topic, slow.mode), ("press1.slow", Mode::Always));
    let from_list: Vec<&str> = slow.tags.iter().map(|tag| &*tag.name).collect();
    assert_eq!(from_list, ["counter", "vibration", "recipe", "setpoint"]);
    assert_eq!(slow.tags[1].scale.to_string(), "1000");
    assert_eq!(press.types[1][0], TagType::scalar(DataType::UDInt));
    assert_eq!(
        (events.layout, events.mode),
        (Layout::Tag, Mode::OnChange { max_interval: Some(Duration::from_mins(1)) })
    );
    assert_eq!(press.config.groups[2].interval, Duration::from_millis(50));
}

#[test]
fn the_guard_gets_the_rules_of_the_file() {
    let plant = plant();
    let press = device(&plant, "press1");
    let [setpoint, start] = &press.config.writes[..] else { panic!("{:?}", press.config.writes) };
    assert_eq!((setpoint.min, setpoint.max, setpoint.max_step), (Some(20.0), Some(90.0), Some(5.0)));
    assert_eq!(
        (setpoint.min_interval, setpoint.max_age),
        (Some(Duration::from_secs(1)), Duration::from_secs(2))
    );
    assert!(setpoint.verify && !start.verify);
    assert_eq!(start.tag_type, TagType::scalar(DataType::Bool));
    assert_eq!(start.max_age, Duration::from_secs(10));
    let sink = press.sink.as_ref().unwrap();
    assert_eq!((&*sink.topic, sink.tags.len()), ("press1.setpoints", 2));
}

#[test]
fn each_row_makes_a_device() {
    let plant = plant();
    let names: Vec<&str> = plant.devices.iter().map(|device| &*device.config.name).collect();
    assert_eq!(names, ["press1", "oven1", "oven2"]);
    let oven = device(&plant, "oven2");
    assert_eq!(oven.template.as_deref(), Some("oven"));
    assert_eq!(oven.asset.as_str(), "acme/line1/oven2");
    assert_eq!(oven.config.target.connection.text, "modbus-tcp://10.0.1.2:1502?unit-identifier=2");
    assert_eq!(&*oven.groups[0].topic, "oven.state", "devices of one template share a topic");
    let tags = &oven.config.groups[0].tags;
    assert_eq!((&*tags[0].address, &*tags[1].name), ("input-register:11:INT", "door_on"));
    assert_eq!(oven.groups[0].tags[0].scale.to_string(), "0.1");
    assert_eq!(plant.sources.excerpt(&oven.origin), "oven2");
}

#[test]
fn a_simulator_serves_what_is_read_and_what_is_written() {
    let plant = plant();
    let simulation = &device(&plant, "press1").simulation;
    assert_eq!(simulation.listen.to_string(), "127.0.0.1:15021");
    assert_eq!(simulation.delay, Duration::from_millis(2));
    let find = |name: &str| simulation.tags.iter().find(|tag| &*tag.tag.name == name).unwrap();
    assert_eq!(find("temperature").signal.kind, SignalKind::Sine);
    assert!(!find("temperature").writable);
    let setpoint = find("setpoint");
    assert!(setpoint.writable);
    assert_eq!(setpoint.signal.value.to_string(), "40");
    assert_eq!(simulation.tags.len(), 9);
    assert_eq!(device(&plant, "oven1").simulation.listen.port(), 0, "a machine elsewhere gets a free port");
}

#[test]
fn sql_knows_every_topic() {
    let catalog = plant().catalog();
    let columns = |stream: &str| -> Vec<String> {
        let relation = catalog.find(stream).unwrap_or_else(|| panic!("there is no {stream}"));
        relation.columns.iter().map(|column| format!("{} {}", column.name, column.sql_type)).collect()
    };
    assert_eq!(
        columns("MACHINE_TELEMETRY"),
        ["ASSET VARCHAR", "TEMPERATURE DOUBLE", "SPEED DOUBLE", "RUNNING BOOLEAN"]
    );
    assert_eq!(columns("PRESS1_EVENTS"), ["ASSET VARCHAR", "TIMESTAMP_MS BIGINT", "VALUE INTEGER"]);
    assert_eq!(columns("OVEN_STATE"), ["ASSET VARCHAR", "TEMPERATURE DOUBLE", "DOOR_ON BOOLEAN"]);
}

#[test]
fn queries_come_in_the_order_of_their_files() {
    let plant = plant();
    let files: Vec<String> = plant
        .queries
        .iter()
        .map(|query| Path::new(&*query.file).file_name().unwrap().display().to_string())
        .collect();
    assert_eq!(files, ["10-hot.sql", "20-setpoint.sql"]);
}

#[test]
fn secrets_are_not_in_what_is_printed() {
    assert!(!format!("{:?}", plant()).contains("hunter2"));
}

#[test]
fn a_single_file_is_a_plant_too() {
    let (plant, _) = read(&folder().join("press1.toml"), &support::registry()).unwrap();
    assert_eq!(plant.devices.len(), 1);
    assert!(plant.queries.is_empty());
    assert_eq!(plant.http.unwrap().address.to_string(), "127.0.0.1:8080", "the default");
    assert!(plant.kafka.is_none());
}

#[test]
fn a_plant_that_is_not_there_is_a_mistake_with_its_path() {
    let mistakes = read(Path::new("/no/such/plant"), &support::registry()).unwrap_err();
    let text = support::lines(&mistakes.diagnostics, &mistakes.sources, &folder());
    let expected =
        "/no/such/plant:1:1: error[unreadable-file]: `/no/such/plant` cannot be read: it does not exist";
    assert!(text.starts_with(expected), "{text}");
}
