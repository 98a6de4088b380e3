//! Functions that remember something per key of their stream. What they remember is a list of values that stands in
//! the changelog as it is, so that it survives a restart.

use crate::{Datum, SqlType};

/// A function with a memory per key.
#[derive(Debug)]
pub(crate) struct KeyedFunction {
    pub(crate) name: &'static str,
    /// How it is called.
    pub(crate) usage: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) params: &'static [SqlType],
    pub(crate) returns: SqlType,
    /// One step: what is remembered of the key (empty at first), and the row's arguments.
    pub(crate) step: Step,
}

/// One step of a [`KeyedFunction`].
pub(crate) type Step = fn(&mut Vec<Datum<'static>>, &[Datum<'_>]) -> Result<Datum<'static>, String>;

/// Every function with a memory.
pub(crate) const KEYED: &[KeyedFunction] = &[KeyedFunction {
    name: "HYSTERESIS",
    usage: "HYSTERESIS(x, low, high)",
    doc: "True once x is above `high`, false once it is below `low`, in between what it was last for this key (at first \
          false). NULL as x changes nothing.",
    params: &[SqlType::Double, SqlType::Double, SqlType::Double],
    returns: SqlType::Boolean,
    step: hysteresis,
}];

/// The keyed function of this name.
pub(crate) fn find(name: &str) -> Option<&'static KeyedFunction> {
    KEYED.iter().find(|function| function.name == name)
}

fn hysteresis(memory: &mut Vec<Datum<'static>>, args: &[Datum<'_>]) -> Result<Datum<'static>, String> {
    let [x, low, high] = args else { return Ok(Datum::Null) };
    let last = memory.first().cloned();
    let (Some(low), Some(high)) = (low.as_f64(), high.as_f64()) else {
        return Ok(last.unwrap_or(Datum::Null));
    };
    if low > high {
        return Err(format!("the lower bound {low} is above the upper bound {high}"));
    }
    // Without a value nothing is known: what was last stays, and before the first value there is nothing.
    let Some(x) = x.as_f64().filter(|x| !x.is_nan()) else { return Ok(last.unwrap_or(Datum::Null)) };
    let now = if x > high {
        Datum::Boolean(true)
    } else if x < low {
        Datum::Boolean(false)
    } else {
        last.unwrap_or(Datum::Boolean(false))
    };
    memory.clear();
    memory.push(now.clone());
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hysteresis_remembers() {
        let mut memory = Vec::new();
        let mut step = |x: Option<f64>| {
            let x = x.map_or(Datum::Null, Datum::Double);
            hysteresis(&mut memory, &[x, Datum::Double(75.0), Datum::Double(80.0)]).unwrap().as_bool()
        };
        let steps = [
            None,
            Some(78.0),
            Some(81.0),
            Some(78.0),
            None,
            Some(75.0),
            Some(74.0),
            Some(78.0),
            Some(f64::NAN),
        ];
        let states = steps.map(&mut step);
        let (t, f) = (Some(true), Some(false));
        assert_eq!(states, [None, f, t, t, t, t, f, f, f]);
    }

    #[test]
    fn hysteresis_wants_its_bounds_in_order() {
        let args = [Datum::Double(1.0), Datum::Double(3.0), Datum::Double(2.0)];
        assert!(hysteresis(&mut Vec::new(), &args).is_err());
    }
}
