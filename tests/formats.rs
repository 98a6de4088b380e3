//! Goal: what the formats write, fastavro and Google's Protobuf read, and the other way round.

use millstream_format::registry::{SchemaCache, SchemaKind, SchemaRef, SchemaText};
use millstream_format::sql::{
    Column, ColumnBuilder, Columns, Datum, Decimal, Format, FormatSpec, Layout, Nullable, SqlType,
};
use millstream_tests::peer::{python, root};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The libraries, behind `tests/python/schemas.py`.
struct Libraries {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Libraries {
    fn start() -> Self {
        let mut process = Command::new(python())
            .arg(root().join("tests/python/schemas.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let input = process.stdin.take().expect("an input");
        let output = BufReader::new(process.stdout.take().expect("an output"));
        Self { process, input, output }
    }

    fn ask(&mut self, command: &Json) -> Json {
        writeln!(self.input, "{command}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{command} was answered with {line:?}"))
    }
}

impl Drop for Libraries {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

fn text(text: &str) -> Datum<'static> {
    Datum::Varchar(text.to_owned().into())
}

fn row() -> (Columns, Vec<Datum<'static>>) {
    let listed = vec![
        ("B", SqlType::Boolean, Datum::Boolean(true)),
        ("I", SqlType::Int, Datum::Int(i32::MIN)),
        ("L", SqlType::BigInt, Datum::BigInt(i64::MAX)),
        ("D", SqlType::Double, Datum::Double(-0.1)),
        ("E", SqlType::Decimal { precision: 30, scale: 3 }, Datum::Decimal(Decimal::new(-129, 3))),
        ("V", SqlType::Varchar, text("héllo \u{1f600}")),
        ("Y", SqlType::Bytes, Datum::Bytes(vec![0, 255, 16].into())),
        ("DA", SqlType::Date, Datum::Date(19_782)),
        ("T", SqlType::Time, Datum::Time(49_020_001)),
        ("TS", SqlType::Timestamp, Datum::Timestamp(1_709_213_820_123)),
        ("A", SqlType::array(SqlType::Int), Datum::Array([Datum::Int(1), Datum::Null].into())),
        ("M", SqlType::map(SqlType::Varchar, SqlType::Int), Datum::Map([(text("k"), Datum::Int(7))].into())),
        (
            "R",
            SqlType::structure([("F", SqlType::Int), ("G", SqlType::Varchar)]),
            Datum::Struct([Datum::Int(1), Datum::Null].into()),
        ),
        ("N", SqlType::BigInt, Datum::Null),
    ];
    let columns = listed.iter().map(|(name, sql_type, _)| ((*name).into(), *sql_type)).collect();
    (columns, listed.into_iter().map(|(.., value)| value).collect())
}

fn registered(spec: FormatSpec, columns: Columns, schema: Option<&str>) -> Layout {
    let mut layout = Layout::new(spec, columns);
    let kind = layout.spec.format.schema_kind().expect("a format with schemas");
    let schema = schema.map_or_else(
        || layout.schema().expect("a schema of the columns"),
        |text| SchemaText::new(kind, text),
    );
    let cache = SchemaCache::new();
    assert_eq!(cache.insert(1, &schema, &[]).error(), None);
    layout.spec.schema = Some(SchemaRef { cache, writer: Some(1) });
    layout
}

fn written(layout: &Layout, row: &[Datum<'static>]) -> Vec<u8> {
    let made: Vec<Column> =
        layout.columns.iter().zip(row).map(|((_, t), value)| Column::constant(value, *t, 1)).collect();
    let mut out = Vec::new();
    layout.encoder().encode(&made.iter().collect::<Vec<_>>(), 0, &mut out).expect("it can be written");
    out
}

fn read(layout: &Layout, bytes: &[u8]) -> Vec<Datum<'static>> {
    let mut builders: Vec<_> = layout.columns.iter().map(|(_, t)| ColumnBuilder::new(*t, 1)).collect();
    layout.decoder().decode(bytes, &mut builders).expect("it can be read");
    builders.iter_mut().map(|builder| builder.finish().datum(0).into_owned()).collect()
}

#[test]
fn fastavro_reads_what_we_write() {
    let mut libraries = Libraries::start();
    let (columns, row) = row();
    let layout = registered(FormatSpec::value(Format::Avro), columns, None);
    let schema = layout.schema().expect("a schema").text;
    let body = hex(&written(&layout, &row)[5..]);
    let answer = libraries.ask(&json!({"do": "avro-read", "schema": *schema, "hex": body}));
    let expected = json!({
        "B": true, "I": i32::MIN, "L": i64::MAX, "D": -0.1, "E": "-0.129", "V": "héllo \u{1f600}", "Y": "AP8Q",
        "DA": 19782, "T": 49_020_001, "TS": 1_709_213_820_123_i64, "A": [1, null],
        "M": [{"key": "k", "value": 7}], "R": {"F": 1, "G": null}, "N": null,
    });
    assert_eq!(answer["value"], expected);
    // A value by itself.
    let layout = registered(FormatSpec::key(Format::Avro), vec![("K".into(), SqlType::Varchar)], None);
    let body = hex(&written(&layout, &[text("key")])[5..]);
    let answer = libraries.ask(&json!({"do": "avro-read", "schema": "\"string\"", "hex": body}));
    assert_eq!(answer["value"], "key");
}

#[test]
fn we_read_what_fastavro_writes() {
    let mut libraries = Libraries::start();
    let schema = json!({"type": "record", "name": "Reading", "namespace": "acme", "fields": [
        {"name": "id", "type": "int"},
        {"name": "ratio", "type": "float"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["RUN", "STOP"]}},
        {"name": "tags", "type": {"type": "map", "values": ["null", "string"]}},
        {"name": "left", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "child", "type": ["null", "Reading"], "default": null},
        {"name": "last", "type": "string"},
    ]})
    .to_string();
    let value = json!({
        "id": -7, "ratio": 0.5, "state": "STOP", "tags": {"a": "x", "b": null}, "left": [{}, {}], "at": 1_500,
        "child": {"id": 1, "ratio": 1.5, "state": "RUN", "tags": {}, "left": [], "at": 2, "child": null, "last": "inner"},
        "last": "end",
    });
    let answer = libraries.ask(&json!({"do": "avro-write", "schema": schema, "value": value}));
    let child = SqlType::structure([("ID", SqlType::BigInt), ("LAST", SqlType::Varchar)]);
    let columns: Columns = [
        ("ID", SqlType::BigInt),
        ("RATIO", SqlType::Double),
        ("STATE", SqlType::Varchar),
        ("TAGS", SqlType::map(SqlType::Varchar, SqlType::Varchar)),
        ("AT", SqlType::Timestamp),
        ("CHILD", child),
        ("LAST", SqlType::Varchar),
    ]
    .map(|(name, sql_type)| (name.into(), sql_type))
    .to_vec();
    let mut layout = Layout::new(FormatSpec::value(Format::Avro), columns);
    let cache = SchemaCache::new();
    cache.insert(1, &SchemaText::new(SchemaKind::Avro, schema), &[]);
    layout.spec.schema = Some(SchemaRef::reader(cache));
    let bytes = [vec![0, 0, 0, 0, 1], unhex(answer["hex"].as_str().expect("hex"))].concat();
    let expected = vec![
        Datum::BigInt(-7),
        Datum::Double(0.5),
        text("STOP"),
        Datum::Map([(text("a"), text("x")), (text("b"), Datum::Null)].into()),
        Datum::Timestamp(1_500),
        Datum::Struct([Datum::BigInt(1), text("inner")].into()),
        text("end"),
    ];
    assert_eq!(read(&layout, &bytes), expected);
}

#[test]
fn protobuf_goes_both_ways() {
    let mut libraries = Libraries::start();
    let fields = [
        ("B", SqlType::Boolean, "bool", Datum::Boolean(true), json!(true)),
        ("I", SqlType::Int, "int32", Datum::Int(-5), json!(-5)),
        ("L", SqlType::BigInt, "int64", Datum::BigInt(i64::MIN), json!(i64::MIN.to_string())),
        ("D", SqlType::Double, "double", Datum::Double(1.25), json!(1.25)),
        ("V", SqlType::Varchar, "string", text("é"), json!("é")),
        ("Y", SqlType::Bytes, "bytes", Datum::Bytes(vec![1, 2].into()), json!("AQI=")),
        (
            "A",
            SqlType::array(SqlType::Int),
            "int32",
            Datum::Array([Datum::Int(1), Datum::Int(-1), Datum::Int(300)].into()),
            json!([1, -1, 300]),
        ),
        (
            "W",
            SqlType::array(SqlType::Varchar),
            "string",
            Datum::Array([text("a"), text("")].into()),
            json!(["a", ""]),
        ),
    ];
    for nullable in [Nullable::Default, Nullable::Optional] {
        let columns: Columns =
            fields.iter().map(|(name, sql_type, ..)| ((*name).into(), *sql_type)).collect();
        let spec = FormatSpec { nullable, ..FormatSpec::value(Format::ProtobufNosr) };
        let layout = Layout::new(spec, columns);
        let descriptor: Vec<Json> = (1..)
            .zip(&fields)
            .map(|(number, (name, sql_type, kind, ..))| {
                let repeated = matches!(sql_type, SqlType::Array(_));
                let optional = nullable == Nullable::Optional && !repeated;
                json!({"name": name, "number": number, "type": kind, "repeated": repeated, "optional": optional})
            })
            .collect();
        let row: Vec<Datum<'static>> = fields.iter().map(|(_, _, _, value, _)| value.clone()).collect();
        let value: Json =
            fields.iter().map(|(name, .., value)| ((*name).to_owned(), value.clone())).collect();
        let bytes = written(&layout, &row);
        let answer =
            libraries.ask(&json!({"do": "protobuf-read", "descriptor": descriptor, "hex": hex(&bytes)}));
        assert_eq!(answer["value"], value);
        let answer =
            libraries.ask(&json!({"do": "protobuf-write", "descriptor": descriptor, "value": value}));
        assert_eq!(answer["hex"], hex(&bytes).as_str());
        assert_eq!(read(&layout, &unhex(answer["hex"].as_str().expect("hex"))), row);
    }
}

#[test]
fn descriptors_of_other_clients_are_schemas() {
    let mut libraries = Libraries::start();
    let answer = libraries.ask(&json!({"do": "protobuf-describe"}));
    let schema = answer["text"].as_str().expect("a text").to_owned();
    let cache = SchemaCache::new();
    let parsed = cache.insert(1, &SchemaText::new(SchemaKind::Protobuf, schema), &[]);
    assert_eq!(parsed.error(), None);
    let mut spec = FormatSpec::value(Format::Protobuf);
    spec.schema_name = Some("Reading".into());
    let columns = parsed.columns(&spec, false).expect("columns");
    let found: Vec<String> = columns.iter().map(|(name, sql_type)| format!("{name} {sql_type}")).collect();
    let expected = [
        "WHAT_0 STRUCT<`LEFT` INTEGER, `RIGHT` VARCHAR>",
        "NAME VARCHAR",
        "STATE VARCHAR",
        "PARTS ARRAY<STRUCT<`ID` BIGINT>>",
        "TAGS MAP<VARCHAR, INTEGER>",
        "MAYBE BIGINT",
    ];
    assert_eq!(found, expected);
    // The second message is named by its index; nothing but a tag is set.
    let mut layout = Layout::new(spec, columns);
    layout.spec.schema = Some(SchemaRef::reader(cache));
    let row = read(&layout, &[0, 0, 0, 0, 1, 2, 2, 0x22, 5, 0x0a, 1, b'k', 0x10, 9]);
    let expected = vec![
        Datum::Null,
        text(""),
        text("RUN"),
        Datum::Array([].into()),
        Datum::Map([(text("k"), Datum::Int(9))].into()),
        Datum::Null,
    ];
    assert_eq!(row, expected);
}
