//! `AVRO`: Avro's binary encoding behind Confluent's frame, straight into columns and out of them.
//!
//! The codec is our own: the public libraries build a tree of generic values per record, which costs more than reading the
//! record into columns does, and none of them bounds what hostile lengths allocate. What is here: schemas
//! ([`AvroSchema`]), reading any writer's schema into declared columns (`read`), writing columns by a schema (`write`),
//! columns of a schema and the schema of columns as ksqlDB makes it (`columns`), and which schema can read what another
//! one wrote (`resolve`). Source: Avro 1.12 specification; names and attributes as Kafka Connect's Avro converter has them.

mod columns;
mod read;
mod resolve;
mod schema;
mod steps;
mod write;

pub(super) use columns::{columns, schema_text};
pub(super) use read::AvroDecoder;
pub(super) use resolve::incompatibilities;
pub(super) use schema::AvroSchema;
pub(super) use write::AvroEncoder;
