//! Goal: what is registered stays, under one id, for every process and every tool; and both registries keep the same promises.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test may panic, and a table may be long")]

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, Bus, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition};
use millstream_format::registry::{
    RegistryError, SchemaCache, SchemaKind, SchemaRef, SchemaReference, SchemaRegistry, SchemaText,
    fetch_missing, inferred, subject,
};
use millstream_format::sql::{Format, FormatSpec, Layout, SqlType};
use millstream_model::{Clock, Timestamp};
use millstream_registry::{
    Answer, BusRegistry, Credentials, HttpRegistry, Level, SCHEMAS_TOPIC, Trust, answer,
};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

async fn open(bus: &Arc<MemoryBus>) -> Arc<BusRegistry> {
    let bus: Arc<dyn Bus> = bus.clone();
    Arc::new(BusRegistry::open(bus, Arc::new(Still)).await.unwrap())
}

fn avro(fields: &str) -> SchemaText {
    let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    SchemaText::new(SchemaKind::Avro, text)
}

const A: &str = r#"{"name":"a","type":"int"}"#;
const B: &str = r#"{"name":"b","type":"string"}"#;
const B_OR_X: &str = r#"{"name":"b","type":"string","default":"x"}"#;

/// The records of the topic, keys and values.
async fn records(bus: &MemoryBus) -> Vec<(String, Option<String>)> {
    let at = TopicPartition::new(SCHEMAS_TOPIC, 0);
    let stable = bus.offsets(&at).await.unwrap().stable;
    let from = vec![Position::new(at, StartOffset::Earliest)];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let mut found = Vec::new();
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let limit = FetchLimit { wait_max: Duration::from_millis(10), ..FetchLimit::default() };
    while reader.positions()[0].1 < stable {
        for fetched in reader.poll(limit).await.unwrap() {
            found.extend(fetched.records.iter().map(|received| {
                let record = &received.record;
                (text(record.key.as_ref().unwrap()), record.value.as_ref().map(text))
            }));
        }
    }
    found
}

#[tokio::test]
async fn schemas_stay_under_their_ids() {
    let bus = MemoryBus::new();
    let registry = open(&bus).await;
    let first = registry.register("readings-value", &avro(A)).await.unwrap();
    assert_eq!(first, 1);
    // The same schema, laid out in another way, is no new version; under another subject it has the same id.
    let spread = SchemaText::new(SchemaKind::Avro, avro(A).text.replace(':', " : "));
    assert_eq!(registry.register("readings-value", &spread).await, Ok(1));
    assert_eq!(registry.register("other-value", &avro(A)).await, Ok(1));
    assert_eq!(registry.register("readings-value", &avro(&format!("{A},{B_OR_X}"))).await, Ok(2));
    assert_eq!(registry.versions("readings-value").await, Ok(vec![1, 2]));

    let again = open(&bus).await;
    assert_eq!(again.by_id(1).await.unwrap(), avro(A));
    assert_eq!(again.latest("readings-value").await.unwrap().id, 2);
    assert_eq!(again.version("readings-value", 1).await.unwrap().id, 1);
    assert_eq!(again.subjects().await, Ok(vec!["other-value".to_owned(), "readings-value".to_owned()]));
    assert_eq!(again.by_id(9).await, Err(RegistryError::UnknownId(9)));
    assert_eq!(again.latest("no").await, Err(RegistryError::UnknownSubject("no".to_owned())));
}

#[tokio::test]
async fn records_are_confluents() {
    let bus = MemoryBus::new();
    let registry = open(&bus).await;
    registry.register("s", &SchemaText::new(SchemaKind::Avro, "\"string\"")).await.unwrap();
    registry.set_level(None, Some(Level::Full)).await.unwrap();
    registry.set_level(Some("s"), Some(Level::None)).await.unwrap();
    let protobuf = SchemaText {
        references: vec![SchemaReference { name: "s.proto".to_owned(), subject: "s".to_owned(), version: 1 }],
        ..SchemaText::new(SchemaKind::Json, "{}")
    };
    registry.register("p", &protobuf).await.unwrap();
    let of = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    assert_eq!(
        records(&bus).await,
        [
            of(
                r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
                r#"{"subject":"s","version":1,"id":1,"schema":"\"string\"","deleted":false}"#,
            ),
            of(
                r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
                r#"{"subject":null,"compatibilityLevel":"FULL"}"#
            ),
            of(
                r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
                r#"{"subject":"s","compatibilityLevel":"NONE"}"#
            ),
            of(
                r#"{"keytype":"SCHEMA","subject":"p","version":1,"magic":1}"#,
                r#"{"subject":"p","version":1,"id":2,"schemaType":"JSON","references":[{"name":"s.proto","subject":"s","version":1}],"schema":"{}","deleted":false}"#,
            ),
        ]
    );
}

