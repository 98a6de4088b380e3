//! The tables against the decoder, and a million requests that are none.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a panic is a failed test, and numbers are cut to bytes on purpose"
)]

use super::{Field, Kind, TABLES, measure, shape};
use crate::wire::apis::{SERVED, round_trip};
use crate::wire::header::Header;
use bytes::Bytes;
use millstream_log::Random;

mod counting;
use counting::allocated_by;

/// Writes a request by its table.
struct Writer<'a> {
    version: i16,
    is_flexible: bool,
    random: &'a mut Random,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &'static [Field]) {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(&field.kind);
            }
        }
        if self.is_flexible {
            self.tags(fields);
        }
    }

    fn value(&mut self, kind: &Kind) {
        match kind {
            // A struct that may be null is there when its first byte is 1, and so are truths.
            Kind::Fixed(1) => self.out.push(self.random.number() as u8 & 1),
            Kind::Fixed(width) => {
                for _ in 0..*width {
                    self.out.push(self.random.number() as u8);
                }
            }
            Kind::Text => {
                let len = self.random.index(5);
                if self.is_flexible {
                    self.varint(len + 1);
                } else {
                    self.out.extend((len as u16).to_be_bytes());
                }
                self.out.extend(std::iter::repeat_n(b'x', len));
            }
            Kind::Bytes => {
                let len = self.random.index(40);
                self.length(len);
                self.out.extend(std::iter::repeat_n(7, len));
            }
            Kind::Row(element) => {
                let count = self.random.index(4);
                self.length(count);
                (0..count).for_each(|_| self.value(element));
            }
            Kind::Array(fields) => {
                let count = self.random.index(4);
                self.length(count);
                (0..count).for_each(|_| self.fields(fields));
            }
            Kind::Part(fields) => self.fields(fields),
            Kind::Maybe(fields) => {
                let is_there = self.random.index(2) == 1;
                self.out.push(if is_there { 1 } else { 0xff });
                if is_there {
                    self.fields(fields);
                }
            }
        }
    }

    fn tags(&mut self, fields: &'static [Field]) {
        let version = self.version;
        let known = |field: &&Field| field.tag.is_some() && field.is_in(version);
        let known: Vec<_> = fields.iter().filter(known).collect();
        let unknown = self.random.index(3);
        self.varint(known.len() + unknown);
        for field in known {
            self.varint(usize::from(field.tag.unwrap()));
            let mut inner =
                Writer { version: self.version, is_flexible: true, random: self.random, out: Vec::new() };
            inner.value(&field.kind);
            let value = inner.out;
            self.varint(value.len());
            self.out.extend(value);
        }
        for number in 0..unknown {
            self.varint(1_000 + number);
            let len = self.random.index(6);
            self.varint(len);
            self.out.extend(std::iter::repeat_n(9, len));
        }
    }

    fn length(&mut self, len: usize) {
        if self.is_flexible {
            self.varint(len + 1);
        } else {
            self.out.extend((len as u32).to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

/// A request of random content that is valid by its table.
fn valid(api_key: i16, version: i16, random: &mut Random) -> Vec<u8> {
    let shape = shape(api_key).unwrap_or_else(|| panic!("API {api_key} is served and has no shape"));
    let is_flexible = version >= shape.flexible_since;
    let mut writer = Writer { version, is_flexible, random, out: Vec::new() };
    writer.fields(shape.fields);
    writer.out
}

fn every_version() -> impl Iterator<Item = (i16, i16)> {
    SERVED.iter().flat_map(|(api_key, versions)| versions.clone().map(move |version| (*api_key, version)))
}

#[test]
fn no_api_has_two_shapes() {
    let mut keys: Vec<_> = TABLES.iter().flat_map(|table| table.iter()).map(|shape| shape.api_key).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
}

#[test]
fn every_request_that_is_served_has_the_shape_that_its_decoder_reads() {
    let mut random = Random::new(1);
    for (api_key, version) in every_version() {
        for _ in 0..50 {
            let body = valid(api_key, version, &mut random);
            let measured = measure(api_key, version, &body)
                .unwrap_or_else(|error| panic!("API {api_key} version {version}: {error}: {body:?}"));
            assert_eq!(measured.wire_bytes, body.len(), "API {api_key} version {version}: {body:?}");
            let mut rest = Bytes::from(body.clone());
            let written = round_trip(api_key, version, &mut rest)
                .unwrap_or_else(|error| panic!("API {api_key} version {version}: {error}: {body:?}"));
            assert!(rest.is_empty(), "API {api_key} version {version}: {} bytes are left", rest.len());
            let again = measure(api_key, version, &written).expect("what the encoder writes");
            assert_eq!(again.wire_bytes, written.len(), "API {api_key} version {version}");
        }
    }
}

/// Makes something else of a valid request.
fn mutate(body: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.index(3) {
        if body.is_empty() {
            body.push(random.number() as u8);
        }
        let at = random.index(body.len());
        match random.index(6) {
            0 => body.truncate(at),
            1 => body[at] = random.number() as u8,
            2 => body[at] ^= 1 << random.index(8),
            // Lengths that are huge or negative, in all three ways of writing them.
            3 => {
                let huge = [0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff, 0xffff_fffe, 0x0fff_ffff, 1 << 20];
                let bytes = huge[random.index(huge.len())].to_be_bytes();
                body.iter_mut().skip(at).zip(bytes).for_each(|(byte, huge)| *byte = huge);
            }
            4 => {
                let huge = [
                    [0xff, 0xff, 0xff, 0xff, 0x0f],
                    [0xff, 0xff, 0xff, 0xff, 0xff],
                    [0x80, 0x80, 0x80, 0x80, 0x08],
                ];
                let bytes = huge[random.index(huge.len())];
                body.iter_mut().skip(at).zip(bytes).for_each(|(byte, huge)| *byte = huge);
            }
            _ => {
                let noise: Vec<_> = (0..random.index(24)).map(|_| random.number() as u8).collect();
                body.splice(at..at, noise);
            }
        }
    }
}

/// Looks at bytes as the broker does, and decodes what passes. Gives whether it did.
fn take(api_key: i16, version: i16, body: &[u8]) -> bool {
    let Ok(measured) = measure(api_key, version, body) else { return false };
    let mut rest = Bytes::copy_from_slice(body);
    let (decoded, allocated) = allocated_by(|| round_trip(api_key, version, &mut rest).is_ok());
    // What the encoder writes again, and an error's text, are in it too.
    let bound = 2 * measured.memory_bytes + 4 * body.len() + 8_192;
    assert!(
        allocated <= bound,
        "API {api_key} version {version} took {allocated} bytes, {measured:?}: {body:?}"
    );
    decoded
}

#[test]
fn a_million_malformed_requests_cost_no_more_than_their_bytes() {
    const CASES: usize = 1_000_000;
    let mut random = Random::new(2);
    let all: Vec<_> = every_version().collect();
    let (mut body, mut taken) = (Vec::new(), 0);
    for case in 0..CASES {
        let (api_key, version) = all[random.index(all.len())];
        if case % 8 == 0 {
            body = valid(api_key, version, &mut random);
        }
        match random.index(8) {
            0 => body = (0..random.index(64)).map(|_| random.number() as u8).collect(),
            // As another API or version than it was written for.
            1 => {}
            _ => mutate(&mut body, &mut random),
        }
        body.truncate(4_096);
        taken += usize::from(take(api_key, version, &body));
    }
    // Not all of them are refused: some mutations hit nothing but a number.
    assert!((CASES / 1_000..CASES / 2).contains(&taken), "{taken} were taken");
}

#[test]
fn a_request_that_is_small_on_the_wire_and_large_in_memory_is_refused() {
    // Metadata in version 9 with a million topics, each a name without a character and no tagged fields.
    let count = 1_000_000_u32;
    let mut body = vec![];
    let mut value = count + 1;
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
    body.extend(std::iter::repeat_n([1, 0], count as usize).flatten());
    body.extend([0, 0, 0, 0]);
    assert_eq!(measure(3, 9, &body), Err(super::ShapeError::TooLarge));
}

#[test]
fn random_headers_are_read_or_refused() {
    let mut random = Random::new(3);
    let mut read = 0;
    for _ in 0..100_000 {
        let mut bytes: Vec<_> = (0..random.index(40)).map(|_| random.number() as u8).collect();
        if bytes.len() > 9 && random.index(2) == 0 {
            bytes[8..10].copy_from_slice(&[0, random.index(30) as u8]);
            bytes.iter_mut().skip(10).for_each(|byte| *byte &= 0x7f);
        }
        for is_flexible in [false, true] {
            let body = Header::read(&bytes).and_then(|header| header.body_len(is_flexible));
            read += usize::from(body.inspect(|len| assert!(*len <= bytes.len())).is_some());
        }
    }
    assert!(read > 1_000, "{read}");
}
