//! The five codecs of a batch: none, gzip, snappy, lz4, zstd.
//!
//! Snappy comes in two shapes, and both are read: bare, and in the frames of the Java library that Kafka's own clients use
//! (magic `82 53 4e 41 50 50 59 00`, two version words, then blocks of length and bytes). Lz4 is the LZ4 frame format.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::header::BatchError;
use crate::limits::DECOMPRESSED_BYTES;
use bytes::Bytes;
use std::io::{self, Read, Write};

/// How the records of a batch are compressed (attribute bits 0 to 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in the Java library's frames.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// RFC 8878.
    Zstd,
}

pub(super) const CODEC_BITS: i16 = 0b111;
const JAVA_SNAPPY_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// After the magic: version 1, compatible with version 1.
const JAVA_SNAPPY_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Uncompressed bytes of one block in Java's snappy frames.
const JAVA_SNAPPY_BLOCK_BYTES: usize = 32 << 10;

impl Compression {
    pub(crate) fn from_attributes(attributes: i16) -> Option<Self> {
        Some(match attributes & CODEC_BITS {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    pub(crate) fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Compresses the records of a batch.
    pub(crate) fn compress(self, records: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(records),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&records)?;
                encoder.finish()
            }
            Self::Snappy => compress_snappy(&records),
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(&records)?;
                encoder.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::stream::encode_all(records.as_slice(), 3),
        }
    }

    /// The records of a batch as they were before [`Compression::compress`]; uncompressed ones are not copied.
    pub(crate) fn decompress(self, records: &Bytes) -> Result<Bytes, BatchError> {
        let input: &[u8] = records;
        match self {
            Self::None => Ok(records.clone()),
            Self::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(input)),
            Self::Snappy => decompress_snappy(input),
            Self::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(input)),
            Self::Zstd => read_bounded(
                zstd::stream::read::Decoder::new(input).map_err(|_| BatchError::Field("zstd frame"))?,
            ),
        }
    }
}

fn read_bounded(reader: impl Read) -> Result<Bytes, BatchError> {
    let mut out = Vec::new();
    let limit = u64::try_from(DECOMPRESSED_BYTES).unwrap_or(u64::MAX);
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|_| BatchError::Field("compressed part"))?;
    if out.len() > DECOMPRESSED_BYTES { Err(BatchError::TooLarge) } else { Ok(Bytes::from(out)) }
}

fn compress_snappy(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = [JAVA_SNAPPY_MAGIC, JAVA_SNAPPY_VERSIONS].concat();
    for block in records.chunks(JAVA_SNAPPY_BLOCK_BYTES) {
        let block = snap::raw::Encoder::new().compress_vec(block).map_err(io::Error::other)?;
        let len = u32::try_from(block.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}

fn decompress_snappy(input: &[u8]) -> Result<Bytes, BatchError> {
    let mut out = Vec::new();
    let Some(mut blocks) = input.strip_prefix(&JAVA_SNAPPY_MAGIC) else {
        decompress_snappy_block(input, &mut out)?;
        return Ok(Bytes::from(out));
    };
    blocks = blocks.get(JAVA_SNAPPY_VERSIONS.len()..).ok_or(BatchError::TooShort)?;
    while let Some((len, rest)) = blocks.split_first_chunk() {
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| BatchError::TooShort)?;
        let (block, rest) = rest.split_at_checked(len).ok_or(BatchError::TooShort)?;
        decompress_snappy_block(block, &mut out)?;
        blocks = rest;
    }
    if blocks.is_empty() { Ok(Bytes::from(out)) } else { Err(BatchError::TooShort) }
}

fn decompress_snappy_block(block: &[u8], out: &mut Vec<u8>) -> Result<(), BatchError> {
    let bad = |_| BatchError::Field("snappy block");
    let len = snap::raw::decompress_len(block).map_err(bad)?;
    // Snappy cannot shrink anything to less than about a 21st: a larger claim is a lie, and not allocated for.
    if len > block.len().saturating_mul(64) {
        return Err(BatchError::Field("snappy block"));
    }
    if out.len().saturating_add(len) > DECOMPRESSED_BYTES {
        return Err(BatchError::TooLarge);
    }
    out.extend_from_slice(&snap::raw::Decoder::new().decompress_vec(block).map_err(bad)?);
    Ok(())
}
