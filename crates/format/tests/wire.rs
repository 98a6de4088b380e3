//! Goal: the bytes and schemas are those of the specifications, of Confluent's serializers and of ksqlDB.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test may panic, and a table may be long")]

use millstream_format::registry::{SchemaCache, SchemaKind, SchemaRef, SchemaText};
use millstream_format::sql::{
    Column, ColumnBuilder, Columns, Datum, Decimal, DecodeError, Decoded, Format, FormatSpec, Layout,
    Nullable, ParsedSchema, SqlType, incompatibilities,
};

fn columns(listed: &[(&str, SqlType)]) -> Columns {
    listed.iter().map(|(name, sql_type)| ((*name).into(), *sql_type)).collect()
}

fn text(text: &str) -> Datum<'static> {
    Datum::Varchar(text.to_owned().into())
}

/// A layout whose schema is number 1.
fn by(format: Format, schema: &str, listed: &[(&str, SqlType)]) -> Layout {
    let spec = FormatSpec { schema_id: Some(1), ..FormatSpec::value(format) };
    let mut layout = Layout::new(spec, columns(listed));
    let cache = SchemaCache::new();
    let parsed = cache.insert(1, &SchemaText::new(format.schema_kind().unwrap(), schema), &[]);
    assert_eq!(parsed.error(), None);
    layout.spec.schema = Some(SchemaRef { cache, writer: Some(1) });
    layout
}

fn read(layout: &Layout, bytes: &[u8]) -> Result<Vec<Datum<'static>>, DecodeError> {
    let mut builders: Vec<_> = layout.columns.iter().map(|(_, t)| ColumnBuilder::new(*t, 1)).collect();
    let decoded = layout.decoder().decode(bytes, &mut builders)?;
    assert_eq!(decoded, Decoded::Row);
    Ok(builders.iter_mut().map(|builder| builder.finish().datum(0).into_owned()).collect())
}

fn written(layout: &Layout, row: &[Datum<'static>]) -> Vec<u8> {
    let made: Vec<Column> =
        layout.columns.iter().zip(row).map(|((_, t), value)| Column::constant(value, *t, 1)).collect();
    let mut out = Vec::new();
    layout.encoder().encode(&made.iter().collect::<Vec<_>>(), 0, &mut out).unwrap();
    out
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 1], body].concat()
}

#[test]
fn avro_is_the_specifications() {
    // Avro 1.12, "Binary Encoding", the examples of records, arrays and unions.
    let schema = r#"{"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#;
    let layout = by(Format::Avro, schema, &[("A", SqlType::BigInt), ("B", SqlType::Varchar)]);
    let body = framed(&[0x36, 0x06, 0x66, 0x6f, 0x6f]);
    assert_eq!(read(&layout, &body), Ok(vec![Datum::BigInt(27), text("foo")]));
    assert_eq!(written(&layout, &[Datum::BigInt(27), text("foo")]), body);

    let schema = r#"{"type":"record","name":"r","fields":[{"name":"X","type":{"type":"array","items":"long"}},
        {"name":"U","type":["null","string"]}]}"#;
    let layout = by(Format::Avro, schema, &[("X", SqlType::array(SqlType::BigInt)), ("U", SqlType::Varchar)]);
    let row = [Datum::Array([Datum::BigInt(3), Datum::BigInt(27)].into()), text("a")];
    let body = framed(&[0x04, 0x06, 0x36, 0x00, 0x02, 0x02, 0x61]);
    assert_eq!(read(&layout, &body).unwrap(), row);
    assert_eq!(written(&layout, &row), body);
    // A block may say its length, for those who pass over it.
    assert_eq!(read(&layout, &framed(&[0x03, 0x04, 0x06, 0x36, 0x00, 0x00])).unwrap()[1], Datum::Null);
}