#[tokio::test]
async fn what_others_wrote_is_read() {
    let bus = MemoryBus::new();
    let registry = open(&bus).await;
    let at = TopicPartition::new(SCHEMAS_TOPIC, 0);
    let record = |key: &'static str, value: Option<&'static str>| {
        Record::new(Some(Bytes::from(key)), value.map(Bytes::from), Timestamp(0))
    };
    let written = vec![
        record(r#"{"keytype":"NOOP","magic":0}"#, None),
        record(
            r#"{"keytype":"SCHEMA","subject":"x-value","version":3,"magic":1}"#,
            Some(
                r#"{"subject":"x-value","version":3,"id":41,"md5":"zz","schemaType":"PROTOBUF","schema":"syntax = \"proto3\";\nmessage M { int32 a = 1; }","deleted":false}"#,
            ),
        ),
        record("no json", Some("neither")),
        record(r#"{"keytype":"MODE","subject":null,"magic":0}"#, Some(r#"{"mode":"IMPORT"}"#)),
        record(
            r#"{"keytype":"CONFIG","subject":"x-value","magic":0}"#,
            Some(r#"{"compatibilityLevel":"FORWARD_TRANSITIVE","alias":null}"#),
        ),
    ];
    bus.append(&at, written, Acks::All).await.unwrap();
    assert_eq!(registry.by_id(41).await.unwrap().kind, SchemaKind::Protobuf);
    assert_eq!(registry.versions("x-value").await, Ok(vec![3]));
    assert_eq!(registry.level("x-value").await, Ok(Level::ForwardTransitive));
    // Ids and versions go on behind theirs.
    let more =
        SchemaText::new(SchemaKind::Protobuf, "syntax = \"proto3\"; message M { int32 a = 1; int32 b = 2; }");
    assert_eq!(registry.register("x-value", &more).await, Ok(42));
    assert_eq!(registry.latest("x-value").await.unwrap().version, 4);
}

#[tokio::test]
async fn two_processes_give_no_id_twice() {
    let bus = MemoryBus::new();
    let registries = [open(&bus).await, open(&bus).await];
    let mut running = Vec::new();
    for number in 0..20_usize {
        let registry = registries[number % 2].clone();
        running.push(tokio::spawn(async move {
            let schema = avro(&format!(r#"{{"name":"f{number}","type":"int"}}"#));
            registry.register(&format!("s{number}"), &schema).await.unwrap()
        }));
    }
    let mut ids = Vec::new();
    for one in running {
        ids.push(one.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<i32>>());
    assert_eq!(records(&bus).await.len(), 20);
    for registry in registries {
        assert_eq!(registry.subjects().await.unwrap().len(), 20);
    }
}

#[tokio::test]
async fn levels_say_which_schemas_may_follow() {
    let wide = r#"{"name":"a","type":"long"}"#;
    for (level, follows, refused) in [
        (Level::Backward, Some(wide.to_owned()), Some(format!("{wide},{B}"))),
        (Level::Forward, Some(format!("{A},{B}")), Some(wide.to_owned())),
        (Level::Full, Some(format!("{A},{B_OR_X}")), Some(format!("{A},{B}"))),
        (Level::None, Some(B.to_owned()), None),
    ] {
        let registry = open(&MemoryBus::new()).await;
        registry.set_level(None, Some(level)).await.unwrap();
        registry.register("s", &avro(A)).await.unwrap();
        if let Some(refused) = refused {
            let error = registry.register("s", &avro(&refused)).await.unwrap_err();
            assert!(matches!(error, RegistryError::Incompatible { .. }), "{level}: {error}");
            assert!(!registry.incompatibilities("s", &avro(&refused)).await.unwrap().is_empty());
        }
        if let Some(follows) = follows {
            assert_eq!(registry.register("s", &avro(&follows)).await, Ok(2), "{level}");
        }
    }
    // Without transitivity the newest version counts, with it all of them.
    for (level, allowed) in [(Level::Backward, true), (Level::BackwardTransitive, false)] {
        let registry = open(&MemoryBus::new()).await;
        registry.set_level(Some("s"), Some(level)).await.unwrap();
        registry.register("s", &avro(A)).await.unwrap();
        registry.register("s", &avro(&format!("{A},{B_OR_X}"))).await.unwrap();
        let third = registry.register("s", &avro(&format!("{A},{B}"))).await;
        assert_eq!(third.is_ok(), allowed, "{level}: {third:?}");
    }
}

#[tokio::test]
async fn statements_register_and_infer() {
    let registry = open(&MemoryBus::new()).await;
    let cache = SchemaCache::new();
    let columns = vec![("ID".into(), SqlType::BigInt), ("NAME".into(), SqlType::Varchar)];
    for format in [Format::Avro, Format::Protobuf, Format::JsonSr] {
        let topic = format.name().to_lowercase();
        let spec = FormatSpec::value(format);
        assert_eq!(inferred(&spec, &topic, false, &cache, &*registry).await, Ok(None));
        let layout = Layout::new(spec.clone(), columns.clone());
        let writer = SchemaRef::writer(&layout, &subject(&topic, false), &cache, &*registry).await.unwrap();
        assert!(writer.writer.is_some());
        assert_eq!(inferred(&spec, &topic, false, &cache, &*registry).await, Ok(Some(columns.clone())));
        // A schema that is named by its id is neither registered anew nor changed.
        let spec = FormatSpec { schema_id: writer.writer, ..spec };
        let layout = Layout::new(spec, columns.clone());
        assert_eq!(SchemaRef::writer(&layout, "elsewhere", &cache, &*registry).await, Ok(writer));
        let more = Layout::new(layout.spec.clone(), vec![("OTHER".into(), SqlType::Int)]);
        if format != Format::JsonSr {
            let error = SchemaRef::writer(&more, "elsewhere", &cache, &*registry).await.unwrap_err();
            assert!(error.to_string().contains("no field for column `OTHER`"), "{error}");
        }
    }
    assert_eq!(registry.subjects().await.unwrap().len(), 3);
}

#[tokio::test]
async fn schemas_of_records_are_fetched_before_they_are_decoded() {
    let registry = open(&MemoryBus::new()).await;
    let id = registry.register("s", &avro(A)).await.unwrap();
    let cache = SchemaCache::new();
    let mut layout = Layout::new(FormatSpec::value(Format::Avro), vec![("A".into(), SqlType::Int)]);
    layout.spec.schema = Some(SchemaRef::reader(cache.clone()));
    let values: [&[u8]; 4] = [&[0, 0, 0, 0, 1, 2], b"{}", &[0, 0, 0, 0, 9, 2], b""];
    cache.ask(registry);
    fetch_missing(&layout, values.into_iter()).await.unwrap();
    assert!(cache.get(id).is_some());
    assert!(cache.get(9).is_none());
    // Where the registry is away, the batch waits.
    let away = HttpRegistry::new("http://127.0.0.1:1", None, &Trust::System).unwrap();
    cache.ask(Arc::new(away));
    let error = fetch_missing(&layout, values.into_iter()).await.unwrap_err();
    assert!(error.is_retriable());
}

async fn asks(registry: &BusRegistry, method: &str, path: &str, body: Json) -> (u16, Json) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Answer { status, body } = answer(registry, method, path, query, body.to_string().as_bytes()).await;
    (status, body)
}

#[tokio::test]
async fn the_rest_api_is_confluents() {
    let registry = open(&MemoryBus::new()).await;
    let schema = |fields: &str| json!({"schema": avro(fields).text.to_string()});
    let text = avro(A).text.to_string();
    let none = Json::Null;
    for (method, path, body, status, answer) in [
        ("GET", "/subjects", none.clone(), 200, json!([])),
        ("POST", "/subjects/a%2Fb-value/versions", schema(A), 200, json!({"id": 1})),
        ("GET", "/subjects", none.clone(), 200, json!(["a/b-value"])),
        ("GET", "/subjects/a%2Fb-value/versions", none.clone(), 200, json!([1])),
        (
            "GET",
            "/subjects/a%2Fb-value/versions/latest",
            none.clone(),
            200,
            json!({"subject": "a/b-value", "version": 1, "id": 1, "schema": text}),
        ),
        ("GET", "/schemas/ids/1", none.clone(), 200, json!({"schema": text})),
        (
            "GET",
            "/schemas/ids/1/versions",
            none.clone(),
            200,
            json!([{"subject": "a/b-value", "version": 1}]),
        ),
        ("GET", "/schemas/types", none.clone(), 200, json!(["JSON", "PROTOBUF", "AVRO"])),
        (
            "POST",
            "/subjects/a%2Fb-value",
            schema(A),
            200,
            json!({"subject": "a/b-value", "version": 1, "id": 1, "schema": text}),
        ),
        (
            "POST",
            "/subjects/a%2Fb-value",
            schema(B),
            404,
            json!({"error_code": 40403, "message": "Schema not found"}),
        ),
        (
            "GET",
            "/subjects/x/versions",
            none.clone(),
            404,
            json!({"error_code": 40401, "message": "Subject 'x' not found."}),
        ),
        (
            "GET",
            "/subjects/a%2Fb-value/versions/7",
            none.clone(),
            404,
            json!({"error_code": 40402, "message": "Version 7 not found."}),
        ),
        (
            "GET",
            "/schemas/ids/7",
            none.clone(),
            404,
            json!({"error_code": 40403, "message": "Schema 7 not found"}),
        ),
        ("GET", "/nothing", none.clone(), 404, json!({"error_code": 404, "message": "HTTP 404 Not Found"})),
        (
            "PATCH",
            "/subjects",
            none.clone(),
            405,
            json!({"error_code": 405, "message": "HTTP 405 Method Not Allowed"}),
        ),
        ("GET", "/config", none.clone(), 200, json!({"compatibilityLevel": "BACKWARD"})),
        ("PUT", "/config/s", json!({"compatibility": "full"}), 200, json!({"compatibility": "FULL"})),
        ("GET", "/config/s", none.clone(), 200, json!({"compatibilityLevel": "FULL"})),
        ("DELETE", "/config/s", none.clone(), 200, json!({"compatibilityLevel": "FULL"})),
        (
            "GET",
            "/config/s?defaultToGlobal=true",
            none.clone(),
            200,
            json!({"compatibilityLevel": "BACKWARD"}),
        ),
        ("GET", "/mode", none.clone(), 200, json!({"mode": "READWRITE"})),
        (
            "POST",
            "/compatibility/subjects/a%2Fb-value/versions/latest",
            schema(A),
            200,
            json!({"is_compatible": true}),
        ),
        (
            "POST",
            "/compatibility/subjects/a%2Fb-value/versions/latest?verbose=true",
            schema(&format!("{A},{B}")),
            200,
            json!({"is_compatible": false, "messages": ["version 1: /b: the field to read has no default, and was not written"]}),
        ),
        ("DELETE", "/subjects/a%2Fb-value", none.clone(), 200, json!([1])),
        ("GET", "/subjects?deleted=true", none.clone(), 200, json!(["a/b-value"])),
        ("GET", "/subjects", none.clone(), 200, json!([])),
        ("GET", "/schemas/ids/1", none.clone(), 200, json!({"schema": text})),
        ("DELETE", "/subjects/a%2Fb-value?permanent=true", none.clone(), 200, json!([1])),
        ("GET", "/subjects?deleted=true", none.clone(), 200, json!([])),
    ] {
        assert_eq!(asks(&registry, method, path, body).await, (status, answer), "{method} {path}");
    }
    for (body, code) in [
        (json!({"schema": "{"}), 42201),
        (json!({"schema": "{}", "schemaType": "THRIFT"}), 42201),
        (json!({}), 42201),
        (json!({"schema": "message", "schemaType": "PROTOBUF"}), 42201),
    ] {
        let (status, answer) = asks(&registry, "POST", "/subjects/s/versions", body.clone()).await;
        assert_eq!((status, answer["error_code"].as_i64()), (422, Some(code)), "{body}");
    }
    asks(&registry, "POST", "/subjects/s/versions", schema(A)).await;
    let (status, _) = asks(&registry, "POST", "/subjects/s/versions", schema(&format!("{A},{B}"))).await;
    assert_eq!(status, 409);
    let (status, _) = asks(&registry, "GET", "/subjects/s/versions/x", Json::Null).await;
    assert_eq!(status, 422);
}

/// Serves a registry on a port of its own, with or without TLS, for those who know the password. Returns the port.
async fn serve(registry: Arc<BusRegistry>, tls: Option<tokio_rustls::TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (registry, tls) = (registry.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => converse(TokioIo::new(stream), registry).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            converse(TokioIo::new(stream), registry).await;
                        }
                    }
                }
            });
        }
    });
    port
}

