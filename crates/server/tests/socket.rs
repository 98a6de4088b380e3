//! The server over real sockets: what it answers, what it refuses, and that one client cannot hurt another.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use async_trait::async_trait;
use millstream_bus::memory::MemoryBus;
use millstream_bus::{Bus, TopicSpec};
use millstream_model::metric::Page;
use millstream_model::nearest;
use millstream_server::{
    Condition, DeviceFacts, DeviceState, GroupFacts, Instance, Ksql, KsqlAnswer, KsqlEntity, KsqlFailure,
    KsqlInserts, Listener, NotRearmed, Problem, QueryFacts, Report, Server, ServerConfig, SqlColumn,
    SqlEvent, SqlNames, SqlRequest, Surroundings, TagFacts, limits,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// A plant with one press, which can be lost and found.
#[derive(Default)]
struct OnePress {
    lost: AtomicBool,
    /// Its tag `set point` takes no writes.
    latched: AtomicBool,
    /// Its log takes no records.
    log_away: AtomicBool,
}

#[async_trait]
impl Instance for OnePress {
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            plant: "plant".into(),
            version: "0.1.0".into(),
            log: "embedded".into(),
            started_at_ms: 1_000,
            now_ms: 61_000,
            listeners: vec![Listener { what: "http".into(), address: "127.0.0.1:8080".into() }],
        }
    }

    fn devices(&self) -> Vec<DeviceFacts> {
        let lost = self.lost.load(Ordering::Relaxed);
        let tag = TagFacts {
            name: "temperature".into(),
            value: 71.25.into(),
            status: None,
            unit: Some("°C".into()),
        };
        vec![DeviceFacts {
            name: "press1".into(),
            connection: "modbus-tcp://10.0.0.5".into(),
            asset: "acme/press1".into(),
            state: if lost { DeviceState::Offline } else { DeviceState::Online },
            since_ms: 49_000,
            cause: if lost { "connection refused".into() } else { String::new() },
            groups: vec![GroupFacts {
                name: "fast".into(),
                topic: "telemetry".into(),
                interval_ms: 100,
                read_at_ms: Some(60_950),
                tags: vec![tag],
            }],
            scans_total: 600,
            overruns_total: 1,
            bad_cells_total: 0,
            requests_total: 600,
            writes_total: 2,
            writes_refused_total: 0,
        }]
    }

    fn queries(&self) -> Vec<QueryFacts> {
        Vec::new()
    }

    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn collect(&self, page: &mut Page) {
        page.counter("millstream_device_scans_total", "Scans finished.", &[("device", "press1")], 600);
    }

    async fn rearm(&self, device: &str, tag: &str) -> Result<(), NotRearmed> {
        let near = |typed: &str, name: &str| nearest(typed, [name]).map(str::to_owned);
        match (device, tag) {
            ("press1", "set point") if self.log_away.load(Ordering::Relaxed) => {
                Err(NotRearmed::Unrecorded("the disk is full".into()))
            }
            ("press1", "set point") if self.latched.swap(false, Ordering::Relaxed) => Ok(()),
            ("press1", "set point") => Err(NotRearmed::NotLatched),
            ("press1", tag) => Err(NotRearmed::UnknownTag { nearest: near(tag, "set point") }),
            (device, _) => Err(NotRearmed::UnknownDevice { nearest: near(device, "press1") }),
        }
    }

    /// Counts to three; `forever;` counts on.
    async fn sql(&self, request: SqlRequest, events: mpsc::Sender<SqlEvent>) {
        let column = SqlColumn { name: "N".into(), sql_type: "INTEGER".into() };
        let _ = events.send(SqlEvent::Columns(vec![column])).await;
        let end = if request.sql == "forever;" { i64::MAX } else { 3 };
        for n in 0..end {
            if events.send(SqlEvent::Row(vec![n.into()])).await.is_err() {
                return;
            }
        }
        let _ = events.send(SqlEvent::Done).await;
    }

    async fn sql_names(&self) -> SqlNames {
        SqlNames { relations: Vec::new(), functions: vec!["ABS".to_owned()] }
    }

    fn ksql(&self) -> Arc<dyn Ksql> {
        Arc::new(Mute)
    }

    async fn registry(&self, _: &str, _: &str, _: &str, _: &[u8]) -> Option<(u16, serde_json::Value)> {
        None
    }
}

