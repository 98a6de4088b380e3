//! An order of all values of one type, by Java's `compareTo` and `equals`: `NULL` last, NaN after all numbers.

use crate::Datum;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A value that can be sorted and looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered<'d, 'a>(pub(super) &'d Datum<'a>);

impl PartialEq for Ordered<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered<'_, '_> {}

impl PartialOrd for Ordered<'_, '_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered<'_, '_> {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.0, other.0)
    }
}

/// These values, each once.
pub(super) fn set<'d>(values: &'d [Datum<'static>]) -> BTreeSet<Ordered<'d, 'static>> {
    values.iter().map(Ordered).collect()
}

/// Whether both are the same value; `NULL` is the same as `NULL`.
pub(super) fn same(a: &Datum<'_>, b: &Datum<'_>) -> bool {
    order(a, b).is_eq()
}

/// How two values of one type compare.
pub(super) fn order(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Boolean(a), Datum::Boolean(b)) => a.cmp(b),
        (Datum::Int(a), Datum::Int(b))
        | (Datum::Date(a), Datum::Date(b))
        | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::BigInt(a), Datum::BigInt(b)) | (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.cmp(b),
        (Datum::Double(a), Datum::Double(b)) => double(*a, *b),
        (Datum::Varchar(a), Datum::Varchar(b)) => text(a, b),
        (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
        (Datum::Array(a), Datum::Array(b)) | (Datum::Struct(a), Datum::Struct(b)) => list(a.iter(), b.iter()),
        (Datum::Map(a), Datum::Map(b)) => {
            let sorted = |entries: &[(Datum<'static>, Datum<'static>)]| {
                let mut entries = entries.to_vec();
                entries.sort_by(|(a, _), (b, _)| order(a, b));
                entries
            };
            let (a, b) = (sorted(a), sorted(b));
            list(a.iter().flat_map(|(k, v)| [k, v]), b.iter().flat_map(|(k, v)| [k, v]))
        }
        // Values of one type are of the same kind.
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

/// Java's `Double.compare`: all NaNs are the same.
fn double(a: f64, b: f64) -> Ordering {
    if a.is_nan() || b.is_nan() { a.is_nan().cmp(&b.is_nan()) } else { a.total_cmp(&b) }
}

/// Java's `String.compareTo`: by UTF-16 units.
fn text(a: &str, b: &str) -> Ordering {
    if a.is_ascii() || b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn list<'d>(
    a: impl Iterator<Item = &'d Datum<'static>>,
    b: impl Iterator<Item = &'d Datum<'static>>,
) -> Ordering {
    a.map(Ordered).cmp(b.map(Ordered))
}