async fn converse<I>(io: I, registry: Arc<BusRegistry>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let registry = registry.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            // "me:secret"
            let known = head.headers.get("authorization").is_some_and(|value| value == "Basic bWU6c2VjcmV0");
            let made = if known {
                let query = head.uri.query().unwrap_or_default();
                answer(&registry, head.method.as_str(), head.uri.path(), query, &body).await
            } else {
                Answer { status: 401, body: json!({"error_code": 401, "message": "Unauthorized"}) }
            };
            let response =
                Response::builder().status(made.status).body(Full::new(Bytes::from(made.body.to_string())));
            Ok::<_, hyper::Error>(response.unwrap())
        }
    });
    // A client that goes away ends the conversation.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

fn me() -> Credentials {
    Credentials { user: "me".to_owned(), password: "secret".to_owned() }
}

/// What every registry promises.
async fn keeps_its_promises(registry: &dyn SchemaRegistry) {
    assert_eq!(registry.subjects().await, Ok(vec![]));
    let unknown = RegistryError::UnknownSubject("a b/c".to_owned());
    assert_eq!(registry.latest("a b/c").await, Err(unknown));
    assert_eq!(registry.incompatibilities("a b/c", &avro(B)).await, Ok(vec![]));
    let id = registry.register("a b/c", &avro(A)).await.unwrap();
    assert_eq!(registry.register("a b/c", &avro(A)).await, Ok(id));
    assert_eq!(registry.by_id(id).await, Ok(avro(A)));
    assert_eq!(registry.by_id(99).await, Err(RegistryError::UnknownId(99)));
    let latest = registry.latest("a b/c").await.unwrap();
    assert_eq!((latest.version, latest.id, &latest.schema), (1, id, &avro(A)));
    assert_eq!(registry.version("a b/c", 1).await, Ok(latest));
    let unknown = RegistryError::UnknownVersion { subject: "a b/c".to_owned(), version: 2 };
    assert_eq!(registry.version("a b/c", 2).await, Err(unknown));
    let both = avro(&format!("{A},{B}"));
    assert!(matches!(registry.register("a b/c", &both).await, Err(RegistryError::Incompatible { .. })));
    let reasons = registry.incompatibilities("a b/c", &both).await.unwrap();
    assert_eq!(reasons, ["version 1: /b: the field to read has no default, and was not written"]);
    assert!(matches!(registry.register("a b/c", &avro("{")).await, Err(RegistryError::Invalid(_))));
    let protobuf = SchemaText::new(SchemaKind::Protobuf, "syntax = \"proto3\"; message M { int32 a = 1; }");
    let other = registry.register("p", &protobuf).await.unwrap();
    assert_eq!(registry.by_id(other).await, Ok(protobuf));
    assert_eq!(registry.subjects().await, Ok(vec!["a b/c".to_owned(), "p".to_owned()]));
    assert_eq!(registry.delete_subject("a b/c").await, Ok(vec![1]));
    assert_eq!(registry.by_id(id).await, Ok(avro(A)));
    assert_eq!(registry.versions("p").await, Ok(vec![1]));
}

