//! ksqlDB's REST API over real sockets, HTTP/1.1, HTTP/2 and WebSockets: the documented shapes, errors, and limits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millstream_bus::memory::MemoryBus;
use millstream_model::metric::Page;
use millstream_server::entity::{CommandStatus, EntityKind, SchemaInfo, SourceInfo, Warning};
use millstream_server::{
    DeviceFacts, Instance, Ksql, KsqlAnswer, KsqlColumn, KsqlEntity, KsqlFailure, KsqlInserts, KsqlQuery,
    KsqlRow, NotRearmed, Problem, QueryFacts, Server, ServerConfig, SqlEvent, SqlNames, SqlRequest,
    Surroundings, limits,
};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a few statements that every test may use.
#[derive(Default)]
struct Small {
    running: Arc<AtomicUsize>,
}

/// Counts the query as running until it is dropped.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn schema(kind: &str) -> SchemaInfo {
    SchemaInfo { kind: kind.into(), fields: None, member_schema: None, parameters: None }
}

#[async_trait]
impl Ksql for Small {
    async fn statements(&self, request: SqlRequest) -> Result<Vec<KsqlEntity>, KsqlFailure> {
        let mut done = Vec::new();
        for statement in request.sql.split_inclusive(';').map(str::trim).filter(|text| !text.is_empty()) {
            let kind = match statement {
                "LIST STREAMS;" => EntityKind::Streams {
                    streams: vec![SourceInfo {
                        kind: "STREAM".into(),
                        name: "PRESS".into(),
                        topic: "press".into(),
                        key_format: "KAFKA".into(),
                        value_format: "JSON".into(),
                        is_windowed: false,
                    }],
                },
                "CREATE STREAM A AS SELECT * FROM PRESS;" => EntityKind::CurrentStatus {
                    command_id: "stream/`A`/create".into(),
                    command_status: CommandStatus {
                        status: "SUCCESS".into(),
                        message: "Created query with ID CSAS_A".into(),
                        query_id: Some("CSAS_A".into()),
                    },
                    command_sequence_number: -1,
                },
                "SELECT 1;" => return Err(KsqlFailure::query_endpoint(statement, done)),
                "PANIC;" => panic!("a statement that panics"),
                _ => return Err(KsqlFailure::statement("line 1:1: no such statement", statement, done)),
            };
            let warnings = vec![Warning { message: format!("{} properties", request.properties.len()) }];
            done.push(KsqlEntity { kind, statement_text: statement.to_owned(), warnings });
        }
        Ok(done)
    }

    async fn query(&self, request: SqlRequest) -> Result<KsqlAnswer, KsqlFailure> {
        let (sender, rows) = mpsc::channel(16);
        if request.sql == "PRINT press;" {
            let (lines, received) = mpsc::channel(16);
            lines.send("Key format: KAFKA_STRING".to_owned()).await.unwrap();
            return Ok(KsqlAnswer::Lines(received));
        }
        let (push, count) = match &*request.sql {
            "SELECT * FROM T;" => (false, 2),
            "SELECT * FROM S EMIT CHANGES LIMIT 2;" => (true, 2),
            "SELECT * FROM S EMIT CHANGES;" => (true, usize::MAX),
            "SELECT * FROM S EMIT CHANGES WAIT;" => (true, 0),
            other => return Err(KsqlFailure::statement("no such query", other, Vec::new())),
        };
        let column = |name: &str, sql_type: &str, key| KsqlColumn {
            name: name.into(),
            sql_type: sql_type.into(),
            schema: schema(sql_type),
            key,
        };
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.running.clone());
        tokio::spawn(async move {
            let _running = running;
            for n in 0..count {
                let row = if n == 1 && !push {
                    KsqlRow::Tombstone(vec![json!("b"), Value::Null])
                } else {
                    KsqlRow::Row(vec![json!("a"), json!(n)])
                };
                if sender.send(row).await.is_err() {
                    return;
                }
            }
            if count == 0 {
                sender.closed().await;
            } else if push {
                let _ = sender.send(KsqlRow::Limit).await;
            }
        });
        let columns = vec![column("ID", "STRING", true), column("N", "BIGINT", false)];
        Ok(KsqlAnswer::Rows(KsqlQuery { id: "q1".into(), push, table: !push, columns, rows }))
    }

    async fn inserts(&self, target: &str) -> Result<Box<dyn KsqlInserts>, KsqlFailure> {
        if target == "S" { Ok(Box::new(Taker)) } else { Err(KsqlFailure::bad_request("no such stream")) }
    }

    fn knows_property(&self, name: &str) -> bool {
        name == "auto.offset.reset"
    }

    fn cluster(&self) -> (String, String) {
        ("kafka-1".into(), "default_".into())
    }
}

