//! Write rules: from what was said to what the guard holds every write against.

use crate::device::Reached;
use crate::name;
use crate::said::{SaidRule, SaidWrites};
use crate::section::{Mistakes, Said};
use crate::text::Text;
use millstream_connect::plc_sink::SinkDevice;
use millstream_driver::TagSpec;
use millstream_driver::guard::WriteRule;
use millstream_model::{AssetPath, DataType, Diagnostic, TagType};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Checks the rules of a device. What is left out of the list is a mistake that was reported.
pub(crate) fn rules(writes: &SaidWrites, reached: Option<&Reached>, out: &mut Mistakes) -> Vec<WriteRule> {
    if let Some(topic) = &writes.topic {
        name::check_topic(topic, out);
    }
    let mut rules = Vec::new();
    for said in &writes.rules {
        name::check_tag(&said.name, out);
        rules.extend(rule(said, reached, out));
    }
    check_addresses(&writes.rules, out);
    rules
}

/// The guard holds a step and an interval against one rule's writes: a second way to the same place goes around both.
fn check_addresses(rules: &[SaidRule], out: &mut Mistakes) {
    let mut first: BTreeMap<&str, &Said<Text>> = BTreeMap::new();
    for rule in rules {
        let Some(address) = &rule.address else { continue };
        let Some(earlier) = first.get(address.as_str()) else {
            first.insert(address.as_str(), address);
            continue;
        };
        let twice = address
            .warning("same-address", format!("two rules allow writes to `{}`", address.as_str()))
            .label("neither knows of the other's writes, so each has its own interval and limits")
            .help("keep one of them, with the stricter limits")
            .also(earlier.span.clone(), "the first one");
        out.push(twice);
    }
}

/// Which topic may ask for these writes.
pub(crate) fn sink(device: &Arc<str>, asset: &AssetPath, writes: &SaidWrites) -> Option<SinkDevice> {
    Some(SinkDevice {
        device: device.clone(),
        asset: asset.clone(),
        topic: writes.topic.as_ref()?.as_str().into(),
        tags: writes.rules.iter().map(|rule| rule.name.as_str().into()).collect(),
    })
}

fn rule(said: &SaidRule, reached: Option<&Reached>, out: &mut Mistakes) -> Option<WriteRule> {
    let bounds = Bounds {
        scale: said.scale.as_ref().map_or(1.0, |scale| scale.value),
        offset: said.offset.as_ref().map_or(0.0, |offset| offset.value),
    };
    if let (Some(min), Some(max)) = (&said.min, &said.max)
        && min.value > max.value
    {
        out.push(
            min.error("write-range", format!("`min` {} is above `max` {}", min.value, max.value))
                .label("expected at most `max`")
                .help("swap the two")
                .also(max.span.clone(), "the largest value"),
        );
    }
    let address = said.address.as_ref()?;
    let reached = reached?;
    let tag = TagSpec::new(said.name.as_str(), address.as_str());
    let tag_type = match reached.driver.tag_type(address.as_str()) {
        Ok(tag_type) => tag_type,
        Err(mistake) => {
            out.push(address.locate(mistake));
            return None;
        }
    };
    if let Err(problems) = reached.plan(std::slice::from_ref(&tag)) {
        for problem in problems {
            out.push(address.locate(problem.diagnostic));
        }
        return None;
    }
    if let Err(mistake) = reached.driver.writable(address.as_str()) {
        out.push(address.locate(mistake));
    }
    check_type(said, tag_type, bounds, out);
    Some(WriteRule {
        tag,
        tag_type,
        scale: bounds.scale,
        offset: bounds.offset,
        min: said.min.as_ref().map(|min| min.value),
        max: said.max.as_ref().map(|max| max.value),
        max_step: said.max_step.as_ref().map(|step| step.value),
        min_interval: said.min_interval.as_ref().map(|interval| interval.value),
        max_age: said.max_age.as_ref().map_or(millstream_driver::limits::MAX_AGE, |age| age.value),
        verify: said.verify.as_ref().is_some_and(|verify| verify.value),
    })
}