/// Nothing of ksqlDB's API is asked here; tests/ksql.rs does.
struct Mute;

#[async_trait]
impl Ksql for Mute {
    async fn statements(&self, _: SqlRequest) -> Result<Vec<KsqlEntity>, KsqlFailure> {
        Err(KsqlFailure::server("mute"))
    }

    async fn query(&self, _: SqlRequest) -> Result<KsqlAnswer, KsqlFailure> {
        Err(KsqlFailure::server("mute"))
    }

    async fn inserts(&self, _: &str) -> Result<Box<dyn KsqlInserts>, KsqlFailure> {
        Err(KsqlFailure::server("mute"))
    }

    fn knows_property(&self, _: &str) -> bool {
        false
    }

    fn cluster(&self) -> (String, String) {
        (String::new(), String::new())
    }
}

struct House {
    server: Server,
    press: Arc<OnePress>,
    bus: Arc<MemoryBus>,
}

async fn house() -> House {
    let (press, bus) = (Arc::new(OnePress::default()), MemoryBus::new());
    let config = ServerConfig { listen: "127.0.0.1:0".parse().unwrap() };
    let server = Server::open(config, bus.clone(), press.clone()).await.unwrap();
    House { server, press, bus }
}

/// One request on a connection of its own; status and body.
async fn ask(at: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    split(&answer)
}