/// Takes what has a number `N`.
struct Taker;

#[async_trait]
impl KsqlInserts for Taker {
    async fn insert(&mut self, rows: Vec<String>) -> Vec<Result<(), KsqlFailure>> {
        let take = |row: String| match serde_json::from_str::<Value>(&row) {
            Ok(row) if row["N"].is_number() => Ok(()),
            _ => Err(KsqlFailure::bad_request("N is no number")),
        };
        rows.into_iter().map(take).collect()
    }
}

struct Plant(Arc<Small>);

#[async_trait]
impl Instance for Plant {
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            plant: "plant".into(),
            version: "0.1.0".into(),
            log: "embedded".into(),
            started_at_ms: 0,
            now_ms: 5,
            listeners: Vec::new(),
        }
    }

    fn devices(&self) -> Vec<DeviceFacts> {
        Vec::new()
    }

    fn queries(&self) -> Vec<QueryFacts> {
        Vec::new()
    }

    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn collect(&self, _: &mut Page) {}

    async fn rearm(&self, _: &str, _: &str) -> Result<(), NotRearmed> {
        Err(NotRearmed::NotLatched)
    }

    async fn sql(&self, _: SqlRequest, _: mpsc::Sender<SqlEvent>) {}

    async fn sql_names(&self) -> SqlNames {
        SqlNames::default()
    }

    fn ksql(&self) -> Arc<dyn Ksql> {
        self.0.clone()
    }

    async fn registry(&self, method: &str, path: &str, query: &str, body: &[u8]) -> Option<(u16, Value)> {
        Some((200, json!([method, path, query, body.len()])))
    }
}

async fn house() -> (Server, Arc<Small>) {
    let small = Arc::new(Small::default());
    let config = ServerConfig { listen: "127.0.0.1:0".parse().unwrap() };
    let server = Server::open(config, MemoryBus::new(), Arc::new(Plant(small.clone()))).await.unwrap();
    (server, small)
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

fn full(text: &str) -> Body {
    Full::new(Bytes::from(text.to_owned())).boxed_unsync()
}

/// One request over HTTP/1.1 or HTTP/2 without a negotiation.
async fn send(
    at: SocketAddr,
    http2: bool,
    method: &str,
    path: &str,
    accept: &str,
    body: Body,
) -> Response<Incoming> {
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let request = Request::builder().method(method).header("accept", accept);
    let answer = async {
        if http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let request = request.uri(format!("http://{at}{path}")).body(body).unwrap();
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            let request = request.uri(path).header("host", at.to_string()).body(body).unwrap();
            sender.send_request(request).await.unwrap()
        }
    };
    timeout(PATIENCE, answer).await.expect("an answer in time")
}

