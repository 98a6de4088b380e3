//! How large values may become.

use super::Fault;
use crate::limits::{COLUMN_BYTES_MAX, VALUE_BYTES_MAX, VALUE_ELEMENTS_MAX};
use crate::{Column, ColumnBuilder, Datum, SqlType};

/// What a value inside another one takes in memory, without its text, in bytes.
const ELEMENT_BYTES: usize = 32;

/// Refuses a value that is too large: its texts and bytes together, and how many values it holds. Values that are
/// shared count as often as they stand in it, so that none is larger when it is written than it looks.
pub(crate) fn check_size(value: &Datum<'_>) -> Result<(), String> {
    weigh(value).map(drop)
}

/// [`check_size`], and about how many bytes the value takes.
fn weigh(value: &Datum<'_>) -> Result<usize, String> {
    let (mut elements, mut bytes) = (0_usize, 0_usize);
    match value {
        Datum::Varchar(v) => bytes = v.len(),
        Datum::Bytes(v) => bytes = v.len(),
        Datum::Array(_) | Datum::Map(_) | Datum::Struct(_) => {
            let mut open = vec![value];
            while let Some(value) = open.pop() {
                match value {
                    Datum::Varchar(v) => bytes += v.len(),
                    Datum::Bytes(v) => bytes += v.len(),
                    Datum::Array(values) | Datum::Struct(values) => {
                        elements += values.len();
                        if elements <= VALUE_ELEMENTS_MAX {
                            open.extend(values.iter());
                        }
                    }
                    Datum::Map(entries) => {
                        elements += 2 * entries.len();
                        if elements <= VALUE_ELEMENTS_MAX {
                            open.extend(entries.iter().flat_map(|(key, value)| [key, value]));
                        }
                    }
                    _ => {}
                }
                if elements > VALUE_ELEMENTS_MAX {
                    return Err(format!("the result would have more than {VALUE_ELEMENTS_MAX} elements"));
                }
                if bytes > VALUE_BYTES_MAX {
                    break;
                }
            }
        }
        _ => {}
    }
    if bytes > VALUE_BYTES_MAX {
        return Err(format!("the result would have more than {VALUE_BYTES_MAX} bytes"));
    }
    Ok(bytes + elements * ELEMENT_BYTES)
}

/// A value that is not too large.
pub(super) fn bounded(value: Datum<'_>) -> Result<Datum<'_>, Fault> {
    check_size(&value).map_err(Fault::TooLarge)?;
    Ok(value)
}

/// Builds a column of results, as long as they fit into memory together.
pub(super) struct Filler {
    builder: ColumnBuilder,
    /// Whether values of its type have any size.
    sized: bool,
    bytes: usize,
}

impl Filler {
    pub(super) fn new(sql_type: SqlType, rows: usize) -> Self {
        let sized = sql_type.is_nested() || matches!(sql_type, SqlType::Varchar | SqlType::Bytes);
        Self { builder: ColumnBuilder::new(sql_type, rows), sized, bytes: 0 }
    }

    /// Appends a value; where it is too large, or the rows before it have taken all the room, `NULL` and a fault.
    pub(super) fn append(&mut self, value: &Datum<'_>) -> Result<(), Fault> {
        if self.sized {
            let room = weigh(value).and_then(|bytes| {
                let all = self.bytes.saturating_add(bytes);
                let fits = all <= COLUMN_BYTES_MAX;
                fits.then_some(all).ok_or_else(|| {
                    format!("the results of one batch would take more than {COLUMN_BYTES_MAX} bytes")
                })
            });
            match room {
                Ok(bytes) => self.bytes = bytes,
                Err(message) => {
                    self.builder.append_null();
                    return Err(Fault::TooLarge(message));
                }
            }
        }
        self.builder.append(value);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        self.builder.append_null();
    }

    pub(super) fn finish(mut self) -> Column {
        self.builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::sync::Arc;

    #[test]
    fn what_doubles_at_every_level_is_refused_soon() {
        let mut value = Datum::Array(Arc::from([Datum::Int(1), Datum::Int(2)]));
        let levels = (0..60).take_while(|_| {
            value = Datum::Array(Arc::from([value.clone(), value.clone()]));
            check_size(&value).is_ok()
        });
        assert!((10..20).contains(&levels.count()));
        let text = "x".repeat(VALUE_BYTES_MAX + 1);
        assert!(check_size(&Datum::Varchar(Cow::Borrowed(&text))).is_err());
        assert!(check_size(&Datum::Varchar(Cow::Borrowed(&text[1..]))).is_ok());
    }

    #[test]
    fn a_batch_of_large_results_has_a_limit() {
        let text = "x".repeat(VALUE_BYTES_MAX);
        let mut filler = Filler::new(SqlType::Varchar, 1);
        let fits = COLUMN_BYTES_MAX / VALUE_BYTES_MAX;
        // One that does not fit does not fill the room of the next one.
        let mut kept = 0;
        for _ in 0..=fits {
            kept += usize::from(filler.append(&Datum::Varchar(Cow::Borrowed(&text))).is_ok());
        }
        assert_eq!((kept, filler.append(&Datum::Null)), (fits, Ok(())));
        assert_eq!(filler.finish().len(), fits + 2);
    }
}
