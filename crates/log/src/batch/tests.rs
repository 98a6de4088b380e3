//! What batches look like on disk, and that damaged ones are refused.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Laid out by hand from the protocol guide; the CRC is that of a bit-by-bit CRC-32C.
#[test]
fn a_batch_of_one_record_is_laid_out_as_kafka_does() {
    let mut builder = BatchBuilder::new(Compression::None).producer(9, 2, 5).transactional();
    let header = Header { name: "h".into(), value: Some(Bytes::from_static(b"x")) };
    builder.push(1000, Some(Bytes::from_static(b"k")), Some(Bytes::from_static(b"vv")), vec![header]);
    let batch = builder.finish().unwrap();
    let after_crc =
        hex("0010 00000000 00000000000003e8 00000000000003e8 0000000000000009 0002 00000005 00000001
         1a 00 00 00 02 6b 04 7676 02 02 68 02 78");
    let crc = crc32c_bit_by_bit(&after_crc);
    let before = hex("0000000000000000 0000003f 00000000 02");
    assert_eq!(batch, [&before[..], &crc.to_be_bytes(), &after_crc].concat());
}

/// RFC 3720, appendix B.4, without tables or instructions.
fn crc32c_bit_by_bit(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }))
    });
    !crc
}

#[test]
fn a_marker_ends_a_transaction() {
    for kind in [ControlKind::Commit, ControlKind::Abort] {
        let marker = ControlMarker { kind, coordinator_epoch: 3 };
        let batch = Batch::decode(BatchBuilder::control(marker, 9, 2, 1000).freeze()).unwrap();
        assert!(batch.header.is_control() && batch.header.is_transactional());
        assert_eq!((batch.header.producer_id, batch.header.producer_epoch), (9, 2));
        let records = batch.records().unwrap();
        assert_eq!(ControlMarker::decode(&records[0]), Ok(Some(marker)));
    }
}

#[test]
fn bare_snappy_is_read_too() {
    let records = b"snappy without frames".to_vec();
    let bare = snap::raw::Encoder::new().compress_vec(&records).unwrap();
    assert_eq!(Compression::Snappy.decompress(&Bytes::from(bare)).unwrap(), records);
}

#[test]
fn a_small_bomb_does_not_become_a_large_allocation() {
    let zeros = vec![0; crate::limits::DECOMPRESSED_BYTES + 1];
    let bomb = Bytes::from(Compression::Zstd.compress(zeros).unwrap());
    assert!(bomb.len() < 20_000);
    assert_eq!(Compression::Zstd.decompress(&bomb), Err(BatchError::TooLarge));
    let lie = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    assert_eq!(Compression::Snappy.decompress(&lie), Err(BatchError::Field("snappy block")));
}

fn some_bytes() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from))
}

fn some_record() -> impl Strategy<Value = Record> {
    let header = ("[a-zé]{0,10}", some_bytes()).prop_map(|(name, value)| Header { name: name.into(), value });
    let headers = proptest::collection::vec(header, 0..4);
    (0..i64::MAX / 2, some_bytes(), some_bytes(), headers)
        .prop_map(|(timestamp, key, value, headers)| Record { offset: 0, timestamp, key, value, headers })
}

fn encode(codec: Compression, records: &[Record]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for record in records.iter().cloned() {
        builder.push(record.timestamp, record.key, record.value, record.headers);
    }
    builder.finish().unwrap().to_vec()
}

proptest! {
    #[test]
    fn batches_read_back(
        records in proptest::collection::vec(some_record(), 1..20),
        codec in proptest::sample::select(&CODECS[..]),
        base_offset in 0_i64..1 << 50,
    ) {
        let mut bytes = encode(codec, &records);
        give_offset(&mut bytes, base_offset);
        let batch = Batch::decode(Bytes::from(bytes)).unwrap();
        let expected: Vec<_> = (base_offset..)
            .zip(&records)
            .map(|(offset, record)| Record { offset, ..record.clone() })
            .collect();
        prop_assert_eq!(batch.header.next_offset(), base_offset + i64::try_from(records.len()).unwrap());
        prop_assert_eq!(batch.header.max_timestamp, records.iter().map(|r| r.timestamp).max().unwrap());
        prop_assert_eq!(batch.records().unwrap(), expected);
    }

    #[test]
    fn a_mutated_batch_is_refused_or_differs_only_outside_the_crc(
        records in proptest::collection::vec(some_record(), 1..5),
        codec in proptest::sample::select(&CODECS[..]),
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut bytes = encode(codec, &records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let decoded = Batch::decode(Bytes::from(bytes));
        prop_assert!(decoded.is_err() || at < 8 || (12..16).contains(&at));
    }

    /// With the CRC made right, so that the decoders behind it see the damage.
    #[test]
    fn a_forged_batch_never_panics(
        records in proptest::collection::vec(some_record(), 1..5),
        codec in proptest::sample::select(&CODECS[..]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(codec, &records);
        for (at, byte) in changes {
            let at = 21 + at.index(bytes.len() - 21);
            bytes[at] = byte;
        }
        let crc = crc32c::crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&crc);
        if let Ok(batch) = Batch::decode(Bytes::from(bytes))
            && let Ok(records) = batch.records()
        {
            for record in &records {
                let _ = ControlMarker::decode(record);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        batches(bytes.clone()).for_each(drop);
        for codec in CODECS {
            drop(codec.decompress(&bytes));
        }
    }
}