async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = timeout(PATIENCE, response.into_body().collect()).await.expect("the end in time").unwrap();
    (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

async fn post(at: SocketAddr, path: &str, body: &Value) -> (u16, String) {
    text(send(at, false, "POST", path, "*/*", full(&body.to_string())).await).await
}

async fn get(at: SocketAddr, path: &str) -> (u16, Value) {
    let (status, body) = text(send(at, false, "GET", path, "*/*", full("")).await).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn statements_answer_with_an_entity_each() {
    let (server, _) = house().await;
    let at = server.address();
    let body = json!({
        "ksql": "LIST STREAMS; CREATE STREAM A AS SELECT * FROM PRESS;",
        "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"},
    });
    let response =
        send(at, false, "POST", "/ksql", "application/vnd.ksql.v1+json", full(&body.to_string())).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.ksql.v1+json");
    let (status, body) = text(response).await;
    assert_eq!(status, 200);
    let expected = json!([
        {
            "@type": "streams",
            "streams": [{
                "type": "STREAM", "name": "PRESS", "topic": "press",
                "keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": false,
            }],
            "statementText": "LIST STREAMS;",
            "warnings": [{"message": "1 properties"}],
        },
        {
            "@type": "currentStatus",
            "commandId": "stream/`A`/create",
            "commandStatus": {"status": "SUCCESS", "message": "Created query with ID CSAS_A", "queryId": "CSAS_A"},
            "commandSequenceNumber": 0,
            "statementText": "CREATE STREAM A AS SELECT * FROM PRESS;",
            "warnings": [{"message": "1 properties"}],
        },
    ]);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);

    let status_of = get(at, "/status/stream/A/create").await;
    assert_eq!((status_of.0, &status_of.1["status"]), (200, &json!("SUCCESS")));
    let all = get(at, "/status").await.1;
    assert_eq!(all, json!({"commandStatuses": {"stream/`A`/create": "SUCCESS"}}));
    assert_eq!(get(at, "/status/stream/B/create").await.0, 404);
    let after = json!({"ksql": "LIST STREAMS;", "commandSequenceNumber": 0});
    assert_eq!(post(at, "/ksql", &after).await.0, 200);
}

#[tokio::test]
async fn errors_have_types_codes_and_statuses() {
    let (server, _) = house().await;
    let at = server.address();
    let error = async |path: &str, body: Value| {
        let (status, body) = post(at, path, &body).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, wrong) = error("/ksql", json!({"ksql": "LIST STREAMS; DANCE;"})).await;
    assert_eq!(status, 400);
    assert_eq!(wrong["@type"], "statement_error");
    assert_eq!(wrong["error_code"], 40_001);
    assert_eq!(wrong["statementText"], "DANCE;");
    assert_eq!(wrong["entities"][0]["@type"], "streams");
    assert_eq!(wrong["message"], "line 1:1: no such statement");

    let (status, wrong) = error("/ksql", json!({"ksql": "SELECT 1;"})).await;
    assert_eq!((status, &wrong["error_code"]), (400, &json!(40_002)));
    let (status, wrong) = error("/ksql", json!({"ksql": ""})).await;
    assert_eq!(
        (status, &wrong["@type"], &wrong["error_code"]),
        (400, &json!("generic_error"), &json!(40_000))
    );
    let (status, wrong) = error("/ksql", json!({"ksql": "PANIC;"})).await;
    assert_eq!((status, &wrong["error_code"]), (500, &json!(50_000)));
    let (status, wrong) = error("/query", json!({"ksql": "DANCE;"})).await;
    assert_eq!((status, &wrong["error_code"]), (400, &json!(40_001)));
    let (status, wrong) = error("/close-query", json!({"queryId": "none"})).await;
    assert_eq!((status, &wrong["error_code"]), (400, &json!(40_000)));
    let (status, wrong) = error("/query-stream", json!({"sql": "PRINT press;"})).await;
    assert_eq!((status, &wrong["error_code"]), (400, &json!(40_001)));

    let unaccepted = send(at, false, "POST", "/ksql", "text/html", full("{}")).await;
    assert_eq!(text(unaccepted).await.0, 406);
    let unread = send(at, false, "POST", "/ksql", "*/*", full("{broken")).await;
    assert_eq!(text(unread).await.0, 400);
    let long = send(at, false, "POST", "/ksql", "*/*", full(&" ".repeat(limits::BODY_BYTES + 1))).await;
    let (status, body) = text(long).await;
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("\"error_code\":41300"), "{body}");
    let (status, body) = text(send(at, false, "PUT", "/ksql", "*/*", full("{}")).await).await;
    assert_eq!(status, 405);
    assert!(body.contains("\"@type\":\"generic_error\",\"error_code\":40500"), "{body}");
    let (status, body) = text(send(at, true, "PUT", "/api/sql", "*/*", full("{}")).await).await;
    assert_eq!(status, 405);
    assert!(body.starts_with("{\"message\""), "{body}");
}

