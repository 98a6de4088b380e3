//! The command line as a user meets it: what is printed, where, and with which exit code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use support::{Running, done, done_in, root};

#[test]
fn help_fits_on_a_screen_and_names_every_command() {
    insta::assert_snapshot!(done(&["--help"]).shown(), @r"
    exit code 0
    --- stdout
    PLC to Kafka to SQL and back, in one binary

    Usage: millstream <COMMAND>

    Commands:
      demo         Run a whole simulated plant on real protocols, closed loop and all
      run          Run a plant folder
      check        Check a plant folder offline: all mistakes at once
      plan         Show what a plant asks of its devices: requests and bytes per scan
      read         Read tags of a device once, or again and again
      write        Write tags of a device, through the guard; asks first
      rearm        Let a tag take writes again that was latched off after failed ones
      simulate     Serve every device of a plant as a simulator, so that the plant runs with no hardware
      doctor       Find out, step by step, why a device does not answer
      sql          Talk SQL to a running instance
      topic        Look at topics, and read and write their records
      completions  Print the script that completes commands in your shell

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Start with `millstream demo`: a whole simulated plant, nothing else needed.
    Exit codes: 0 done, 1 it failed, 2 a mistake in what was asked.
    ");
}

#[test]
fn help_of_a_command_shows_an_example() {
    insta::assert_snapshot!(done(&["write", "--help"]).shown(), @r"
    exit code 0
    --- stdout
    Write tags of a device, through the guard; asks first

    Usage: millstream write [OPTIONS] <CONNECTION> <TAG=VALUE>...

    Arguments:
      <CONNECTION>    PLC4X's connection string, for example modbus-tcp://10.0.0.7:502?unit-identifier=1
      <TAG=VALUE>...  An address, `=`, and the value to write; arrays as [1,2,3]

    Options:
          --timeout <DURATION>  Longest wait for the connection and for each answer [default: 5s]
          --yes                 Do not ask; for scripts
          --min <NUMBER>        Refuse a value below this
          --max <NUMBER>        Refuse a value above this
          --no-verify           Do not read the value back after writing it
          --json                Print one JSON object per line
      -h, --help                Print help

    For example: millstream write modbus-tcp://10.0.0.7 holding-register:10:REAL=42.5
    ");
}

#[test]
fn a_command_that_does_not_exist_is_the_users_mistake() {
    insta::assert_snapshot!(done(&["chekc"]).shown(), @r"
    exit code 2
    --- stderr
    error: unrecognized subcommand 'chekc'

      tip: a similar subcommand exists: 'check'

    Usage: millstream <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn check_shows_every_mistake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let plant = folder.path().join("plant");
    fs::create_dir(&plant).unwrap();
    let text = "[devices.press1]\nconnection = \"modbus-tcp://10.0.0.7\"\n\n[devices.press1.groups.fast]\n\
                intervall = \"100ms\"\ntags.temperature = \"holding-register:1:REEL\"\n";
    fs::write(plant.join("millstream.toml"), text).unwrap();
    insta::assert_snapshot!(done_in(folder.path(), &["check", "plant"]).shown(), @r#"
    exit code 2
    --- stderr
    error[unknown-key]: a scan group has no key `intervall`
     --> plant/millstream.toml:5:1
      |
    5 | intervall = "100ms"
      | ^^^^^^^^^ expected one of `interval`, `topic`, `mode`, `layout`, `max_interval`, `deadband`, `tags`
      |
      = help: did you mean `interval`?

    error[address-type]: `REEL` is no Modbus data type
     --> plant/millstream.toml:6:40
      |
    6 | tags.temperature = "holding-register:1:REEL"
      |                                        ^^^^ expected BOOL, BYTE, WORD, DWORD, LWORD, SINT, USINT, INT, UINT, DINT, UDINT, LINT, ULINT, REAL, LREAL, CHAR, WCHAR, STRING, WSTRING, RAW_BYTE_ARRAY
      |
      = help: did you mean `REAL`?

    2 mistakes in 1 of 1 file
    "#);
    insta::assert_snapshot!(done_in(folder.path(), &["check", "plant", "--json"]).shown(), @r#"
    exit code 2
    --- stdout
    {"severity":"error","code":"unknown-key","file":"plant/millstream.toml","line":5,"column":1,"key":"devices.press1.groups.fast.intervall","message":"a scan group has no key `intervall`","expected":"expected one of `interval`, `topic`, `mode`, `layout`, `max_interval`, `deadband`, `tags`","help":"did you mean `interval`?"}
    {"severity":"error","code":"address-type","file":"plant/millstream.toml","line":6,"column":40,"key":"devices.press1.groups.fast.tags.temperature","message":"`REEL` is no Modbus data type","expected":"expected BOOL, BYTE, WORD, DWORD, LWORD, SINT, USINT, INT, UINT, DINT, UDINT, LINT, ULINT, REAL, LREAL, CHAR, WCHAR, STRING, WSTRING, RAW_BYTE_ARRAY","help":"did you mean `REAL`?"}
    "#);
}

#[test]
fn check_says_what_is_right() {
    insta::assert_snapshot!(done_in(&root(), &["check", "examples/demo"]).shown(), @r"
    exit code 0
    --- stdout
    examples/demo is right: 2 devices, 3 scan groups, 9 tags, 3 query files
    ");
}

#[test]
fn plan_shows_the_load_on_each_device() {
    insta::assert_snapshot!(done_in(&root(), &["plan", "examples/demo", "--requests"]).shown(), @r"
    exit code 0
    --- stdout
    DEVICE  GROUP    TAGS  INTERVAL  REQUESTS  BYTES OUT  BYTES IN  SCAN TIME  REQUESTS/S
    press   process     3     100ms         1         12        21       5 ms        10.0
    press   thermal     3     500ms         1         12        19       5 ms         2.0
    cooler  status      3     500ms         1         12        31       5 ms         2.0

    press process
        1. read holding-registers 1-6 of unit 1 (3 tags)

    press thermal
        1. read holding-registers 7-11 of unit 1 (3 tags)

    cooler status
        1. read holding-registers 1-11 of unit 1 (3 tags)
    --- stderr
    Scan times are estimated with a round trip of 5ms; a device may grant less than assumed here.
    ");
    insta::assert_snapshot!(done_in(&root(), &["plan", "examples/demo", "--json", "--device", "cooler"]).shown(), @r#"
    exit code 0
    --- stdout
    {"device":"cooler","group":"status","tags":3,"requests":1,"request_bytes":12,"response_bytes":31,"interval_ms":500,"estimated_scan_ms":5.0,"requests_per_second":2.0}
    "#);
    insta::assert_snapshot!(done_in(&root(), &["plan", "examples/demo", "--device", "coller"]).shown(), @r"
    exit code 2
    --- stderr
    error: there is no device `coller`
      help: did you mean `cooler`?
    ");
}

#[test]
fn mistakes_in_connection_strings_and_addresses_have_places() {
    insta::assert_snapshot!(done(&["read", "modbus-tpc://10.0.0.7", "coil:1"]).shown(), @r"
    exit code 2
    --- stderr
    error[unknown-protocol]: there is no protocol `modbus-tpc`
     --> connection:1:1
      |
    1 | modbus-tpc://10.0.0.7
      | ^^^^^^^^^^ expected one of `modbus-tcp`, `modbus`
      |
      = help: did you mean `modbus-tcp`?
    ");
    insta::assert_snapshot!(done(&["read", "modbus-tcp://10.0.0.7?unit=1&timeout=x", "coil:1"]).shown(), @r"
    exit code 2
    --- stderr
    error[unknown-option]: there is no option `unit`
     --> connection:1:23
      |
    1 | modbus-tcp://10.0.0.7?unit=1&timeout=x
      |                       ^^^^^^ expected one of `request-timeout`, `request-timeout-ms`, `default-unit-identifier`, `unit-identifier`, `default-payload-byte-order`, `max-registers-per-request`, `max-coils-per-request`, `max-in-flight`, `ping-address`, `tcp.no-delay`, `tcp.keep-alive`, `tcp.default-timeout`, `tcp.connect-timeout-ms`
      |
      = help: remove it

    error[unknown-option]: there is no option `timeout`
     --> connection:1:30
      |
    1 | modbus-tcp://10.0.0.7?unit=1&timeout=x
      |                              ^^^^^^^^^ expected one of `request-timeout`, `request-timeout-ms`, `default-unit-identifier`, `unit-identifier`, `default-payload-byte-order`, `max-registers-per-request`, `max-coils-per-request`, `max-in-flight`, `ping-address`, `tcp.no-delay`, `tcp.keep-alive`, `tcp.default-timeout`, `tcp.connect-timeout-ms`
      |
      = help: remove it
    ");
    insta::assert_snapshot!(done(&["read", "modbus-tcp://10.0.0.7", "coil:1", "holding:1"]).shown(), @r"
    exit code 2
    --- stderr
    error[address-area]: `holding` is no Modbus area
     --> address:1:1
      |
    1 | holding:1
      | ^^^^^^^ expected `coil:`, `discrete-input:`, `input-register:`, `holding-register:` or `extended-register:`, or 0, 1, 3, 4 or 6 and the number
      |
      = help: for example holding-register:1:REAL
    ");
    insta::assert_snapshot!(done(&["write", "modbus-tcp://10.0.0.7", "coil:1"]).shown(), @r"
    exit code 2
    --- stderr
    error: `coil:1` has no value
      help: give ADDRESS=VALUE, for example holding-register:1:REAL=42
    ");
    insta::assert_snapshot!(done(&["write", "modbus-tcp://10.0.0.7", "holding-register:1:REAL=warm"]).shown(), @r"
    exit code 2
    --- stderr
    error: `warm` does not fit `holding-register:1:REAL`
      help: give a number (REAL)
    ");
    insta::assert_snapshot!(done(&["write", "modbus-tcp://10.0.0.7", "input-register:1=1"]).shown(), @r"
    exit code 2
    --- stderr
    error[not-writable]: `input-register:1` cannot be written: a input-register can only be read
     --> address:1:1
      |
    1 | input-register:1
      | ^^^^^^^^^^^^^^^^ expected a coil, a holding register or an extended register
      |
      = help: for example coil:1, holding-register:1:REAL or holding-register:5.3:BOOL
    ");
}

#[test]
fn nobody_there_is_a_failure_with_a_next_step() {
    insta::assert_snapshot!(done(&["topic", "list", "--url", "http://127.0.0.1:1"]).shown(), @r"
    exit code 1
    --- stderr
    error: no instance answers at 127.0.0.1:1: Connection refused (os error 111)
      help: start one with `millstream run PLANT`, or say where it is with --url
    ");
    insta::assert_snapshot!(done(&["sql", "-e", "SHOW STREAMS;", "--url", "https://plant"]).shown(), @r"
    exit code 2
    --- stderr
    error: `https` is not what an instance speaks
      help: give it as http://127.0.0.1:8080, with --url or in MILLSTREAM_URL
    ");
    insta::assert_snapshot!(done(&["read", "modbus-tcp://127.0.0.1:1", "coil:1"]).shown(), @r"
    exit code 1
    --- stderr
    error: modbus-tcp://127.0.0.1:1: cannot connect to 127.0.0.1:1: Connection refused (os error 111)
      help: `millstream doctor 'modbus-tcp://127.0.0.1:1'` looks for the cause
    ");
    insta::assert_snapshot!(done(&["doctor", "modbus-tcp://127.0.0.1:1"]).shown(), @r"
    exit code 1
    --- stdout
    ok   connection Modbus TCP, 127.0.0.1:1
    ok   route      127.0.0.1 is an address; no name has to be looked up
    FAIL port       the machine is there, but nothing listens on port 1
         help:      is Modbus TCP switched on in the device, and on this port? its usual port is 502
    ");
}

#[test]
fn completions_come_from_the_same_definitions() {
    for (shell, mark) in
        [("bash", "_millstream()"), ("zsh", "#compdef millstream"), ("fish", "complete -c millstream")]
    {
        let done = done(&["completions", shell]);
        assert_eq!(done.code, Some(0));
        assert!(done.stdout.contains(mark) && done.stdout.contains("simulate"), "{shell}");
    }
}

/// A reader that has seen enough, as `head` has, is no failure.
#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = support::millstream(&["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The device of the tests: one unit, a few addresses, on a free port.
fn device() -> (tempfile::TempDir, Running, String) {
    let folder = tempfile::tempdir().unwrap();
    let plant = folder.path().join("plant.toml");
    let text = r#"
[devices.press]
connection = "modbus-tcp://127.0.0.1?unit-identifier=1"
simulate = { listen = "127.0.0.1:0" }
[devices.press.groups.all]
interval = "1s"
tags.temperature = { address = "holding-register:1:REAL", simulate = { signal = "constant", value = 71.25 } }
tags.count = { address = "holding-register:5:UINT", simulate = { signal = "constant", value = 7 } }
[devices.press.writes]
topic = "press.setpoints"
tags.setpoint = { address = "holding-register:10:REAL", min = 20, max = 90 }
"#;
    fs::write(&plant, text).unwrap();
    let mut simulator = Running::start(&["simulate", plant.to_str().unwrap(), "--json"]);
    let line: serde_json::Value = serde_json::from_str(&simulator.line("\"device\":\"press\"")).unwrap();
    let connection = format!("modbus-tcp://{}?unit-identifier=1", line["address"].as_str().unwrap());
    (folder, simulator, connection)
}

#[test]
fn read_and_write_a_simulated_device() {
    let (_folder, mut simulator, at) = device();
    let port = |text: String| text.replace(&at, "modbus-tcp://PEER");
    let read = ["read", &at, "holding-register:1:REAL", "holding-register:5:UINT"];
    insta::assert_snapshot!(port(done(&read).shown()), @r"
    exit code 0
    --- stdout
    TAG                      VALUE  QUALITY
    holding-register:1:REAL  71.25  Good
    holding-register:5:UINT      7  Good
    ");
    let line = done(&[&read[..], &["--json"]].concat()).stdout;
    let object: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((&object["tag"], &object["value"]), (&"holding-register:1:REAL".into(), &71.25.into()));
    assert_eq!(object["quality"], "Good");
    assert!(object["timestamp_ms"].as_i64().unwrap() > 1_700_000_000_000);

    // Nobody can be asked in a test, so nothing is written without --yes.
    let write = ["write", &at, "holding-register:10:REAL=42.5"];
    insta::assert_snapshot!(port(done(&write).shown()), @r"
    exit code 2
    --- stderr
    error: nobody can be asked here
      help: add --yes to write without a question
    ");
    insta::assert_snapshot!(port(done(&[&write[..], &["--yes"]].concat()).shown()), @r"
    exit code 0
    --- stdout
    TAG                       OLD  VALUE  RESULT   READ BACK  REASON
    holding-register:10:REAL   20   42.5  written  42.5
    ");
    insta::assert_snapshot!(port(done(&[&write[..], &["--yes", "--max", "40"]].concat()).shown()), @r"
    exit code 1
    --- stdout
    TAG                        OLD  VALUE  RESULT   READ BACK  REASON
    holding-register:10:REAL  42.5   42.5  refused  –          out-of-range: 42.5 is outside 40 and below for `holding-register:10:REAL`
    ");
    insta::assert_snapshot!(port(done(&["read", &at, "holding-register:10:REAL"]).shown()), @r"
    exit code 0
    --- stdout
    TAG                       VALUE  QUALITY
    holding-register:10:REAL   42.5  Good
    ");

    // Every outcome stands by its own tag, whatever order the device takes them in.
    let both = [
        "write",
        &at,
        "holding-register:10:REAL=30",
        "holding-register:10:STRING(2)=too long",
        "--yes",
        "--json",
    ];
    let both = done(&both);
    let results: Vec<serde_json::Value> =
        both.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&results[0]["value"], &results[0]["result"]), (&30.into(), &"written".into()));
    assert_eq!((&results[1]["value"], &results[1]["result"]), (&"too long".into(), &"refused".into()));

    // Again and again until it is told to stop.
    let mut watching = Running::start(&["read", &at, "holding-register:5:UINT", "--watch=50ms", "--json"]);
    for _ in 0..3 {
        let line: serde_json::Value = serde_json::from_str(&watching.next_line("\"tag\"")).unwrap();
        assert_eq!(line["value"], 7);
    }
    watching.signal("INT");
    assert!(watching.end().0.success());

    // An address that the device does not have: a bad quality, and exit code 1.
    insta::assert_snapshot!(port(done(&["read", &at, "holding-register:1:REAL", "holding-register:400"]).shown()), @r"
    exit code 1
    --- stdout
    TAG                      VALUE  QUALITY
    holding-register:1:REAL  71.25  Good
    holding-register:400         –  BadNodeIdUnknown
    ");
    simulator.signal("INT");
    assert!(simulator.end().0.success());
}

#[test]
fn doctor_walks_through_the_steps() {
    let (_folder, _simulator, at) = device();
    let steps = |arguments: &[&str]| {
        let done = done(&[&["doctor", "--json"], arguments].concat());
        let lines = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        (done.code, lines.collect::<Vec<serde_json::Value>>())
    };
    let (code, found) = steps(&[&at, "holding-register:1:REAL", "holding-register:400"]);
    let names: Vec<_> = found.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["connection", "route", "port", "handshake", "unit", "address", "address"]);
    assert_eq!(found[5]["message"], "holding-register:1:REAL = 71.25");
    assert_eq!((code, &found[6]["ok"]), (Some(1), &false.into()));
    assert!(found[6]["help"].as_str().unwrap().contains("counted from 0"), "{}", found[6]);
    assert_eq!(steps(&[&at, "holding-register:1:REAL"]).0, Some(0));

    // A port where nothing listens, and one where something else does.
    let closed = steps(&["modbus-tcp://127.0.0.1:1"]);
    assert_eq!((closed.0, &closed.1.last().unwrap()["step"]), (Some(1), &"port".into()));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("modbus-tcp://{}", silent.local_addr().unwrap());
    let (code, found) = steps(&[&at, "--timeout", "500ms"]);
    let last = found.last().unwrap();
    assert_eq!((code, &last["ok"]), (Some(1), &false.into()));
    assert!(last["help"].as_str().unwrap().contains("unit"), "{last}");
}
