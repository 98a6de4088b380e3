//! The view over a scene that is made up here.

use super::*;
use crate::demo::events::Event;
use millstream_server::{
    DeviceFacts, DeviceState, GroupFacts, Health, Listener, Problem, Surroundings, TopicStatus,
};
use tokio::time::Instant;

fn tag(name: &str, value: f64, unit: &str) -> TagFacts {
    TagFacts { name: name.into(), value: value.into(), status: None, unit: Some(unit.into()) }
}

fn device(name: &str, tags: Vec<TagFacts>) -> DeviceStatus {
    let group = GroupFacts {
        name: "all".into(),
        topic: format!("{name}.all"),
        interval_ms: 500,
        read_at_ms: Some(1_732_170_000_000),
        tags,
    };
    let facts = DeviceFacts {
        name: name.into(),
        connection: "modbus-tcp://127.0.0.1:15020".into(),
        asset: format!("acme/{name}"),
        state: DeviceState::Online,
        since_ms: 1_732_169_000_000,
        cause: String::new(),
        groups: vec![group],
        scans_total: 100,
        overruns_total: 0,
        bad_cells_total: 0,
        requests_total: 100,
        writes_total: 12,
        writes_refused_total: 1,
    };
    let (condition, words) = (Condition::Good, "online".into());
    DeviceStatus { facts, condition, words, age_ms: Some(40), scans_per_second: Some(12.2) }
}

fn report(temperature: f64) -> Report {
    let listener = |what: &str, address: &str| Listener { what: what.into(), address: address.into() };
    let press = vec![
        tag("pressure", 182.25, "bar"),
        tag("motor_current", 35.1, "A"),
        tag("vibration", 2.1, "mm/s"),
        tag("temperature", temperature, "°C"),
        TagFacts { name: "strokes".into(), value: 12.into(), status: None, unit: None },
        TagFacts { name: "state".into(), value: 2.into(), status: None, unit: None },
    ];
    let cooler = vec![tag("setpoint", 25.0, "%"), tag("power", 25.3, "%"), tag("flow", 17.9, "l/min")];
    Report {
        instance: Surroundings {
            plant: "demo".into(),
            version: "0.1.0".into(),
            log: "embedded, in /tmp/demo/data".into(),
            started_at_ms: 1_732_169_000_000,
            now_ms: 1_732_170_000_040,
            listeners: vec![
                listener("status page", "http://127.0.0.1:8080"),
                listener("Modbus press", "127.0.0.1:40123"),
                listener("Modbus cooler", "127.0.0.1:40124"),
            ],
        },
        health: Health::of(Vec::new()),
        devices: vec![device("press", press), device("cooler", cooler)],
        topics: vec![TopicStatus {
            name: "press.all".into(),
            partitions: Vec::new(),
            configs: std::collections::BTreeMap::new(),
            records: 10,
            size_bytes: None,
            records_per_second: Some(14.0),
        }],
        queries: Vec::new(),
    }
}

fn scene() -> Scene {
    let start = Instant::now();
    let mut scene = Scene::new(start);
    for (step, temperature) in (0..).zip([40.0, 50.0, 60.0, 65.2, 60.0, 54.0]) {
        scene.look(start + Duration::from_secs(step), report(temperature));
    }
    let at_ms = 1_732_169_990_000;
    scene.take(Event::Alarm { at_ms, temperature: 65.2, hot: true });
    scene.take(Event::Average(61.25));
    for _ in 0..5 {
        scene.take(Event::Write(Write {
            at_ms,
            target: "cooler setpoint".into(),
            old: Some(25.0),
            value: Some(80.4),
            words: "written, read back".into(),
        }));
    }
    scene
}

#[test]
fn the_view_fits_a_small_terminal() {
    let lines = draw(&scene(), 80, false);
    assert!(lines.len() < 24, "{} lines and the cursor's", lines.len());
    for line in &lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    Millstream demo: a press, its cooling, and the loop between them           00:05
    ────────────────────────────────────────────────────────────────────────────────
    press   online                                             12 scans/s, 40 ms old
      pressure             182.2 bar    ▁▁▁▁▁▁
      motor_current         35.1 A      ▁▁▁▁▁▁
      vibration              2.1 mm/s   ▁▁▁▁▁▁
      temperature           54.0 °C     ▁▄▇█▇▅
      strokes                 12        ▁▁▁▁▁▁
      state                    2        ▁▁▁▁▁▁
    cooler  online                                             12 scans/s, 40 ms old
      setpoint              25.0 %      ▁▁▁▁▁▁
      power                 25.3 %      ▁▁▁▁▁▁
      flow                  17.9 l/min  ▁▁▁▁▁▁
    alarm   HOT  for 10 s   average of 5 s: 61.2 °C
    guarded writes  24 done, 2 refused; the newest:
      06:19:50 UTC  cooler setpoint  25.0 → 80.4  written, read back
      06:19:50 UTC  cooler setpoint  25.0 → 80.4  written, read back
      06:19:50 UTC  cooler setpoint  25.0 → 80.4  written, read back

    14 records/s, 1 topics, 0 queries, lag 0; log embedded, in /tmp/demo/data
    http://127.0.0.1:8080   Modbus press 127.0.0.1:40123, cooler 127.0.0.1:40124
    try: millstream topic tail press.thermal      Ctrl-C ends it
    ");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let strip = |line: String| {
        let mut parts = line.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
    };
    let colored: Vec<_> = draw(&scene(), 80, true).into_iter().map(strip).collect();
    assert_eq!(colored, draw(&scene(), 80, false));
}

/// Principle 6: never green while dead.
#[test]
fn what_is_stale_is_not_green() {
    let mut scene = scene();
    let mut stale = report(50.0);
    for device in &mut stale.devices {
        device.condition = Condition::Bad;
        device.words = "offline for 12 s: connection refused".into();
    }
    stale.health = Health::of(vec![Problem {
        condition: Condition::Bad,
        who: "device press".into(),
        what: "offline for 12 s".into(),
        help: None,
        since_ms: None,
    }]);
    scene.look(Instant::now(), stale);
    let text = draw(&scene, 80, true).join("\n");
    assert!(!text.contains("\x1b[32m"), "{text}");
    assert!(text.contains("device press: offline for 12 s"), "{text}");
}

#[test]
fn the_loop_is_closed_when_an_alarm_comes_and_goes() {
    let mut scene = scene();
    assert_eq!(farewell(&scene), "The loop has not closed yet, after 00:05.");
    scene.take(Event::Alarm { at_ms: 2, temperature: 54.9, hot: false });
    assert_eq!(scene.rounds, 1);
    assert_eq!(farewell(&scene), "The loop closed once in 00:05.");
}
