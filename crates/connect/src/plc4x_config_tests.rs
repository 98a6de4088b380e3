//! PLC4X connector configs: as the connector's own examples have them, and every mistake in them.

use super::*;
use crate::config::{has_errors, read_json, read_properties};

const SOURCE: &str = "\
name=plc-1-source
connector.class=org.apache.plc4x.kafka.Plc4xSourceConnector
default.topic=machineData
tasks.max=2
sources=machineA,machineB
sources.machineA.connectionString=modbus-tcp://10.0.0.7:502?unit-identifier=1
sources.machineA.pollReturnInterval=5000
sources.machineA.bufferSize=1000
sources.machineA.jobReferences=dashboard,heartbeat
sources.machineA.jobReferences.heartbeat.topic=heartbeat
sources.machineB.connectionString=opcua:tcp://10.0.0.8:4840
sources.machineB.jobReferences=dashboard
jobs=dashboard,heartbeat
jobs.dashboard.interval=1000
jobs.dashboard.tags=running,level,odd
jobs.dashboard.tags.running=coil:1:BOOL
jobs.dashboard.tags.level=holding-register:7:REAL
jobs.dashboard.tags.odd=ns=2;s=a,b|c#d
jobs.heartbeat.interval=500
jobs.heartbeat.tags=active
jobs.heartbeat.tags.active=holding-register:1:DINT
bootstrap.servers=localhost:9092
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=true
offset.storage.file.filename=/tmp/connect.offsets
enable.idempotence=true
acks=all
";

const SINK: &str = "\
name=plc-1-sink
connector.class=org.apache.plc4x.kafka.Plc4xSinkConnector
topics=machineSinkA
sinks=machineA
sinks.machineA.connectionString=modbus-tcp://10.0.0.7
sinks.machineA.topic=machineSinkA
sinks.machineA.timeout=2000
sinks.machineA.retries=5
sinks.machineA.tags=running,boxes
sinks.machineA.tags.running=coil:1:BOOL
sinks.machineA.tags.boxes=holding-register:9:DINT
errors.tolerance=all
";

fn read(text: &str) -> (Plc4xConnector, Vec<Diagnostic>) {
    let (config, mistakes) = read_properties(text);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    connector(&config)
}

fn addresses(tags: &[Placed<TagSpec>]) -> Vec<(&str, &str)> {
    tags.iter().map(|tag| (&*tag.value.name, &*tag.value.address)).collect()
}

#[test]
fn a_source_becomes_devices_with_groups() {
    let (connector, mistakes) = read(SOURCE);
    assert_eq!(mistakes, vec![]);
    assert_eq!(&*connector.name, "plc-1-source");
    let [a, b] = &connector.devices[..] else { panic!("{:?}", connector.devices) };
    assert_eq!(a.connection.value, "modbus-tcp://10.0.0.7:502?unit-identifier=1");
    assert_eq!(&SOURCE[a.connection.place.clone()], a.connection.value);
    let groups: Vec<_> = a.groups.iter().map(|group| (&*group.name, &*group.topic, group.interval)).collect();
    assert_eq!(
        groups,
        vec![
            ("dashboard", "machineData", Duration::from_secs(1)),
            ("heartbeat", "heartbeat", Duration::from_millis(500))
        ]
    );
    assert_eq!(a.groups[0].layout, Layout::Plc4x { key_schemas: false, value_schemas: true });
    assert_eq!(b.groups.len(), 1);
    let odd = &a.groups[0].tags[2];
    assert_eq!(&SOURCE[odd.place.clone()], "ns=2;s=a,b|c#d");
}

#[test]
fn addresses_with_commas_bars_and_hashes_survive() {
    let (connector, _) = read(SOURCE);
    assert_eq!(
        addresses(&connector.devices[0].groups[0].tags),
        vec![("running", "coil:1:BOOL"), ("level", "holding-register:7:REAL"), ("odd", "ns=2;s=a,b|c#d")]
    );
}

#[test]
fn a_sink_becomes_a_device_with_writes() {
    let (connector, mistakes) = read(SINK);
    assert_eq!(mistakes, vec![]);
    let writes = connector.devices[0].writes.as_ref().unwrap();
    assert_eq!((&*writes.topic, writes.max_age), ("machineSinkA", Duration::from_secs(10)));
    assert_eq!(
        addresses(&writes.tags),
        vec![("running", "coil:1:BOOL"), ("boxes", "holding-register:9:DINT")]
    );
}

