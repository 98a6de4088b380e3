//! The demo as whoever tries Millstream sees it: the loop closes within a minute, Ctrl-C ends it, nothing is left behind.

use millstream_tests::oracle::eventually;
use millstream_tests::peer::Process;
use millstream_tests::running::{Running, command};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

/// Processes that `parent` started and that live.
fn children(parent: u32) -> String {
    let listed =
        Command::new("ps").args(["--no-headers", "-o", "pid,args", "--ppid", &parent.to_string()]).output();
    String::from_utf8_lossy(&listed.expect("ps runs").stdout).into_owned()
}

/// The last number behind `name=` in the lines of the plain view.
fn newest(output: &str, name: &str) -> Option<f64> {
    let rest = output.rsplit_once(&format!("{name}="))?.1;
    rest.split_whitespace().next()?.parse().ok()
}

/// The press gets hot, the setpoint rises by a guarded write, the press gets cool: within a minute of the start.
#[test]
fn the_loop_closes_within_a_minute_and_nothing_is_left_behind() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut process = Process::start(
        command(&["demo", "--plain", "--http", "127.0.0.1:0"])
            .env("TMPDIR", home.path())
            .current_dir(home.path()),
    );
    process.wait_for("status page", Duration::from_secs(20));
    let mut demo = Running::of(process);
    let (mut hottest, mut coldest_power, mut strongest) = (0.0_f64, f64::MAX, 0.0_f64);
    eventually("a closed loop", Duration::from_mins(1), || {
        let output = demo.process().output();
        // The lines are seconds apart: the alarm tells the top between two of them.
        let alarm =
            output.split("the press is hot, ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        hottest = hottest.max(newest(&output, "temperature").unwrap_or(0.0)).max(alarm.unwrap_or(0.0));
        let power = newest(&output, "power")?;
        (coldest_power, strongest) = (coldest_power.min(power), strongest.max(power));
        let (hot, cool) = (output.find("ALARM: the press is hot")?, output.rfind("the press is cool")?);
        (hot < cool).then_some(())
    });
    let output = demo.process().output();
    assert!(
        hottest >= 65.0 && strongest > coldest_power + 30.0,
        "{hottest} °C, {coldest_power} to {strongest} %\n{output}"
    );
    let (hot, cool) = (output.find("ALARM: the press is hot"), output.rfind("the press is cool"));
    let between = &output[hot.expect("it was there")..cool.expect("it was there")];
    assert!(
        between.contains("cooler setpoint") && between.contains("written"),
        "no write in between:\n{between}"
    );
    assert!(newest(&output, "temperature") < Some(hottest), "{output}");
    let setpoints = demo.records("cooler.setpoints");
    assert!(
        setpoints.iter().any(|record| record["value"]["SETPOINT"].as_f64() >= Some(75.0)),
        "{setpoints:?}"
    );

    let (pid, port) = (demo.process().id(), demo.port());
    assert_eq!(children(pid), "", "one process is all it takes");
    let said = demo.stop();
    assert!(said.contains("The loop closed once"), "{said}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists() && children(pid).is_empty());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free again");
    let left: Vec<_> = std::fs::read_dir(home.path()).expect("the folder is there").collect();
    assert!(left.is_empty(), "{left:?}");
}
