//! From engineering values to what an address takes and back, and the checks on values.

use super::{WriteRule, code};
use millstream_model::{DataType, Value};

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Reason {
    pub(super) fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }
}

/// The raw value that `value` (in engineering units) means for the rule's address.
///
/// Without scaling a whole-number address takes whole numbers only. With scaling the nearest step of the address is taken,
/// because engineering values rarely are exact multiples of it; [`check_range`] then judges what will really be written.
pub(super) fn to_raw(rule: &WriteRule, value: &Value) -> Result<Value, Reason> {
    let data_type = rule.tag_type.data_type;
    let wrong = |what: String| {
        Reason::new(code::WRONG_TYPE, format!("`{}` is {}, {what}", rule.tag.name, rule.tag_type))
    };
    match (rule.tag_type.count, value) {
        (Some(count), Value::Bytes(bytes)) if data_type == DataType::Raw => {
            if u32::try_from(bytes.len()) != Ok(count) {
                return Err(wrong(format!("got {} bytes", bytes.len())));
            }
            Ok(value.clone())
        }
        (Some(count), Value::List(items)) => {
            if u32::try_from(items.len()) != Ok(count) {
                return Err(wrong(format!("got {} elements", items.len())));
            }
            let items = items.iter().map(|item| element(rule, item).map_err(&wrong));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        (Some(_), _) => Err(wrong(format!("got {} alone", kind(value)))),
        (None, _) => element(rule, value).map_err(wrong),
    }
}

/// What `raw` means in engineering units.
pub(super) fn to_engineering(rule: &WriteRule, raw: &Value) -> Value {
    if !rule.is_scaled() {
        return raw.clone();
    }
    match raw {
        Value::List(items) => Value::List(items.iter().map(|item| to_engineering(rule, item)).collect()),
        _ => raw.as_f64().map_or_else(|| raw.clone(), |raw| Value::LReal(raw * rule.scale + rule.offset)),
    }
}

/// Whether the asked value and the value that will really be written are within `min` and `max`.
pub(super) fn check_range(rule: &WriteRule, asked: &Value, raw: &Value) -> Result<(), Reason> {
    if rule.min.is_none() && rule.max.is_none() {
        return Ok(());
    }
    let written = to_engineering(rule, raw);
    let (Some(asked), Some(written)) = (numbers(asked), numbers(&written)) else {
        return Err(not_a_number(rule, "limits"));
    };
    let min = rule.min.unwrap_or(f64::NEG_INFINITY);
    let max = rule.max.unwrap_or(f64::INFINITY);
    for (asked, written) in asked.into_iter().zip(written) {
        // A range with NaN in it contains nothing, so that a broken limit allows nothing.
        if !(min..=max).contains(&asked) {
            let message = format!("{asked} is outside {} for `{}`", bounds(rule), rule.tag.name);
            return Err(Reason::new(code::OUT_OF_RANGE, message));
        }
        let slack = round_off(rule, written);
        if !(min - slack..=max + slack).contains(&written) {
            let message = format!(
                "the nearest value to {asked} that `{}` can hold is {written}, outside {}",
                rule.tag.name,
                bounds(rule)
            );
            return Err(Reason::new(code::OUT_OF_RANGE, message));
        }
    }
    Ok(())
}

/// Whether the asked value is near enough to `old`, the raw value that is in the device now. `raw` is what would be written.
pub(super) fn check_step(
    rule: &WriteRule,
    asked: &Value,
    raw: &Value,
    old: Option<&Value>,
) -> Result<(), Reason> {
    let Some(max_step) = rule.max_step else { return Ok(()) };
    let name = &rule.tag.name;
    let refused = |message: String| Err(Reason::new(code::STEP, message));
    let Some(asked) = numbers(asked) else { return Err(not_a_number(rule, "a largest step")) };
    let old = old.filter(|old| alike(raw, old)).map(|old| to_engineering(rule, old));
    let Some(old) = old.as_ref().and_then(numbers) else {
        return refused(format!(
            "the value of `{name}` in the device is not known, so the step cannot be judged"
        ));
    };
    for (asked, old) in asked.into_iter().zip(old) {
        let step = (asked - old).abs();
        let slack = round_off(rule, asked).max(round_off(rule, old));
        // NaN in any of them must refuse, and it is no greater than anything.
        if step > max_step + slack || (step + max_step).is_nan() {
            return refused(format!("from {old} to {asked} is a larger step than {max_step} for `{name}`"));
        }
    }
    Ok(())
}

/// Whether a value that was read back is the one that was written. Floating point compares by its bits (and 0 equals −0);
/// texts without the padding that devices add.
pub(super) fn same(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Text(a), Value::Text(b)) => {
            let bare = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
            bare(a) == bare(b)
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

/// Whether two values are of one kind and shape.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

fn element(rule: &WriteRule, value: &Value) -> Result<Value, String> {
    use DataType as T;
    let data_type = rule.tag_type.data_type;
    match (data_type, value) {
        (T::Bool, Value::Bool(_))
        | (T::Raw, Value::Bytes(_))
        | (
            T::String | T::WString | T::Time | T::LTime | T::Date | T::TimeOfDay | T::DateAndTime,
            Value::Text(_),
        ) => Ok(value.clone()),
        (T::Char | T::WChar, Value::Text(text)) if text.chars().count() == 1 => Ok(value.clone()),
        _ if data_type.is_numeric() => numeric(rule, value),
        _ => Err(format!("got {}", kind(value))),
    }
}

fn numeric(rule: &WriteRule, value: &Value) -> Result<Value, String> {
    let data_type = rule.tag_type.data_type;
    let Some(asked) = value.as_f64() else { return Err(format!("got {}", kind(value))) };
    if !asked.is_finite() {
        return Err(format!("got {asked}"));
    }
    let raw = if rule.is_scaled() { (asked - rule.offset) / rule.scale } else { asked };
    if !raw.is_finite() {
        return Err(format!(
            "{asked} cannot be scaled back with scale {} and offset {}",
            rule.scale, rule.offset
        ));
    }
    match data_type {
        DataType::LReal => Ok(Value::LReal(raw)),
        DataType::Real => match value {
            Value::Real(exact) if !rule.is_scaled() => Ok(Value::Real(*exact)),
            _ => single(raw).ok_or_else(|| format!("{raw} is beyond it")),
        },
        _ => {
            let whole = match value {
                Value::Int(exact) if !rule.is_scaled() => i128::from(*exact),
                Value::UInt(exact) if !rule.is_scaled() => i128::from(*exact),
                _ if rule.is_scaled() || raw.fract() == 0.0 => nearest(raw),
                _ => return Err(format!("got {asked}, which is not whole")),
            };
            whole_number(data_type, whole).ok_or_else(|| format!("{whole} is beyond it"))
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and what is beyond every type is refused by its range"
)]
fn nearest(raw: f64) -> i128 {
    raw.round() as i128
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to single precision is what the address can hold"
)]
fn single(raw: f64) -> Option<Value> {
    let single = raw as f32;
    single.is_finite().then_some(Value::Real(single))
}

fn whole_number(data_type: DataType, whole: i128) -> Option<Value> {
    use DataType as T;
    let (min, max) = match data_type {
        T::SInt => (i128::from(i8::MIN), i128::from(i8::MAX)),
        T::Int => (i128::from(i16::MIN), i128::from(i16::MAX)),
        T::DInt => (i128::from(i32::MIN), i128::from(i32::MAX)),
        T::LInt => (i128::from(i64::MIN), i128::from(i64::MAX)),
        T::Byte | T::USInt => (0, i128::from(u8::MAX)),
        T::Word | T::UInt => (0, i128::from(u16::MAX)),
        T::DWord | T::UDInt => (0, i128::from(u32::MAX)),
        T::LWord | T::ULInt => (0, i128::from(u64::MAX)),
        _ => return None,
    };
    if !(min..=max).contains(&whole) {
        return None;
    }
    if min < 0 {
        i64::try_from(whole).ok().map(Value::Int)
    } else {
        u64::try_from(whole).ok().map(Value::UInt)
    }
}

/// Every number in a value; truth values are 0 and 1.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::List(items) => {
            items.iter().map(|item| item.as_bool().map(f64::from).or_else(|| item.as_f64())).collect()
        }
        _ => value.as_bool().map(f64::from).or_else(|| value.as_f64()).map(|number| vec![number]),
    }
}

/// How far conversion alone may move a value: the precision of the address' type.
fn round_off(rule: &WriteRule, value: f64) -> f64 {
    let precision = if rule.tag_type.data_type == DataType::Real { f64::from(f32::EPSILON) } else { 1e-12 };
    (value.abs() + rule.offset.abs()) * precision
}

fn bounds(rule: &WriteRule) -> String {
    match (rule.min, rule.max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} and above"),
        (None, Some(max)) => format!("{max} and below"),
        (None, None) => "any value".to_owned(),
    }
}

fn not_a_number(rule: &WriteRule, what: &str) -> Reason {
    Reason::new(code::WRONG_TYPE, format!("`{}` has {what}, but the value is no number", rule.tag.name))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::UInt(_) => "a whole number",
        Value::Real(_) | Value::LReal(_) => "a number",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "an array",
    }
}