/// The way from raw to engineering values.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    scale: f64,
    offset: f64,
}

impl Bounds {
    fn engineering(self, raw: f64) -> f64 {
        raw.mul_add(self.scale, self.offset)
    }

    /// The engineering values that a type holds.
    fn of(self, raw: &RangeInclusive<f64>) -> (f64, f64) {
        let (a, b) = (self.engineering(*raw.start()), self.engineering(*raw.end()));
        (a.min(b), a.max(b))
    }
}

/// Whether the limits fit the address' type.
fn check_type(said: &SaidRule, tag_type: TagType, bounds: Bounds, out: &mut Mistakes) {
    let data_type = tag_type.data_type;
    if !data_type.is_numeric() {
        for given in [&said.scale, &said.offset, &said.min, &said.max, &said.max_step].into_iter().flatten() {
            let key = given.key.rsplit('.').next().unwrap_or_default();
            out.push(
                given
                    .error("not-numeric", format!("`{key}` means nothing for a {tag_type}"))
                    .label("expected an address with a numeric type")
                    .help(format!("remove `{key}`, or write another data type")),
            );
        }
        return;
    }
    if said.min.is_none() && said.max.is_none() && !said.unlimited {
        let open = said
            .name
            .warning("no-limits", format!("any {tag_type} may be written to `{}`", said.name.as_str()))
            .label("it has neither `min` nor `max`");
        out.push(open.help("add the values that the machine can stand, for example `min = 20, max = 90`"));
    }
    let Some(raw) = raw_range(data_type) else { return };
    let (least, most) = bounds.of(&raw);
    // A scaled bound such as 3276.7 is not exact in a double.
    let slack = bounds.scale.abs() / 1_000.0;
    let holds = |value: f64| value >= least - slack && value <= most + slack;
    for given in [&said.min, &said.max].into_iter().flatten().filter(|given| !holds(given.value)) {
        out.push(outside(given, data_type, least, most));
    }
    if let Some(step) = &said.max_step
        && step.value < bounds.scale.abs()
    {
        let mistake = step
            .error("write-range", format!("`max_step` {} is less than one step of the device", step.value))
            .label(format!("`{data_type}` moves by {} here", bounds.scale.abs()));
        out.push(mistake.help(format!("at least `{}`", bounds.scale.abs())));
    }
}

fn outside(given: &Said<f64>, data_type: DataType, least: f64, most: f64) -> Diagnostic {
    let key = given.key.rsplit('.').next().unwrap_or_default();
    given
        .error("write-range", format!("`{key}` {} is outside what the address holds", given.value))
        .label(format!("`{data_type}` holds {least} to {most} here"))
        .help(format!("at the nearest, `{}`; or write a wider data type", given.value.clamp(least, most)))
}

/// What an integer type holds; `None` for floating point, whose range no plant reaches.
fn raw_range(data_type: DataType) -> Option<RangeInclusive<f64>> {
    use DataType as T;
    let bits = i32::try_from(data_type.bits().min(64)).ok()?;
    match data_type {
        T::SInt | T::Int | T::DInt | T::LInt => Some(-(2f64.powi(bits - 1))..=2f64.powi(bits - 1) - 1.0),
        T::Byte | T::USInt | T::Word | T::UInt | T::DWord | T::UDInt => Some(0.0..=2f64.powi(bits) - 1.0),
        T::LWord | T::ULInt => Some(0.0..=2f64.powi(64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_types_hold_their_ranges() {
        assert_eq!(raw_range(DataType::Int), Some(-32_768.0..=32_767.0));
        assert_eq!(raw_range(DataType::UInt), Some(0.0..=65_535.0));
        assert_eq!(raw_range(DataType::SInt), Some(-128.0..=127.0));
        assert_eq!(raw_range(DataType::Real), None);
        let tenth = Bounds { scale: -0.5, offset: 10.0 };
        assert_eq!(tenth.of(&(0.0..=100.0)), (-40.0, 10.0));
    }
}
