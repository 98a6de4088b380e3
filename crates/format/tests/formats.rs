//! Goal: what is written reads back in every format and type, hostile bytes never panic, and rows that cannot be read leave
//! nothing behind.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test may panic, and a table may be long")]

mod support;

use millstream_format::registry::{SchemaCache, SchemaRef};
use millstream_format::sql::{
    Column, ColumnBuilder, Datum, DecodeError, Decoded, Format, FormatSpec, Layout, Nullable, SqlType,
};
use proptest::prelude::*;
use support::{Given, as_protobuf, given, row_of};

/// Every format, as a value with several columns.
fn specs() -> Vec<FormatSpec> {
    let of = |format| FormatSpec::value(format);
    vec![
        of(Format::Json),
        of(Format::JsonSr),
        of(Format::Avro),
        of(Format::Protobuf),
        FormatSpec { nullable: Nullable::Optional, ..of(Format::Protobuf) },
        FormatSpec { nullable: Nullable::Wrapper, ..of(Format::Protobuf) },
        of(Format::ProtobufNosr),
        of(Format::Delimited),
        FormatSpec { delimiter: '|', ..of(Format::Delimited) },
        FormatSpec { delimiter: '\t', ..of(Format::Delimited) },
    ]
}

#[test]
fn a_reference_looks_the_same_after_schemas_were_fetched() {
    let cache = SchemaCache::new();
    let reader = SchemaRef::reader(cache.clone());
    let before = format!("{reader:?}");
    let layout = Layout::new(FormatSpec::value(Format::Avro), vec![("X".into(), SqlType::Int)]);
    cache.insert(7, &layout.schema().unwrap(), &[]);
    assert_eq!(format!("{reader:?}"), before);
    assert_ne!(format!("{:?}", SchemaRef { cache, writer: Some(7) }), before);
}

/// The layout with its schema registered as number 7, where it has one.
fn registered(spec: &FormatSpec, given: &Given) -> Layout {
    let mut layout = Layout::new(spec.clone(), given.columns.clone());
    layout.check().unwrap_or_else(|error| panic!("{error}: {:?}", given.columns));
    if spec.format.needs_registry() {
        let cache = SchemaCache::new();
        cache.insert(7, &layout.schema().unwrap(), &[]);
        layout.spec.schema = Some(SchemaRef { cache, writer: Some(7) });
    }
    layout
}

fn written(layout: &Layout, given: &Given) -> Vec<u8> {
    let mut out = Vec::new();
    let columns: Vec<&Column> = given.row.iter().collect();
    layout.encoder().encode(&columns, 0, &mut out).unwrap();
    out
}

fn read(layout: &Layout, bytes: &[u8]) -> Result<Vec<Datum<'static>>, DecodeError> {
    let mut builders: Vec<_> = layout.columns.iter().map(|(_, t)| ColumnBuilder::new(*t, 1)).collect();
    let decoded = layout.decoder().decode(bytes, &mut builders);
    let finished: Vec<Column> = builders.iter_mut().map(ColumnBuilder::finish).collect();
    let rows = usize::from(decoded == Ok(Decoded::Row));
    assert!(finished.iter().all(|column| column.len() == rows), "{decoded:?} left {finished:?}");
    decoded?;
    Ok(finished.iter().map(|c| if c.is_empty() { Datum::Null } else { c.datum(0).into_owned() }).collect())
}

