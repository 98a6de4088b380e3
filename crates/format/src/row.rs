//! The Row layout: one scan as one flat JSON object. See DESIGN, "Records".
//!
//! A cell without a good value is `null`, and its status stands under [`BAD`]. An uncertain cell keeps its value and has
//! its status there as well.

use crate::FormatError;
use crate::json::{kind, parse, to_value, write_string, write_value};
use millstream_model::{Cell, Status, Value};
use serde_json::Value as Json;
use std::borrow::Cow;

/// The member that holds the statuses of cells that are not good: `{"speed":"BadTimeout"}`.
pub const BAD: &str = "_bad";

/// Writes rows of one scan group; the tags' names are escaped once.
#[derive(Debug, Clone)]
pub struct RowEncoder {
    /// `"name":` per tag.
    members: Vec<Box<[u8]>>,
}

impl RowEncoder {
    /// An encoder for rows with these tags, in this order.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let member = |name| {
            let mut member = Vec::new();
            write_string(&mut member, name);
            member.push(b':');
            member.into_boxed_slice()
        };
        Self { members: names.into_iter().map(member).collect() }
    }

    /// How many tags a row has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether rows are empty.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Appends one row; `cell` gives the cell of each tag by its index and may be asked twice.
    pub fn encode<'a>(&self, out: &mut Vec<u8>, cell: impl Fn(usize) -> Cow<'a, Cell>) {
        out.push(b'{');
        let any_bad = self.write_values(out, &cell);
        if any_bad {
            if !self.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"_bad\":{");
            self.write_statuses(out, &cell);
            out.push(b'}');
        }
        out.push(b'}');
    }

    /// Appends the values alone as an object, as PLC4X's `tags` has them, and says whether all cells were good.
    pub(crate) fn encode_values<'a>(&self, out: &mut Vec<u8>, cell: impl Fn(usize) -> Cow<'a, Cell>) -> bool {
        out.push(b'{');
        let any_bad = self.write_values(out, &cell);
        out.push(b'}');
        !any_bad
    }

    /// Appends the statuses of all cells that are not good as an object.
    pub fn encode_statuses<'a>(&self, out: &mut Vec<u8>, cell: impl Fn(usize) -> Cow<'a, Cell>) {
        out.push(b'{');
        self.write_statuses(out, &cell);
        out.push(b'}');
    }

    fn write_values<'a>(&self, out: &mut Vec<u8>, cell: &impl Fn(usize) -> Cow<'a, Cell>) -> bool {
        let mut any_bad = false;
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member);
            let cell = cell(index);
            any_bad |= !cell.is_good();
            match cell.value() {
                Some(value) => any_bad |= !write_value(out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        any_bad
    }

    fn write_statuses<'a>(&self, out: &mut Vec<u8>, cell: &impl Fn(usize) -> Cow<'a, Cell>) {
        let mut first = true;
        for (index, member) in self.members.iter().enumerate() {
            if let Some(status) = status(&cell(index)) {
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(member);
                out.push(b'"');
                out.extend_from_slice(status.name().as_bytes());
                out.push(b'"');
            }
        }
    }
}

/// The status that a record shows for a cell. A number that is not finite has no form in JSON: it is out of range.
pub fn status(cell: &Cell) -> Option<Status> {
    fn finite(value: &Value) -> bool {
        match value {
            Value::Real(v) => v.is_finite(),
            Value::LReal(v) => v.is_finite(),
            Value::List(items) => items.iter().all(finite),
            _ => true,
        }
    }
    match cell {
        Cell::Good(value) | Cell::Uncertain(value, _) if !finite(value) => Some(Status::BadOutOfRange),
        cell => cell.status(),
    }
}

/// One member of a decoded row: its name, and its value, or why it has none. `Ok(None)` is `null`.
pub type Member = (String, Result<Option<Value>, FormatError>);

/// Reads a flat JSON object, a row or any other. Members of the wrong kind are errors of their own and cost the
/// others nothing. [`BAD`] is left out.
pub fn decode(text: &[u8]) -> Result<Vec<Member>, FormatError> {
    members(&parse(text)?)
}

/// The members of a JSON object that was read already.
pub fn members(json: &Json) -> Result<Vec<Member>, FormatError> {
    let Json::Object(members) = json else {
        return Err(FormatError::Unexpected { expected: "an object", found: kind(json) });
    };
    let members = members.iter().filter(|(name, _)| *name != BAD);
    Ok(members.map(|(name, value)| (name.clone(), to_value(value))).collect())
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