fn split(answer: &[u8]) -> (u16, String) {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

async fn get(at: SocketAddr, path: &str) -> (u16, String) {
    ask(at, "GET", path, "", "").await
}

async fn post(at: SocketAddr, path: &str, body: &str) -> (u16, String) {
    ask(at, "POST", path, "content-type: application/json\r\n", body).await
}

#[tokio::test]
async fn health_names_what_is_wrong_and_recovers() {
    let house = house().await;
    let at = house.server.address();
    let (status, body) = get(at, "/health").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"good","words":"all is well","problems":[]}"#));

    house.press.lost.store(true, Ordering::Relaxed);
    let (status, body) = get(at, "/health").await;
    assert_eq!(status, 503);
    assert!(body.contains("device press1 (modbus-tcp://10.0.0.5)"), "{body}");
    assert!(body.contains("offline for 12 s: connection refused"), "{body}");
    assert_eq!(get(at, "/health/live").await.0, 200, "the process lives whatever its devices do");

    house.press.lost.store(false, Ordering::Relaxed);
    assert_eq!(get(at, "/health").await.0, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text_with_topics_and_process() {
    let house = house().await;
    let at = house.server.address();
    house.bus.create_topic(&TopicSpec::new("telemetry", 1)).await.unwrap();
    post(at, "/api/topics/telemetry/records", r#"[{"value":"a"},{"value":"b"}]"#).await;
    let (status, body) = get(at, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "millstream_device_scans_total{device=\"press1\"} 600",
        "millstream_topic_end_offset{topic=\"telemetry\"} 2",
        "millstream_log_up 1",
        "millstream_build_info{version=\"0.1.0\"} 1",
        "process_start_time_seconds 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in\n{body}");
    }
    let typed = body.lines().filter(|line| line.starts_with("# TYPE ")).count();
    let helped = body.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(typed, helped);
}

#[tokio::test]
async fn the_status_page_and_its_report() {
    let house = house().await;
    let at = house.server.address();
    for path in ["/", "/status.js", "/status.css"] {
        let (status, body) = get(at, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!body.is_empty() && !body.contains("https://"), "{path} needs nothing from elsewhere");
    }
    let report: Report = serde_json::from_str(&get(at, "/api/status").await.1).unwrap();
    assert_eq!(report.devices[0].words, "online");
    assert_eq!(report.devices[0].age_ms, Some(50));
    assert_eq!(report.health.status, Condition::Good);
    assert_eq!(get(at, "/elsewhere").await.0, 404);
    assert_eq!(post(at, "/health", "{}").await.0, 405);
}

#[tokio::test]
async fn a_latched_tag_is_rearmed_by_this_machine_alone_and_once() {
    let house = house().await;
    let at = house.server.address();
    house.press.latched.store(true, Ordering::Relaxed);
    let rearm =
        async |device: &str, body: &str| post(at, &format!("/api/devices/{device}/rearm"), body).await;
    let tag = r#"{"tag":"set point"}"#;

    let foreign = "content-type: application/json\r\norigin: http://evil.example\r\n";
    assert_eq!(ask(at, "POST", "/api/devices/press1/rearm", foreign, tag).await.0, 403);
    assert_eq!(get(at, "/api/devices/press1/rearm").await.0, 405);
    let near = |what: &str, name: &str| format!(r#"{{"message":"{what}","help":"did you mean `{name}`?"}}"#);
    assert_eq!(rearm("pres1", tag).await, (404, near("there is no device `pres1`", "press1")));
    let wrong = rearm("press1", r#"{"tag":"setpoint"}"#).await;
    assert_eq!(wrong, (404, near("`press1` has no tag `setpoint` that may be written", "set point")));
    let unlike = rearm("oven", tag).await;
    assert_eq!(unlike, (404, r#"{"message":"there is no device `oven`"}"#.to_owned()));
    assert_eq!(rearm("press1", r#"{"tags":"set point"}"#).await.0, 422);
    house.press.log_away.store(true, Ordering::Relaxed);
    let (status, body) = rearm("press1", tag).await;
    assert_eq!(status, 503);
    assert!(body.contains("stays latched off") && body.contains("the disk is full"), "{body}");
    house.press.log_away.store(false, Ordering::Relaxed);
    assert!(house.press.latched.load(Ordering::Relaxed), "nothing of that has changed anything");

    assert_eq!(rearm("press1", tag).await, (200, r#"{"device":"press1","rearmed":"set point"}"#.to_owned()));
    let (status, body) = rearm("press1", tag).await;
    assert_eq!(status, 409);
    assert!(body.contains("`set point` of `press1` is not latched off"), "{body}");
}

#[tokio::test]
async fn topics_are_made_filled_read_and_deleted() {
    let house = house().await;
    let at = house.server.address();
    let (status, body) = post(at, "/api/topics", r#"{"name":"orders","partitions":2}"#).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(post(at, "/api/topics", r#"{"name":"orders"}"#).await.0, 409);
    let (status, body) =
        post(at, "/api/topics/orders/records", r#"[{"key":"k","value":{"n":1}},{"key":"k","value":"two"}]"#)
            .await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = get(at, "/api/topics/orders/records?from=earliest").await;
    assert_eq!(status, 200);
    let lines: Vec<serde_json::Value> =
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{body}");
    assert_eq!(lines[0]["value"]["n"], 1);
    assert_eq!(lines[1]["value"], "two");
    assert_eq!((&lines[0]["key"], &lines[1]["offset"]), (&"k".into(), &1.into()));
    assert_eq!(get(at, "/api/topics/nothing/records").await.0, 404);
    assert_eq!(
        get(at, "/api/topics/orders/records?partition=7").await.1,
        "",
        "no such partition: nothing comes"
    );
    assert_eq!(ask(at, "DELETE", "/api/topics/orders", "", "").await.0, 204);
    assert_eq!(get(at, "/api/topics/orders").await.0, 404);
}

#[tokio::test]
async fn a_tail_follows_and_ends_at_its_limit() {
    let house = house().await;
    let at = house.server.address();
    house.bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let tail =
        tokio::spawn(
            async move { get(at, "/api/topics/t/records?from=earliest&follow=true&limit=3").await.1 },
        );
    for value in ["a", "b", "c", "d"] {
        post(at, "/api/topics/t/records", &format!(r#"[{{"value":"{value}"}}]"#)).await;
    }
    let body = timeout(PATIENCE, tail).await.expect("the tail ends").unwrap();
    assert_eq!(body.lines().filter(|line| !line.is_empty()).count(), 3, "{body}");
}

#[tokio::test]
async fn sql_streams_events_and_says_when_it_is_done() {
    let house = house().await;
    let (status, body) = post(house.server.address(), "/api/sql", r#"{"sql":"select;"}"#).await;
    assert_eq!(status, 200);
    let events: Vec<SqlEvent> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 5);
    assert_eq!(events[3], SqlEvent::Row(vec![2.into()]));
    assert_eq!(events[4], SqlEvent::Done);
    let names = get(house.server.address(), "/api/sql/names").await;
    assert_eq!(names, (200, r#"{"relations":[],"functions":["ABS"]}"#.to_owned()));
}

#[tokio::test]
async fn foreign_names_pages_and_bodies_are_refused() {
    let house = house().await;
    let at = house.server.address();
    let origin = "content-type: application/json\r\norigin: http://evil.example\r\n";
    let (status, body) = ask(at, "POST", "/api/topics", origin, r#"{"name":"x"}"#).await;
    assert_eq!(status, 403, "{body}");
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(b"GET /api/status HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(split(&answer).0, 403);
    assert_eq!(post(at, "/api/topics", "{broken").await.0, 400);
    assert_eq!(post(at, "/api/topics", r#"{"name":"x","colour":"red"}"#).await.0, 422);

    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST /api/sql HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        limits::BODY_BYTES + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    assert_eq!(split(&answer[..read]).0, 413);
}

/// F37, F32: clients that say nothing, half of something, or never read what they asked for.
#[tokio::test]
async fn silent_and_slow_clients_do_not_hurt_others() {
    let house = house().await;
    let at = house.server.address();
    let mut silent = Vec::new();
    for index in 0..limits::CONNECTIONS + 40 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        if index % 2 == 0 {
            // An evicted one may be closed already.
            let _ = stream.write_all(b"GET /health HT").await;
        }
        silent.push(stream);
    }
    let mut greedy = Vec::new();
    for _ in 0..limits::STREAMS {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let body = r#"{"sql":"forever;"}"#;
        let head = format!(
            "POST /api/sql HTTP/1.1\r\nhost: {at}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The first bytes of the answer: the stream is open; nothing more is ever read.
        let mut first = [0; 16];
        timeout(PATIENCE, stream.read_exact(&mut first)).await.expect("the stream begins").unwrap();
        greedy.push(stream);
    }
    let (status, body) = post(at, "/api/sql", r#"{"sql":"select;"}"#).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(get(at, "/health").await.0, 200);
    assert_eq!(get(at, "/metrics").await.0, 200);

    // A stream's place is free again as soon as its client is gone.
    drop(greedy);
    let deadline = Instant::now() + PATIENCE;
    while post(at, "/api/sql", r#"{"sql":"select;"}"#).await.0 != 200 {
        assert!(Instant::now() < deadline, "streams of clients that are gone hold their places");
        tokio::task::yield_now().await;
    }
    drop(silent);
}

#[tokio::test]
async fn a_port_in_use_is_said_so_and_closing_ends_streams() {
    let house = house().await;
    let at = house.server.address();
    let again = Server::open(ServerConfig { listen: at }, house.bus.clone(), house.press.clone()).await;
    assert_eq!(again.unwrap_err().to_string(), format!("{at} is in use by another program"));
    house.bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let tail = tokio::spawn(async move { get(at, "/api/topics/t/records?follow=true").await });
    let deadline = Instant::now() + PATIENCE;
    post(at, "/api/topics/t/records", r#"[{"value":"a"}]"#).await;
    house.server.close().await;
    let (status, _) = timeout(PATIENCE, tail).await.expect("the tail ends with the server").unwrap();
    assert!(status == 200 || status == 0, "{status}");
    assert!(Instant::now() < deadline);
    assert!(TcpStream::connect(at).await.is_err(), "nothing listens any more");
}