#[tokio::test]
async fn a_registry_on_the_bus_keeps_its_promises() {
    keeps_its_promises(&*open(&MemoryBus::new()).await).await;
}

#[tokio::test]
async fn a_registry_elsewhere_keeps_its_promises() {
    let port = serve(open(&MemoryBus::new()).await, None).await;
    let url = format!("http://127.0.0.1:{port}/");
    keeps_its_promises(&HttpRegistry::new(&url, Some(&me()), &Trust::System).unwrap()).await;
    let stranger = HttpRegistry::new(&url, None, &Trust::System).unwrap();
    assert!(matches!(stranger.subjects().await, Err(RegistryError::Refused(why)) if why.contains("401")));
    let in_url =
        HttpRegistry::new(&format!("http://me:secret@127.0.0.1:{port}"), None, &Trust::System).unwrap();
    assert!(in_url.subjects().await.is_ok());
}

#[tokio::test]
async fn a_registry_behind_tls_keeps_its_promises() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = serve(open(&MemoryBus::new()).await, Some(acceptor)).await;
    let url = format!("https://localhost:{port}");
    let trust = Trust::Pem(made.cert.pem().into_bytes());
    keeps_its_promises(&HttpRegistry::new(&url, Some(&me()), &trust).unwrap()).await;
    // Another one's certificate is not believed.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let stranger = HttpRegistry::new(&url, Some(&me()), &Trust::Pem(other.cert.pem().into_bytes())).unwrap();
    assert!(matches!(stranger.subjects().await, Err(RegistryError::Unavailable(_))));
}

#[tokio::test]
async fn nobody_listening_is_told_and_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let registry = HttpRegistry::new(&format!("http://127.0.0.1:{port}"), None, &Trust::System).unwrap();
    let error = registry.by_id(1).await.unwrap_err();
    assert!(error.is_retriable(), "{error}");
    for url in ["registry:8081", "ftp://registry", "https://", ""] {
        let error = HttpRegistry::new(url, None, &Trust::System).unwrap_err().to_string();
        assert!(error.contains("no address of a registry"), "{error}");
    }
    assert!(HttpRegistry::new("https://registry", None, &Trust::Pem(Vec::new())).is_err());
    assert!(!format!("{:?}", me()).contains("secret"));
}