#[tokio::test]
async fn queries_give_rows_in_the_form_that_is_asked_for() {
    let (server, _) = house().await;
    let at = server.address();
    let pull = json!({"ksql": "SELECT * FROM T;"});
    let (status, body) = post(at, "/query", &pull).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        "[{\"header\":{\"queryId\":\"q1\",\"schema\":\"`ID` STRING KEY, `N` BIGINT\"}},\n\
         {\"row\":{\"columns\":[\"a\",0]}},\n\
         {\"row\":{\"columns\":[\"b\",null],\"tombstone\":true}}]"
    );
    let push = json!({"ksql": "SELECT * FROM S EMIT CHANGES LIMIT 2;"});
    assert_eq!(
        post(at, "/query", &push).await.1,
        "[{\"header\":{\"queryId\":\"q1\",\"schema\":\"`ID` STRING, `N` BIGINT\"}},\n\
         {\"row\":{\"columns\":[\"a\",0]}},\n\
         {\"row\":{\"columns\":[\"a\",1]}},\n\
         {\"finalMessage\":\"Limit Reached\"}]"
    );
    for http2 in [true, false] {
        let asked = json!({"sql": "SELECT * FROM S EMIT CHANGES LIMIT 2;", "properties": {}}).to_string();
        let response = send(at, http2, "POST", "/query-stream", "*/*", full(&asked)).await;
        assert_eq!(response.headers()["content-type"], "application/vnd.ksqlapi.delimited.v1");
        assert_eq!(
            text(response).await.1,
            "{\"queryId\":\"q1\",\"columnNames\":[\"ID\",\"N\"],\"columnTypes\":[\"STRING\",\"BIGINT\"]}\n\
             [\"a\",0]\n[\"a\",1]\n"
        );
        let response = send(at, http2, "POST", "/query-stream", "application/json", full(&asked)).await;
        assert_eq!(
            text(response).await.1,
            "[{\"queryId\":\"q1\",\"columnNames\":[\"ID\",\"N\"],\"columnTypes\":[\"STRING\",\"BIGINT\"]},\n\
             [\"a\",0],\n[\"a\",1]]"
        );
    }
    let printed = post(at, "/query", &json!({"ksql": "PRINT press;"})).await;
    assert_eq!(printed, (200, "Key format: KAFKA_STRING\n".to_owned()));
}

