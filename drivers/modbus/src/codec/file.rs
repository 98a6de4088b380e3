//! File records: ranges of extended registers, several to a frame (V1.1b3, 6.14 and 6.15).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::range::{Illegal, check};
use crate::limits::{FILE_BYTES, FILE_RECORDS};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::{DecodeError, DecodeErrorKind, Reader};

/// The reference type of every file sub-request (V1.1b3, 6.14).
pub(super) const REFERENCE_TYPE: u8 = 6;

/// Records of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRange {
    file: u16,
    record: u16,
    length: u16,
}

impl FileRange {
    /// `length` records of `file` from `record`, which is below 10,000.
    pub fn new(file: u16, record: u16, length: u16) -> Result<Self, Illegal> {
        check("file number", file.into(), 1, 0xFFFF)?;
        check("record length", length.into(), 1, FILE_BYTES)?;
        if u32::from(record).saturating_add(length.into()) > FILE_RECORDS.into() {
            return Err(Illegal::Address);
        }
        Ok(Self { file, record, length })
    }

    /// The file, counted from 1.
    pub const fn file(&self) -> u16 {
        self.file
    }

    /// The first record, counted from 0.
    pub const fn record(&self) -> u16 {
        self.record
    }

    /// How many.
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// The first record as an extended register's address.
    pub fn address(&self) -> u32 {
        let files = u32::from(self.file).saturating_sub(1);
        files.saturating_mul(FILE_RECORDS.into()).saturating_add(self.record.into())
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Illegal> {
        let reference = reader.u8("reference type")?;
        check("reference type", reference.into(), REFERENCE_TYPE.into(), REFERENCE_TYPE.into())?;
        Self::new(
            reader.u16_be("file number")?,
            reader.u16_be("record number")?,
            reader.u16_be("record length")?,
        )
    }
}

/// One to 35 ranges whose answers fit in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReads(Vec<FileRange>);

impl FileReads {
    /// Bytes that a range takes in the answer: length, reference type, records.
    pub fn response_bytes(length: u16) -> usize {
        usize::from(length).saturating_mul(2).saturating_add(2)
    }

    /// The ranges in order.
    pub fn new(ranges: Vec<FileRange>) -> Result<Self, Illegal> {
        check("file sub-requests", ranges.len(), 1, FILE_BYTES.wrapping_div(7))?;
        let answer: usize = ranges.iter().map(|range| Self::response_bytes(range.length)).sum();
        check("file answer bytes", answer, 1, FILE_BYTES)?;
        Ok(Self(ranges))
    }

    /// The ranges in order.
    pub fn ranges(&self) -> &[FileRange] {
        &self.0
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let bytes = self.0.len().saturating_mul(7);
        out.put_u8(u8::try_from(bytes).unwrap_or(u8::MAX));
        self.0.iter().for_each(|range| put_range(*range, out));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Illegal> {
        let mut body = counted(reader, "byte count")?;
        let mut ranges = Vec::new();
        while body.remaining() > 0 {
            ranges.push(FileRange::decode(&mut body)?);
        }
        Self::new(ranges)
    }
}

/// Records of one file with their new contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileBlock<'a> {
    range: FileRange,
    bytes: &'a [u8],
}

impl<'a> FileBlock<'a> {
    /// Two bytes for every record of `range`.
    pub fn new(range: FileRange, bytes: &'a [u8]) -> Result<Self, Illegal> {
        let need = usize::from(range.length).saturating_mul(2);
        check("file data bytes", bytes.len(), need, need)?;
        Ok(Self { range, bytes })
    }

    /// Where.
    pub const fn range(&self) -> FileRange {
        self.range
    }

    /// The contents.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// File blocks that fit in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrites<'a>(Vec<FileBlock<'a>>);

impl<'a> FileWrites<'a> {
    /// The blocks in order.
    pub fn new(blocks: Vec<FileBlock<'a>>) -> Result<Self, Illegal> {
        let bytes: usize = blocks.iter().map(|block| block.bytes.len().saturating_add(7)).sum();
        check("file request bytes", bytes, 9, FILE_BYTES)?;
        Ok(Self(blocks))
    }

    /// The blocks in order.
    pub fn blocks(&self) -> &[FileBlock<'a>] {
        &self.0
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let bytes: usize = self.0.iter().map(|block| block.bytes.len().saturating_add(7)).sum();
        out.put_u8(u8::try_from(bytes).unwrap_or(u8::MAX));
        for block in &self.0 {
            put_range(block.range, out);
            out.put_slice(block.bytes);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        let mut body = counted(reader, "request data length")?;
        let mut blocks = Vec::new();
        while body.remaining() > 0 {
            let range = FileRange::decode(&mut body)?;
            let bytes = body.take(usize::from(range.length).saturating_mul(2), "record data")?;
            blocks.push(FileBlock::new(range, bytes)?);
        }
        Self::new(blocks)
    }
}

fn put_range(range: FileRange, out: &mut BytesMut) {
    out.put_u8(REFERENCE_TYPE);
    out.put_u16(range.file);
    out.put_u16(range.record);
    out.put_u16(range.length);
}

/// A reader over the bytes that a leading count announces; nothing may follow them.
fn counted<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Reader<'a>, DecodeError> {
    let at = reader.clone();
    let count = usize::from(reader.u8(what)?);
    if count > FILE_BYTES {
        return Err(at.error(what, DecodeErrorKind::Limit { max: FILE_BYTES, got: count }));
    }
    reader.sub(count, what)
}
