//! SQL as people and programs ask it: the console at a terminal, and ksqlDB's REST API over HTTP/2, HTTP/1.1 and WebSockets, by
//! clients that are not ours, against a plant that runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_tests::peer::{millstream, python, root};
use millstream_tests::running::{Folder, Running, command};
use std::process::Command;

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python").join(name));
    command
}

#[test]
fn a_person_at_a_terminal_types_statements() {
    let folder = Folder::new();
    let plant = Running::start(&folder.path());
    let url = format!("http://127.0.0.1:{}", plant.port());
    let beside = tempfile::tempdir().unwrap();
    let text = said(script("console.py").arg(millstream()).arg(&url).arg(beside.path()));
    assert!(text.ends_with("done\n"), "{text}");
    plant.stop();
}

#[test]
fn clients_of_ksqldb_find_its_api() {
    let folder = Folder::new();
    let plant = Running::start(&folder.path());
    let url = format!("http://127.0.0.1:{}", plant.port());
    let text = said(script("rest.py").arg(&url));
    assert!(text.ends_with("done\n"), "{text}");
    plant.stop();
}

/// Without a worker of Kafka Connect, the connectors are those of the plant.
#[test]
fn the_connectors_of_a_plant_are_listed() {
    let folder = Folder::new();
    folder.write(
        "connectors/line.properties",
        "name=line\nconnector.class=org.apache.plc4x.kafka.Plc4xSourceConnector\ndefault.topic=machineData\n\
         sources=machineA\nsources.machineA.connectionString=modbus-tcp://127.0.0.1:1?unit-identifier=1\n\
         sources.machineA.jobReferences=fast\njobs=fast\njobs.fast.interval=1000\njobs.fast.tags=level\n\
         jobs.fast.tags.level=holding-register:7:REAL\n",
    );
    folder.write(
        "press.toml",
        "[devices.press]\nconnection = \"modbus-tcp://127.0.0.1:1\"\n[devices.press.groups.fast]\ninterval = \"1s\"\n\
         topic = \"press\"\n[devices.press.groups.fast.tags]\nlevel = \"holding-register:1:REAL\"\n",
    );
    let plant = Running::start(&folder.path());
    let ask = |statement: &str| {
        let output = command(&["sql", "--url", &plant.url(), "--execute", statement]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let listed = ask("SHOW CONNECTORS;");
    for part in
        ["line", "org.apache.plc4x.kafka.Plc4xSourceConnector", "plc-source press", "(0/1 tasks RUNNING)"]
    {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    let described = ask("DESCRIBE CONNECTOR LINE;");
    assert!(described.contains("machineData") && described.contains("Task 0"), "{described}");
    assert!(ask("SHOW CONNECTOR PLUGINS;").contains("Plc4xSinkConnector"));
    let refused = ask("CREATE SOURCE CONNECTOR files WITH ('connector.class'='FileStreamSource');");
    assert!(refused.contains("connectors/") && refused.contains("connect_url"), "{refused}");
    let refused = ask("DROP CONNECTOR `plc-source press`;");
    assert!(refused.contains("belongs to the plant folder"), "{refused}");
    plant.stop();
}
