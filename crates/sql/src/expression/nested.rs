//! Parts of arrays, maps and structs, and maps made of their entries.

use super::Fault;
use super::compare::same;
use crate::Datum;
use std::sync::Arc;

/// A field of a struct; `None` where the struct is `NULL`.
pub(super) fn field<'d>(value: &'d Datum<'_>, place: usize) -> Option<&'d Datum<'static>> {
    value.as_struct()?.get(place)
}

/// An element of an array, counted from 1, or from the end with -1; or what a map has for a key. `None` where there is
/// nothing.
pub(super) fn index<'d>(value: &'d Datum<'_>, index: &Datum<'_>) -> Option<&'d Datum<'static>> {
    match value {
        Datum::Array(values) => {
            let index = index.as_i64()?;
            let distance = usize::try_from(index.unsigned_abs()).ok()?;
            let place = if index > 0 { distance.checked_sub(1) } else { values.len().checked_sub(distance) };
            values.get(place?)
        }
        Datum::Map(entries) if !index.is_null() => {
            entries.iter().find(|(key, _)| same(key, index)).map(|(_, value)| value)
        }
        _ => None,
    }
}

/// A map of these entries. A key that comes twice has its last value.
pub(super) fn map(entries: Vec<(Datum<'static>, Datum<'static>)>) -> Result<Datum<'static>, Fault> {
    let mut made: Vec<(Datum<'static>, Datum<'static>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if key.is_null() {
            return Err(Fault::NullKey);
        }
        match made.iter_mut().find(|(known, _)| same(known, &key)) {
            Some(known) => known.1 = value,
            None => made.push((key, value)),
        }
    }
    Ok(Datum::Map(Arc::from(made)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_count_from_one_and_from_the_end() {
        let array = Datum::Array(Arc::from([Datum::Int(10), Datum::Int(20), Datum::Int(30)]));
        for (at, expected) in
            [(1, Some(10)), (3, Some(30)), (4, None), (0, None), (-1, Some(30)), (-3, Some(10)), (-4, None)]
        {
            assert_eq!(index(&array, &Datum::Int(at)), expected.map(Datum::Int).as_ref(), "{at}");
        }
        assert_eq!(index(&array, &Datum::BigInt(i64::MIN)), None);
        assert_eq!(index(&array, &Datum::Null), None);
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let entry = |key, value| (Datum::Int(key), Datum::Int(value));
        let made = map(vec![entry(1, 1), entry(2, 2), entry(1, 3)]).unwrap();
        assert_eq!(made.as_map(), Some([entry(1, 3), entry(2, 2)].as_slice()));
        assert_eq!(index(&made, &Datum::BigInt(2)), Some(&Datum::Int(2)));
        assert_eq!(map(vec![(Datum::Null, Datum::Null)]), Err(Fault::NullKey));
    }
}