/// Waits until so many queries run.
async fn running(small: &Small, count: usize) {
    let waiting = async {
        while small.running.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("queries begin and end in time");
}

#[tokio::test]
async fn a_push_query_ends_when_it_is_closed_or_its_client_goes() {
    let (server, small) = house().await;
    let at = server.address();
    let asked = json!({"sql": "SELECT * FROM S EMIT CHANGES WAIT;"}).to_string();
    let mut response = send(at, true, "POST", "/query-stream", "*/*", full(&asked)).await;
    let header = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(header.starts_with(b"{\"queryId\":\"q1\""), "{header:?}");
    running(&small, 1).await;
    assert_eq!(post(at, "/close-query", &json!({"queryId": "q1"})).await.0, 200);
    assert_eq!(text(response).await, (200, String::new()));
    running(&small, 0).await;

    let mut response = send(at, true, "POST", "/query-stream", "*/*", full(&asked)).await;
    response.body_mut().frame().await.unwrap().unwrap();
    running(&small, 1).await;
    drop(response);
    running(&small, 0).await;
}

/// Many queries on one connection of HTTP/2, one of which is never read: the others go on, and the limit is said.
#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_nobody_and_fills_no_memory() {
    let (server, small) = house().await;
    let at = server.address();
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let ask = async |sql: &str| {
        let request = Request::builder().method("POST").uri(format!("http://{at}/query-stream"));
        let request = request.body(full(&json!({ "sql": sql }).to_string())).unwrap();
        timeout(PATIENCE, sender.clone().send_request(request)).await.expect("an answer in time").unwrap()
    };
    let mut unread = Vec::new();
    for _ in 0..limits::STREAMS - 1 {
        unread.push(ask("SELECT * FROM S EMIT CHANGES;").await);
    }
    let (status, body) = text(ask("SELECT * FROM S EMIT CHANGES LIMIT 2;").await).await;
    assert_eq!((status, body.lines().count()), (200, 3));
    unread.push(ask("SELECT * FROM S EMIT CHANGES;").await);
    let (status, body) = text(ask("SELECT * FROM S EMIT CHANGES LIMIT 2;").await).await;
    assert_eq!(status, 400);
    assert!(body.contains("40003"), "{body}");
    assert_eq!(get(at, "/info").await.0, 200);
    drop(unread);
    running(&small, 0).await;
    assert_eq!(text(ask("SELECT * FROM S EMIT CHANGES LIMIT 2;").await).await.0, 200);
}

#[tokio::test]
async fn rows_go_in_with_an_acknowledgement_each() {
    let (server, _) = house().await;
    let at = server.address();
    let body = "{\"target\":\"S\"}\n{\"N\":1}\n{\"N\":\"x\"}\n{\"N\":3}\n";
    let response = send(at, true, "POST", "/inserts-stream", "*/*", full(body)).await;
    assert_eq!(
        text(response).await.1,
        "{\"status\":\"ok\",\"seq\":0}\n\
         {\"@type\":\"generic_error\",\"error_code\":40000,\"message\":\"N is no number\",\"status\":\"error\",\"seq\":1}\n\
         {\"status\":\"ok\",\"seq\":2}\n"
    );
    let response = send(at, false, "POST", "/inserts-stream", "application/json", full(body)).await;
    let acks: Value = serde_json::from_str(&text(response).await.1).unwrap();
    assert_eq!(acks[2], json!({"status": "ok", "seq": 2}));
    let response = send(at, true, "POST", "/inserts-stream", "*/*", full("{\"target\":\"X\"}\n")).await;
    assert_eq!(text(response).await.0, 400);

    // Each row is acknowledged while the request still goes on.
    let (lines, received) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
    let say = async |line: &'static str| {
        lines.send(Ok(Frame::data(Bytes::from_static(line.as_bytes())))).await.unwrap();
    };
    say("{\"target\":\"S\"}\n{\"N\":").await;
    let body = futures_util::stream::unfold(received, async |mut lines| Some((lines.recv().await?, lines)));
    let mut response =
        send(at, true, "POST", "/inserts-stream", "*/*", StreamBody::new(body).boxed_unsync()).await;
    say("1}\n").await;
    let ack = timeout(PATIENCE, response.body_mut().frame()).await.expect("an acknowledgement in time");
    assert_eq!(ack.unwrap().unwrap().into_data().unwrap(), "{\"status\":\"ok\",\"seq\":0}\n");
}