#[test]
fn avro_of_other_writers_becomes_the_declared_columns() {
    let schema = r#"{"type":"record","name":"Reading","namespace":"com.acme","fields":[
        {"name":"skipped","type":{"type":"map","values":{"type":"array","items":"bytes"}}},
        {"name":"size","type":"int"},
        {"name":"ratio","type":"float"},
        {"name":"state","type":{"type":"enum","name":"State","symbols":["RUN","STOP"]}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":1}},
        {"name":"next","type":["null","Reading"]},
        {"name":"any","type":["null","long","string"]}
    ]}"#;
    let any = SqlType::structure([("LONG", SqlType::BigInt), ("STRING", SqlType::Varchar)]);
    let layout = by(
        Format::Avro,
        schema,
        &[
            ("SIZE", SqlType::BigInt),
            ("RATIO", SqlType::Double),
            ("STATE", SqlType::Varchar),
            ("AT", SqlType::Timestamp),
            ("DAY", SqlType::Date),
            ("PRICE", SqlType::Decimal { precision: 8, scale: 3 }),
            ("MISSING", SqlType::Int),
            ("ANY", any),
        ],
    );
    let mut body = vec![2, 2, b'k', 2, 4, 1, 2, 0, 0];
    body.extend_from_slice(&[14]);
    body.extend_from_slice(&0.5_f32.to_le_bytes());
    body.extend_from_slice(&[2]);
    body.extend_from_slice(&[0x80, 0xa4, 0xe8, 0x03]); // 4,000,000 µs
    body.extend_from_slice(&[20, 4, 0xff, 0x85, 0, 4, 4, b'h', b'i']);
    let row = read(&layout, &framed(&body)).unwrap();
    let expected = vec![
        Datum::BigInt(7),
        Datum::Double(0.5),
        text("STOP"),
        Datum::Timestamp(4_000),
        Datum::Date(10),
        Datum::Decimal(Decimal::new(-12_300, 3)),
        Datum::Null,
        Datum::Struct([Datum::Null, text("hi")].into()),
    ];
    assert_eq!(row, expected);
}

#[test]
fn what_a_column_cannot_hold_is_told_with_its_path() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"s","type":
        {"type":"record","name":"i","fields":[{"name":"n","type":"long"}]}}]}"#;
    let inner = SqlType::structure([("N", SqlType::Int)]);
    let error = read(&by(Format::Avro, schema, &[("S", inner)]), &framed(&[2])).unwrap_err().to_string();
    assert_eq!(error, "field `S->N` should be INTEGER, but holds a whole number");
    let schema = "syntax = \"proto3\"; message M { I s = 1; message I { string n = 1; } }";
    let error =
        read(&by(Format::Protobuf, schema, &[("S", inner)]), &framed(&[0, 10, 3, 10, 1, 65])).unwrap_err();
    assert_eq!(error.to_string(), "field `S->N` should be INTEGER, but holds a text");
}

#[test]
fn lengths_are_checked_against_what_is_there() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"N","type":{"type":"array","items":"null"}},
        {"name":"B","type":"bytes"}]}"#;
    let layout = by(Format::Avro, schema, &[("N", SqlType::array(SqlType::Int)), ("B", SqlType::Bytes)]);
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let error = read(&layout, &framed(&huge)).unwrap_err().to_string();
    assert!(error.contains("fewer items without a byte"), "{error}");
    let error = read(&layout, &framed(&[&[0_u8][..], &huge].concat())).unwrap_err().to_string();
    assert!(error.contains("more bytes"), "{error}");
    let layout =
        by(Format::Protobuf, "syntax=\"proto3\"; message M { bytes b = 1; }", &[("B", SqlType::Bytes)]);
    let error = read(&layout, &framed(&[0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f])).unwrap_err().to_string();
    assert!(error.contains("more bytes"), "{error}");
}

