//! `PROTOBUF` and `PROTOBUF_NOSR`: Protobuf's wire format, straight into columns and out of them.
//!
//! Codec and the reader of `.proto` texts are our own: the registry gives schemas as text, the public libraries that read
//! text bring a compiler with its diagnostics along, and their dynamic messages are a tree per record. What is here: texts
//! ([`ProtobufFiles`]), reading a message into columns (`read`), writing (`write`), the columns of a message and the message
//! of columns as ksqlDB makes it (`columns`), which message can read another one (`resolve`). Sources: protobuf.dev, "Encoding" and
//! "Language Guide (proto 3)"; names and types as Kafka Connect's Protobuf converter has them.

mod columns;
mod descriptor;
mod files;
mod lexer;
mod parse;
mod read;
mod resolve;
mod targets;
mod write;

pub(super) use columns::schema_text;
pub(super) use files::ProtobufFiles;
pub(super) use read::{ProtobufDecoder, indexes, take_indexes};
pub(super) use resolve::incompatibilities;
pub(super) use write::{ProtobufEncoder, write_indexes};