#[tokio::test]
async fn a_websocket_gives_the_columns_and_a_message_per_row() {
    let (server, small) = house().await;
    let at = server.address();
    let connect = async |sql: &str, origin: Option<&str>| {
        let request = json!({"ksql": sql}).to_string();
        let encoded = request.bytes().fold(String::new(), |mut all, byte| {
            write!(all, "%{byte:02X}").unwrap();
            all
        });
        let stream = TcpStream::connect(at).await.unwrap();
        let mut builder = Request::builder()
            .uri(format!("ws://{at}/ws/query?request={encoded}"))
            .header("host", at.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if let Some(origin) = origin {
            builder = builder.header("origin", origin);
        }
        tokio_tungstenite::client_async(builder.body(()).unwrap(), stream).await
    };
    let (mut socket, _) = connect("SELECT * FROM S EMIT CHANGES LIMIT 2;", None).await.unwrap();
    let mut heard = Vec::new();
    while let Some(Ok(message)) = timeout(PATIENCE, socket.next()).await.expect("a message in time") {
        heard.push(match message {
            Message::Text(text) => text.to_string(),
            Message::Close(frame) => {
                format!("{} {}", u16::from(frame.as_ref().unwrap().code), frame.unwrap().reason)
            }
            other => format!("{other:?}"),
        });
    }
    let columns: Value = serde_json::from_str(&heard[0]).unwrap();
    assert_eq!(
        columns[1],
        json!({"name": "N", "schema": {"type": "BIGINT", "fields": null, "memberSchema": null}})
    );
    assert_eq!(
        heard[1..],
        [r#"{"row":{"columns":["a",0]}}"#, r#"{"row":{"columns":["a",1]}}"#, "1000 Limit Reached"]
    );

    let (mut socket, _) = connect("SELECT * FROM S EMIT CHANGES WAIT;", None).await.unwrap();
    socket.next().await.unwrap().unwrap();
    running(&small, 1).await;
    socket.send(Message::Close(None)).await.unwrap();
    running(&small, 0).await;
    let foreign = connect("SELECT * FROM S EMIT CHANGES;", Some("http://evil.example")).await;
    assert!(foreign.is_err(), "no page of elsewhere listens in");
}

#[tokio::test]
async fn the_server_tells_about_itself() {
    let (server, _) = house().await;
    let at = server.address();
    let info = get(at, "/info").await.1;
    assert_eq!(info["KsqlServerInfo"]["kafkaClusterId"], "kafka-1");
    assert_eq!(info["KsqlServerInfo"]["ksqlServiceId"], "default_");
    assert_eq!(info["KsqlServerInfo"]["serverStatus"], "RUNNING");
    let health = get(at, "/healthcheck").await.1;
    assert_eq!(
        (&health["isHealthy"], &health["details"]["kafka"]["isHealthy"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(get(at, "/is_valid_property/auto.offset.reset").await, (200, json!(true)));
    let (status, wrong) = get(at, "/is_valid_property/colour").await;
    assert_eq!((status, &wrong["error_code"]), (400, &json!(40_000)));
    let cluster = get(at, "/clusterStatus").await.1;
    let host = cluster["clusterStatus"].as_object().unwrap().values().next().unwrap();
    assert_eq!(host["hostAlive"], true);
    let beat = json!({"hostInfo": {"host": "other", "port": 8088}, "timestamp": 1});
    assert_eq!(post(at, "/heartbeat", &beat).await, (200, r#"{"isOk":true}"#.to_owned()));
    let (status, wrong) = get(at, "/status/none/of/these").await;
    assert_eq!(
        (status, &wrong["@type"], &wrong["error_code"]),
        (404, &json!("generic_error"), &json!(40_400))
    );
}

#[tokio::test]
async fn the_schema_registry_answers_at_its_usual_paths() {
    let (server, _) = house().await;
    let at = server.address();
    let response =
        send(at, false, "POST", "/subjects/a%2Fb-value/versions?normalize=true", "*/*", full("{}")).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
    let said: Value = serde_json::from_str(&text(response).await.1).unwrap();
    assert_eq!(said, json!(["POST", "/subjects/a%2Fb-value/versions", "normalize=true", 2]));
    for path in
        ["/subjects", "/schemas/ids/1", "/config", "/config/a", "/mode", "/compatibility/subjects/a/versions"]
    {
        assert_eq!(get(at, path).await.1[1], path);
    }
}