#[test]
fn ksqldbs_avro_schemas_are_made_of_columns() {
    let schema = |spec: FormatSpec, listed: &[(&str, SqlType)]| {
        Layout::new(spec, columns(listed)).schema().unwrap().text
    };
    let avro = FormatSpec::value(Format::Avro);
    assert_eq!(
        &*schema(avro.clone(), &[("F1", SqlType::Int), ("D", SqlType::Date)]),
        concat!(
            r#"{"type":"record","name":"KsqlDataSourceSchema","namespace":"io.confluent.ksql.avro_schemas","fields":["#,
            r#"{"name":"F1","type":["null","int"],"default":null},{"name":"D","type":["null",{"type":"int","#,
            r#""connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}],"#,
            r#""default":null}],"connect.name":"io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"}"#,
        )
    );
    let map = SqlType::map(SqlType::Varchar, SqlType::Int);
    assert_eq!(
        &*schema(FormatSpec { schema_name: Some("com.acme.Row".into()), ..avro.clone() }, &[("M1", map)]),
        concat!(
            r#"{"type":"record","name":"Row","namespace":"com.acme","fields":[{"name":"M1","type":["null",{"type":"array","#,
            r#""items":{"type":"record","name":"Row_M1","fields":[{"name":"key","type":["null","string"],"default":null},"#,
            r#"{"name":"value","type":["null","int"],"default":null}],"connect.internal.type":"MapEntry"}}],"#,
            r#""default":null}],"connect.name":"com.acme.Row"}"#,
        )
    );
    assert_eq!(&*schema(FormatSpec::key(Format::Avro), &[("K", SqlType::BigInt)]), r#""long""#);
    // A single key of a struct is a record by itself.
    let key = FormatSpec::key(Format::Avro);
    let layout = Layout::new(key.clone(), columns(&[("K", SqlType::structure([("F", SqlType::Int)]))]));
    let parsed = ParsedSchema::new(&layout.schema().unwrap(), &[]);
    assert_eq!(
        parsed.columns(&key, true).unwrap(),
        columns(&[("ROWKEY", SqlType::structure([("F", SqlType::Int)]))])
    );
}

#[test]
fn protobuf_is_the_specifications() {
    // protobuf.dev, "Encoding": the examples of a number, a text, an inner message and packed numbers.
    let schema = r#"syntax = "proto3";
        /* Two messages, so that the second one is named by its index. */
        message Other { message Inner { int32 a = 1; } }
        message Test { int32 a = 1; string b = 2; Other.Inner c = 3; repeated int32 f = 6 [packed = true]; map<string, sint32> g = 7; }"#;
    let inner = SqlType::structure([("A", SqlType::Int)]);
    let list = SqlType::array(SqlType::Int);
    let map = SqlType::map(SqlType::Varchar, SqlType::Int);
    let listed = [("A", SqlType::Int), ("B", SqlType::Varchar), ("C", inner), ("F", list), ("G", map)];
    let mut layout = by(Format::Protobuf, schema, &listed);
    layout.spec.schema_name = Some("Test".into());
    let body = framed(
        &[
            &[2, 2, 0x08, 0x96, 0x01, 0x12, 0x07][..],
            b"testing",
            &[0x1a, 0x03, 0x08, 0x96, 0x01, 0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05],
            &[0x3a, 0x05, 0x0a, 0x01, b'k', 0x10, 0x01],
        ]
        .concat(),
    );
    let numbers = [3, 270, 86_942].map(Datum::Int);
    let row = vec![
        Datum::Int(150),
        text("testing"),
        Datum::Struct([Datum::Int(150)].into()),
        Datum::Array(numbers.into()),
        Datum::Map([(text("k"), Datum::Int(-1))].into()),
    ];
    assert_eq!(read(&layout, &body), Ok(row.clone()));
    assert_eq!(written(&layout, &row), body);
    // The first message is a lone zero, written and read.
    let layout =
        by(Format::Protobuf, "syntax=\"proto3\"; message M { int32 a = 1; }", &[("A", SqlType::Int)]);
    assert_eq!(written(&layout, &[Datum::Int(150)]), framed(&[0, 0x08, 0x96, 0x01]));
    assert_eq!(read(&layout, &framed(&[2, 0, 0x08, 0x96, 0x01])), Ok(vec![Datum::Int(150)]));
    // Zero is not written, and what is not written reads as zero.
    assert_eq!(written(&layout, &[Datum::Int(0)]), framed(&[0]));
    assert_eq!(read(&layout, &framed(&[0])), Ok(vec![Datum::Int(0)]));
}

#[test]
fn protobuf_tells_null_where_the_schema_can() {
    let listed = [("A", SqlType::Int), ("B", SqlType::Varchar), ("C", SqlType::Timestamp)];
    for (nullable, zero) in [(Nullable::Optional, vec![8, 0]), (Nullable::Wrapper, vec![10, 0])] {
        let spec = FormatSpec { nullable, ..FormatSpec::value(Format::ProtobufNosr) };
        let layout = Layout::new(spec, columns(&listed));
        assert_eq!(written(&layout, &[Datum::Int(0), Datum::Null, Datum::Null]), zero);
        assert_eq!(read(&layout, &zero), Ok(vec![Datum::Int(0), Datum::Null, Datum::Null]));
    }
    let layout = Layout::new(FormatSpec::value(Format::ProtobufNosr), columns(&listed));
    assert_eq!(read(&layout, &[]), Ok(vec![Datum::Int(0), text(""), Datum::Null]));
    // proto2 tells it always, and says defaults.
    let schema = "message M { optional int32 a = 1; optional string b = 2 [default = \"x\"]; }";
    let layout = by(Format::Protobuf, schema, &[("A", SqlType::Int), ("B", SqlType::Varchar)]);
    assert_eq!(read(&layout, &framed(&[0])), Ok(vec![Datum::Null, text("x")]));
}

#[test]
fn ksqldbs_protobuf_schemas_are_made_of_columns() {
    let inner = SqlType::structure([("F1", SqlType::Int)]);
    let listed = [
        ("STR", SqlType::Varchar),
        ("DEC", SqlType::Decimal { precision: 4, scale: 2 }),
        ("MAP", SqlType::map(SqlType::Varchar, SqlType::BigInt)),
        ("STRUCT", inner),
        ("TS", SqlType::Timestamp),
    ];
    let layout = Layout::new(FormatSpec::value(Format::Protobuf), columns(&listed));
    let expected = r#"syntax = "proto3";

import "confluent/meta.proto";
import "confluent/type/decimal.proto";
import "google/protobuf/timestamp.proto";

message ConnectDefault1 {
  string STR = 1;
  confluent.type.Decimal DEC = 2 [(confluent.field_meta) = {
    params: [
      {
        value: "4",
        key: "precision"
      },
      {
        value: "2",
        key: "scale"
      }
    ]
  }];
  repeated ConnectDefault2Entry MAP = 3;
  ConnectDefault3 STRUCT = 4;
  google.protobuf.Timestamp TS = 5;

  message ConnectDefault2Entry {
    string key = 1;
    int64 value = 2;
  }
  message ConnectDefault3 {
    int32 F1 = 1;
  }
}
"#;
    assert_eq!(&*layout.schema().unwrap().text, expected);
    let spec = FormatSpec {
        nullable: Nullable::Optional,
        schema_name: Some("com.acme.Row".into()),
        ..FormatSpec::value(Format::Protobuf)
    };
    let layout = Layout::new(spec, columns(&listed[..1]));
    let expected =
        "syntax = \"proto3\";\npackage com.acme;\n\nmessage Row {\n  optional string STR = 1;\n}\n";
    assert_eq!(&*layout.schema().unwrap().text, expected);
}

#[test]
fn protobuf_schemas_of_others_have_columns() {
    let schema = r#"
        syntax = "proto3";
        package acme;
        import "google/protobuf/wrappers.proto";
        import "google/type/date.proto";
        option java_package = "com.acme";
        // A reading.
        message Reading {
          reserved 9, 10 to 12;
          reserved "old";
          enum State { option allow_alias = true; UNKNOWN = 0; RUN = 1; GO = 1; }
          string name = 1 [json_name = "n", deprecated = true];
          State state = 2;
          uint32 count = 3;
          google.protobuf.DoubleValue ratio = 4;
          .google.type.Date day = 5;
          oneof what { int32 number = 6; string word = 7; }
          map<string, Part> parts = 8;
          repeated bytes raw = 13;
          message Part { fixed64 id = 1; Part inner = 2; }
        }
        service Readings { rpc Get (Reading) returns (stream Reading) { option idempotency_level = IDEMPOTENT; } }"#;
    let parsed = ParsedSchema::new(&SchemaText::new(SchemaKind::Protobuf, schema), &[]);
    assert_eq!(parsed.error(), None);
    let spec = FormatSpec { nullable: Nullable::Wrapper, ..FormatSpec::value(Format::Protobuf) };
    let found = parsed.columns(&spec, false).unwrap();
    let names: Vec<(String, String)> =
        found.iter().map(|(n, t)| (n.to_string(), t.base_name().to_owned())).collect();
    let expected = [
        ("WHAT_0", "STRUCT"),
        ("NAME", "STRING"),
        ("STATE", "STRING"),
        ("COUNT", "BIGINT"),
        ("RATIO", "DOUBLE"),
        ("DAY", "DATE"),
        ("PARTS", "MAP"),
        ("RAW", "ARRAY"),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let layout = by(Format::Protobuf, schema, &[("STATE", SqlType::Varchar), found[0].clone_named("WHAT_0")]);
    let row = read(&layout, &framed(&[0, 16, 1, 58, 1, b'x'])).unwrap();
    assert_eq!(row, [text("RUN"), Datum::Struct([Datum::Null, text("x")].into())]);
}

/// A column under another name.
trait Named {
    fn clone_named<'n>(&self, name: &'n str) -> (&'n str, SqlType);
}

impl Named for (std::sync::Arc<str>, SqlType) {
    fn clone_named<'n>(&self, name: &'n str) -> (&'n str, SqlType) {
        (name, self.1)
    }
}

#[test]
fn broken_protobuf_schemas_are_told_in_words() {
    for (schema, message) in [
        ("", "it has no message"),
        ("message M {", "the end where a name should stand"),
        ("message M { int32 a = 0; }", "`0` is no number of a field"),
        ("message M { int32 a = 1; int32 b = 1; }", "two fields of one number"),
        ("message M { Missing a = 1; }", "there is no type `Missing`"),
        ("message M { int32 a 1; }", "`1` where `=` should stand"),
        ("message M { /* ", "a comment does not end"),
        ("edition = \"2023\"; message M {}", "proto2 and proto3 can be read"),
    ] {
        let parsed = ParsedSchema::new(&SchemaText::new(SchemaKind::Protobuf, schema), &[]);
        assert!(
            parsed.error().is_some_and(|error| error.contains(message)),
            "{schema}: {:?}",
            parsed.error()
        );
    }
}

#[test]
fn json_schema_is_what_connects_converter_registers() {
    let listed = [
        ("NAME", SqlType::Varchar),
        ("AGE", SqlType::Int),
        ("D", SqlType::Decimal { precision: 4, scale: 2 }),
    ];
    let layout = Layout::new(FormatSpec::value(Format::JsonSr), columns(&listed));
    let schema = layout.schema().unwrap();
    assert_eq!(
        &*schema.text,
        concat!(
            r#"{"type":"object","properties":{"NAME":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"string"}]},"#,
            r#""AGE":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},"#,
            r#""D":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"number","#,
            r#""title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes","#,
            r#""connect.parameters":{"scale":"2","connect.decimal.precision":"4"}}]}}}"#,
        )
    );
    let layout = by(Format::JsonSr, &schema.text, &listed);
    let row = [text("bob"), Datum::Int(49), Datum::Decimal(Decimal::new(150, 2))];
    let body = framed(br#"{"NAME":"bob","AGE":49,"D":1.50}"#);
    assert_eq!(written(&layout, &row), body);
    assert_eq!(read(&layout, &body).unwrap(), row);
    // The JSON format reads it as well; JSON_SR reads nothing without the frame.
    let plain = Layout::new(FormatSpec::value(Format::Json), columns(&listed));
    assert_eq!(read(&plain, &body).unwrap(), row);
    assert_eq!(read(&layout, br#"{"NAME":"bob"}"#), Err(DecodeError::NoFrame));
    // A schema of others.
    let other = r##"{"$schema":"http://json-schema.org/draft-07/schema#","title":"Reading","type":"object",
        "properties":{"id":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},
        "size":{"$ref":"#/definitions/size"},"more":{"type":"object","additionalProperties":{"type":"number"}}},
        "definitions":{"size":{"type":["null","number"]}},"required":["id"]}"##;
    let parsed = ParsedSchema::new(&SchemaText::new(SchemaKind::Json, other), &[]);
    let found = parsed.columns(&FormatSpec::value(Format::JsonSr), false).unwrap();
    let expected = [
        ("ID", SqlType::BigInt),
        ("TAGS", SqlType::array(SqlType::Varchar)),
        ("SIZE", SqlType::Double),
        ("MORE", SqlType::map(SqlType::Varchar, SqlType::Double)),
    ];
    assert_eq!(found, columns(&expected));
}

#[test]
fn delimited_is_quoted_as_commons_csv_does() {
    let layout = Layout::new(
        FormatSpec::value(Format::Delimited),
        columns(&[("A", SqlType::Varchar), ("B", SqlType::Varchar), ("C", SqlType::Double)]),
    );
    for (a, b, c, line) in [
        (Some("plain"), Some("two words"), Some(1e10), "plain,two words,1.0E10"),
        (Some("a,b"), Some("say \"x\""), None, "\"a,b\",\"say \"\"x\"\"\","),
        (Some("two\nlines"), Some("#1"), Some(-0.5), "\"two\nlines\",\"#1\",-0.5"),
        (Some("é"), Some("é"), Some(1.0), "\"é\",é,1.0"),
        (None, Some("end "), None, ",\"end \","),
    ] {
        let of = |v: Option<&str>| v.map_or(Datum::Null, text);
        let row = [of(a), of(b), c.map_or(Datum::Null, Datum::Double)];
        assert_eq!(String::from_utf8(written(&layout, &row)).unwrap(), line);
        assert_eq!(read(&layout, line.as_bytes()).unwrap(), row);
    }
    for (line, message) in [
        ("a,b", "2 fields for 3 columns"),
        ("a,b,1,", "4 fields for 3 columns"),
        ("\"a,b,1", "closing quote is missing"),
        ("\"a\"x,b,1", "goes on after its closing quote"),
        ("a,b,x", "field `C` should be DOUBLE, but holds a string that is no such number"),
        ("", "0 fields for 3 columns"),
    ] {
        let error = read(&layout, line.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // Lines after the first are passed over, empty ones before it as well.
    assert_eq!(
        read(&layout, b"\r\n\"x\" ,y,2\r\nz,z,3\r\n").unwrap(),
        [text("x"), text("y"), Datum::Double(2.0)]
    );
    for (given, sign) in
        [(";", Ok(';')), ("SPACE", Ok(' ')), ("TAB", Ok('\t')), ("", Err(())), ("<~>", Err(()))]
    {
        assert_eq!(FormatSpec::delimiter_from(given).map_err(drop), sign, "{given}");
    }
}

#[test]
fn json_reads_every_type_as_ksqldb_does() {
    let decimal = SqlType::Decimal { precision: 6, scale: 4 };
    let listed = [
        ("DEC", decimal),
        ("B", SqlType::Bytes),
        ("D", SqlType::Date),
        ("T", SqlType::Time),
        ("TS", SqlType::Timestamp),
        ("S", SqlType::structure([("a", SqlType::Int), ("B", SqlType::array(SqlType::Double))])),
        ("M", SqlType::map(SqlType::Varchar, SqlType::BigInt)),
        ("V", SqlType::Varchar),
    ];
    let layout = Layout::new(FormatSpec::value(Format::Json), columns(&listed));
    let row = read(
        &layout,
        br#"{"dec":"12.5","b":"AQI=","d":-1,"t":"1000","ts":5.9,"s":{"A":"7","b":[1,"2.5",null],"x":0},
            "m":{"k":"3","k":4},"v":[1,{"z": [1, 2]},"q",null,1e5]}"#,
    );
    let expected = vec![
        Datum::Decimal(Decimal::new(125_000, 4)),
        Datum::Bytes(vec![1, 2].into()),
        Datum::Date(-1),
        Datum::Time(1_000),
        Datum::Timestamp(5),
        Datum::Struct(
            [Datum::Int(7), Datum::Array([Datum::Double(1.0), Datum::Double(2.5), Datum::Null].into())]
                .into(),
        ),
        Datum::Map([(text("k"), Datum::BigInt(4))].into()),
        text(r#"[1, {"z":[1,2]}, q, null, 1E+5]"#),
    ];
    assert_eq!(row, Ok(expected));
    for (value, message) in [
        (r#"{"dec":123.5}"#, "field `DEC`: 123.5 is out of range for DECIMAL(6, 4)"),
        (r#"{"dec":1.23456}"#, "1.23456 is out of range"),
        (r#"{"dec":"x"}"#, "a string that is no such number"),
        (r#"{"b":"*"}"#, "a string that is no Base64"),
        (r#"{"t":86400000}"#, "86400000 is out of range for TIME"),
        (r#"{"s":{"a":true}}"#, "field `S->a` should be INTEGER, but holds a truth value"),
        (r#"{"s":[1]}"#, "but holds an array"),
        (r#"{"m":"x"}"#, "but holds a string"),
        (r#"{"m":{"k":[]}}"#, "field `M` should be BIGINT, but holds an array"),
    ] {
        let error = read(&layout, value.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn compatible_schemas_are_told_from_others() {
    let avro = |fields: &str| {
        let schema = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        ParsedSchema::new(&SchemaText::new(SchemaKind::Avro, schema), &[])
    };
    let base = avro(r#"{"name":"a","type":"int"}"#);
    let wider = avro(r#"{"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null}"#);
    let strict = avro(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
    assert_eq!(incompatibilities(&wider, &base), Vec::<String>::new());
    assert_eq!(incompatibilities(&base, &wider), ["/a: long was written, int is to be read"]);
    assert_eq!(
        incompatibilities(&strict, &base),
        ["/b: the field to read has no default, and was not written"]
    );
    assert_eq!(incompatibilities(&base, &strict), Vec::<String>::new());
    // A recursive type is compared once.
    let list = avro(r#"{"name":"next","type":["null","R"],"default":null}"#);
    assert_eq!(incompatibilities(&list, &list), Vec::<String>::new());
    let protobuf = |fields: &str| {
        let schema = format!("syntax = \"proto3\"; message M {{ {fields} }}");
        ParsedSchema::new(&SchemaText::new(SchemaKind::Protobuf, schema), &[])
    };
    let (old, new) = (protobuf("int32 a = 1;"), protobuf("int64 a = 1; string b = 2;"));
    assert_eq!(incompatibilities(&new, &old), Vec::<String>::new());
    assert_eq!(incompatibilities(&protobuf("string a = 1;"), &old).len(), 1);
    assert_eq!(incompatibilities(&base, &old), ["AVRO cannot read PROTOBUF"]);
}

#[test]
fn schemas_that_mean_more_than_they_say_are_bounded() {
    // Forty types, each with two fields of the next one: 2^40 columns.
    let avro = (0..40).rev().fold(r#"{"type":"record","name":"T40","fields":[{"name":"x","type":"int"}]}"#.to_owned(), |inner, n| {
        let next = n + 1;
        format!(r#"{{"type":"record","name":"T{n}","fields":[{{"name":"a","type":{inner}}},{{"name":"b","type":["null","T{next}"]}}]}}"#)
    });
    let messages: String = (0..40)
        .map(|n| format!("message T{n} {{ T{0} a = 1; T{0} b = 2; }}", n + 1))
        .collect::<Vec<_>>()
        .concat();
    let protobuf = format!("syntax = \"proto3\"; {messages} message T40 {{ int32 x = 1; }}");
    let definitions: String = (0..40)
        .map(|n| {
            let next = format!(r##"{{"$ref":"#/definitions/T{}"}}"##, n + 1);
            format!(r#""T{n}":{{"type":"object","properties":{{"a":{next},"b":{next}}}}},"#)
        })
        .collect::<Vec<_>>()
        .concat();
    let json = format!(
        r##"{{"$ref":"#/definitions/T0","definitions":{{{definitions}"T40":{{"type":"integer"}}}}}}"##
    );
    for (format, kind, text) in [
        (Format::Avro, SchemaKind::Avro, avro),
        (Format::Protobuf, SchemaKind::Protobuf, protobuf),
        (Format::JsonSr, SchemaKind::Json, json),
    ] {
        let parsed = ParsedSchema::new(&SchemaText::new(kind, text), &[]);
        assert_eq!(parsed.error(), None);
        // Whether there are columns or none: it ends.
        let _ = parsed.columns(&FormatSpec::value(format), false);
        let _ = incompatibilities(&parsed, &parsed);
    }
}
