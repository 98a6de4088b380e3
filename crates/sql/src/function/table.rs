//! Table functions: each row of the stream becomes one row per element of what they give.

use crate::limits::CUBE_COLUMNS_MAX;
use crate::{Datum, SqlType};
use std::sync::Arc;

/// A function that gives rows.
#[derive(Debug)]
pub(crate) struct TableFunction {
    /// The name, in upper case.
    pub(crate) name: &'static str,
    /// How it is called.
    pub(crate) usage: &'static str,
    pub(crate) doc: &'static str,
    /// The type of one row; `None` where it does not take these arguments. `None` among them is the literal `NULL`.
    pub(crate) resolve: fn(&[Option<SqlType>]) -> Option<SqlType>,
    /// The rows; a message where there are none because of what the arguments are.
    pub(crate) rows: TableBody,
}

/// What a table function computes.
pub(crate) type TableBody = fn(&[Datum<'_>]) -> Result<Arc<[Datum<'static>]>, String>;

/// Every table function.
pub(crate) const TABLE_FUNCTIONS: &[TableFunction] = &[
    TableFunction {
        name: "EXPLODE",
        usage: "EXPLODE(ARRAY)",
        doc: "One row per element of the array; none where it is empty or NULL.",
        resolve: |args| match args {
            [Some(SqlType::Array(element))] => Some(**element),
            _ => None,
        },
        rows: |args| match args {
            [Datum::Array(elements)] => Ok(elements.clone()),
            _ => Ok(Arc::default()),
        },
    },
    TableFunction {
        name: "CUBE_EXPLODE",
        usage: "CUBE_EXPLODE(ARRAY[x, y, …])",
        doc: "One row per combination of the elements, each of them left as it is or NULL: 2 to the power of how many are \
              not NULL; at most 12 elements.",
        resolve: |args| match args {
            [Some(list @ SqlType::Array(_))] => Some(*list),
            _ => None,
        },
        rows: |args| match args {
            [Datum::Array(elements)] => cube(elements),
            _ => Ok(Arc::default()),
        },
    },
];

/// The table function of this name.
pub(crate) fn find(name: &str) -> Option<&'static TableFunction> {
    TABLE_FUNCTIONS.iter().find(|function| function.name == name)
}

/// All combinations, from all `NULL` to all there; the last element changes fastest. An element that is `NULL` has no other way
/// to be.
fn cube(elements: &Arc<[Datum<'static>]>) -> Result<Arc<[Datum<'static>]>, String> {
    if elements.len() > CUBE_COLUMNS_MAX {
        return Err(format!("{} elements are too many, {CUBE_COLUMNS_MAX} are the most", elements.len()));
    }
    let mut rows: Vec<Vec<Datum<'static>>> = vec![Vec::with_capacity(elements.len())];
    for element in elements.iter() {
        let mut longer = Vec::with_capacity(2 * rows.len());
        for row in rows {
            if !element.is_null() {
                longer.push([row.clone(), vec![Datum::Null]].concat());
            }
            longer.push([row, vec![element.clone()]].concat());
        }
        rows = longer;
    }
    Ok(rows.into_iter().map(|row| Datum::Array(row.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cube_has_every_combination_once() {
        let elements: Arc<[Datum<'static>]> = [Datum::Int(1), Datum::Null, Datum::Int(2)].into();
        let rows: Vec<String> = cube(&elements).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(rows, ["[null, null, null]", "[null, null, 2]", "[1, null, null]", "[1, null, 2]"]);
        let many: Arc<[Datum<'static>]> = vec![Datum::Int(1); CUBE_COLUMNS_MAX + 1].into();
        assert_eq!(cube(&many).unwrap_err(), "13 elements are too many, 12 are the most");
    }

    #[test]
    fn explode_gives_the_elements() {
        let explode = find("EXPLODE").unwrap();
        let element = SqlType::structure([("A", SqlType::Int)]);
        assert_eq!((explode.resolve)(&[Some(SqlType::array(element))]), Some(element));
        assert_eq!((explode.resolve)(&[Some(SqlType::Int)]), None);
        let elements: Arc<[Datum<'static>]> = [Datum::Int(7), Datum::Null].into();
        assert_eq!((explode.rows)(&[Datum::Array(elements.clone())]), Ok(elements));
        assert_eq!((explode.rows)(&[Datum::Null]).map(|rows| rows.len()), Ok(0));
    }
}