fn expected(spec: &FormatSpec, given: &Given) -> Vec<Datum<'static>> {
    let row = row_of(given);
    let types = given.columns.iter().map(|(_, sql_type)| *sql_type);
    row.into_iter()
        .zip(types)
        .map(|(value, sql_type)| match (spec.format, value) {
            (Format::Protobuf | Format::ProtobufNosr, value) => as_protobuf(value, sql_type, spec.nullable),
            // An empty field is NULL.
            (Format::Delimited, Datum::Varchar(v)) if v.is_empty() => Datum::Null,
            (Format::Delimited, Datum::Bytes(v)) if v.is_empty() => Datum::Null,
            (_, value) => value,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_all_types_read_back_in_every_format(nested in given(true), flat in given(false)) {
        for spec in specs() {
            let given = if spec.format == Format::Delimited { &flat } else { &nested };
            let layout = registered(&spec, given);
            let bytes = written(&layout, given);
            prop_assert_eq!(read(&layout, &bytes), Ok(expected(&spec, given)), "{:?} {:?}", spec.format, layout.columns);
        }
    }

    #[test]
    fn single_values_read_back_without_a_record(given in given(true)) {
        for format in [Format::Json, Format::JsonSr, Format::Avro] {
            let one = Given { columns: given.columns[..1].to_vec(), row: given.row[..1].to_vec() };
            let layout = registered(&FormatSpec::key(format), &one);
            let columns: Vec<&Column> = one.row.iter().collect();
            if layout.encoder().is_absent(&columns, 0) {
                continue;
            }
            let bytes = written(&layout, &one);
            prop_assert_eq!(read(&layout, &bytes), Ok(row_of(&one)));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(
        nested in given(true), flat in given(false),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(), whole in any::<bool>(), noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for spec in specs() {
            let given = if spec.format == Format::Delimited { &flat } else { &nested };
            let layout = registered(&spec, given);
            let mut bytes = written(&layout, given);
            let framed = if spec.format.needs_registry() { 5 } else { 0 };
            for (at, byte) in &changes {
                let body = bytes.len() - framed;
                if body > 0 {
                    bytes[framed + at.index(body)] = *byte;
                }
            }
            if !whole {
                bytes.truncate(framed + cut.index(bytes.len() - framed + 1));
            }
            let _ = read(&layout, &bytes);
            bytes.truncate(framed);
            bytes.extend_from_slice(&noise);
            let _ = read(&layout, &bytes);
        }
    }

    #[test]
    fn hostile_schemas_are_refused_without_a_panic(
        given in given(true), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:a-z=;0-9]{0,3}", length in 0usize..6,
    ) {
        for format in [Format::Avro, Format::Protobuf, Format::JsonSr] {
            let layout = Layout::new(FormatSpec::value(format), given.columns.clone());
            let schema = layout.schema().unwrap();
            let mut text = schema.text.to_string();
            let start = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + length).min(text.len());
            if text.is_char_boundary(end) {
                text.replace_range(start..end, &with);
            }
            let cache = SchemaCache::new();
            let parsed = cache.insert(1, &millstream_format::registry::SchemaText::new(schema.kind, text), &[]);
            let _ = parsed.columns(&layout.spec, false);
            let _ = layout.can_be_written_as(&parsed);
            let _ = millstream_format::sql::incompatibilities(&parsed, &parsed);
        }
    }

    #[test]
    fn columns_survive_the_way_through_a_schema(given in given(true)) {
        for format in [Format::Avro, Format::Protobuf, Format::JsonSr] {
            let layout = registered(&FormatSpec::value(format), &given);
            let parsed = layout.spec.schema.as_ref().unwrap().cache.get(7).unwrap();
            let columns = parsed.columns(&layout.spec, false).unwrap();
            prop_assert_eq!(&columns, &given.columns, "{}", parsed.text().text);
            prop_assert_eq!(millstream_format::sql::incompatibilities(&parsed, &parsed), Vec::<String>::new());
        }
    }
}

#[test]
fn a_schema_that_has_not_been_fetched_is_asked_for() {
    let columns = vec![("A".into(), SqlType::BigInt)];
    for format in [Format::Avro, Format::Protobuf] {
        let cache = SchemaCache::new();
        let mut layout = Layout::new(FormatSpec::value(format), columns.clone());
        layout.spec.schema = Some(SchemaRef::reader(cache.clone()));
        let message: &[u8] =
            if format == Format::Avro { &[0, 0, 0, 0, 9, 2, 54] } else { &[0, 0, 0, 0, 9, 0, 8, 27] };
        let mut decoder = layout.decoder();
        let mut builders = [ColumnBuilder::new(SqlType::BigInt, 1)];
        assert_eq!(decoder.decode(message, &mut builders), Err(DecodeError::UnknownSchema(9)));
        cache.insert(9, &layout.schema().unwrap(), &[]);
        assert_eq!(decoder.decode(message, &mut builders), Ok(Decoded::Row), "{format}");
        assert_eq!(builders[0].finish().datum(0), Datum::BigInt(27));
        assert_eq!(decoder.decode(b"{}", &mut builders), Err(DecodeError::NoFrame));
        let unknown = decoder.decode(&[0, 0, 0, 1, 0, 0], &mut builders);
        assert_eq!(unknown, Err(DecodeError::UnknownSchema(256)));
        // Each format has schemas of its own.
        let other = Format::ALL.iter().find(|other| other.needs_registry() && **other != format).unwrap();
        let text = Layout::new(FormatSpec::value(*other), columns.clone()).schema().unwrap();
        cache.insert(256, &text, &[]);
        let error = decoder.decode(&[0, 0, 0, 1, 0, 0], &mut builders).unwrap_err().to_string();
        assert!(error.starts_with("schema 256: it is"), "{error}");
    }
}

#[test]
fn what_has_no_registered_schema_is_not_written() {
    let layout = Layout::new(FormatSpec::value(Format::Avro), vec![("A".into(), SqlType::Int)]);
    let column = Column::constant(&Datum::Int(1), SqlType::Int, 1);
    let error = layout.encoder().encode(&[&column], 0, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("schema registry"), "{error}");
}

#[test]
fn formats_say_what_they_cannot_hold() {
    let array = SqlType::array(SqlType::Int);
    for (format, columns, message) in [
        (Format::Kafka, vec![("A", SqlType::Int), ("B", SqlType::Int)], "holds one column, not 2"),
        (Format::Kafka, vec![("A", array)], "does not support ARRAY<INTEGER> of column `A`"),
        (Format::Kafka, vec![("A", SqlType::Boolean)], "does not support BOOLEAN"),
        (
            Format::Delimited,
            vec![("A", SqlType::structure([("F", SqlType::Int)]))],
            "does not support STRUCT",
        ),
        (
            Format::Json,
            vec![("A", SqlType::map(SqlType::Int, SqlType::Int))],
            "does not support MAP<INTEGER, INTEGER>",
        ),
        (Format::Protobuf, vec![("A", SqlType::array(array))], "does not support ARRAY<ARRAY<INTEGER>>"),
        (Format::None, vec![("A", SqlType::Int)], "NONE format holds no columns"),
        (Format::Avro, vec![("A B", SqlType::Int)], "AVRO cannot name a field `A B`"),
        (Format::Protobuf, vec![("Ä", SqlType::Int)], "PROTOBUF cannot name a field `Ä`"),
    ] {
        let columns = columns.into_iter().map(|(name, sql_type)| (name.into(), sql_type)).collect();
        let error = Layout::new(FormatSpec::value(format), columns).check().unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert!(error.help.is_some(), "{error}");
    }
}