#[test]
fn older_spellings_and_json_give_the_same() {
    let old = SOURCE.replace(".tags", ".fields").replace("default.topic", "default-topic");
    let (connector, mistakes) = read(&old);
    assert_eq!(mistakes, vec![]);
    assert_eq!(connector.devices[0].groups[0].tags.len(), 3);
    let (config, _) = read_properties(SINK);
    let members: serde_json::Map<String, serde_json::Value> =
        config.entries.into_iter().map(|(key, entry)| (key, entry.value.into())).collect();
    let text = serde_json::json!({"name": "plc-1-sink", "config": members}).to_string();
    let (json, mistakes) = read_json(&text);
    assert!(mistakes.is_empty());
    let (connector, mistakes) = super::connector(&json);
    assert_eq!(mistakes, vec![]);
    let tag = &connector.devices[0].writes.as_ref().unwrap().tags[0];
    assert_eq!(&text[tag.place.clone()], "coil:1:BOOL");
}

#[test]
fn without_a_converter_schemas_are_written_as_connects_default_is() {
    let lines: Vec<_> = SOURCE.lines().filter(|line| !line.contains("converter")).collect();
    let text = lines.join("\n");
    let (connector, mistakes) = read(&text);
    assert_eq!(mistakes, vec![]);
    assert_eq!(
        connector.devices[0].groups[0].layout,
        Layout::Plc4x { key_schemas: true, value_schemas: true }
    );
}

#[test]
fn every_mistake_is_told_with_its_key_all_at_once() {
    let text = SOURCE
        .replace("jobs.dashboard.interval=1000\n", "jobs.dashboard.intervall=1000\n")
        .replace("bufferSize=1000", "bufferSize=many")
        .replace("=dashboard,heartbeat\nsources.machineA.jobR", "=dashbord,heartbeat\nsources.machineA.jobR")
        .replace("jobs.heartbeat.tags.active=holding-register:1:DINT\n", "")
        .replace("sources.machineB.connectionString=opcua:tcp://10.0.0.8:4840\n", "")
        .replace(
            "value.converter=org.apache.kafka.connect.json.JsonConverter",
            "value.converter=io.confluent.connect.avro.AvroConverter",
        );
    let (_, mistakes) = read(&text);
    let told: Vec<_> =
        mistakes.iter().map(|mistake| (mistake.code, mistake.key.as_deref().unwrap_or(""))).collect();
    for expected in [
        ("missing-key", "jobs.dashboard.interval"),
        ("unknown-key", "jobs.dashboard.intervall"),
        ("option-value", "sources.machineA.bufferSize"),
        ("unknown-job", "sources.machineA.jobReferences"),
        ("missing-key", "jobs.heartbeat.tags.active"),
        ("missing-key", "sources.machineB.connectionString"),
        ("converter", "value.converter"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
    }
    let job = mistakes.iter().find(|mistake| mistake.code == "unknown-job").unwrap();
    assert_eq!(job.help.as_deref(), Some("did you mean `dashboard`?"));
    let unknown = mistakes.iter().find(|mistake| mistake.code == "unknown-key").unwrap();
    assert_eq!(
        (unknown.severity, &text[unknown.span.clone().unwrap().range]),
        (Severity::Warning, "jobs.dashboard.intervall")
    );
    assert_eq!(unknown.help.as_deref(), Some("did you mean `jobs.dashboard.interval`?"));
}

#[test]
fn what_the_original_passes_over_is_a_warning_and_what_it_needs_an_error() {
    let (_, mistakes) = read(&SINK.replace("sinks.machineA.topic", "sinks.machineA.topics"));
    let kinds: Vec<_> = mistakes.iter().map(|mistake| (mistake.code, mistake.severity)).collect();
    assert_eq!(kinds, vec![("missing-key", Severity::Error), ("unknown-key", Severity::Warning)]);
    let string = SINK
        .replace("errors.tolerance=all", "value.converter=org.apache.kafka.connect.storage.StringConverter");
    let (_, mistakes) = read(&string);
    assert_eq!(mistakes.iter().map(|m| m.severity).collect::<Vec<_>>(), vec![Severity::Warning]);
    assert!(!has_errors(&mistakes));
}

#[test]
fn a_class_of_another_connector_is_told() {
    assert!(is_plc4x("org.apache.plc4x.kafka.Plc4xSinkConnector"));
    assert!(!is_plc4x("io.debezium.connector.Postgres"));
    let (_, mistakes) = read("name=a\nconnector.class=x.y.Z\n");
    assert_eq!(mistakes[0].code, "connector-class");
    assert_eq!(read("").1.len(), 3);
}

#[test]
fn a_job_without_a_topic_is_told_with_the_key_to_add() {
    let (_, mistakes) = read(&SOURCE.replace("default.topic=machineData\n", ""));
    let help = mistakes[0].help.as_deref();
    assert_eq!(help, Some("add `sources.machineA.jobReferences.dashboard.topic` or `default.topic`"));
}
