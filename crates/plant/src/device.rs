//! From what was said about a device to what the scheduler, the source and the guard need.

use crate::limits;
use crate::name;
use crate::plant::{Device, Registry};
use crate::said::{SaidDevice, SaidGroup, SaidTag};
use crate::section::{Mistakes, Said, placed};
use crate::simulate;
use crate::text::Text;
use crate::write;
use millstream_connect::plc_source::{Layout, Mode, SourceGroup, SourceTag};
use millstream_driver::limits::{CONNECT_TIMEOUT, SCAN_TIMEOUT};
use millstream_driver::schedule::{DeviceConfig, GovernorConfig, GroupConfig};
use millstream_driver::{ConnectionString, Driver, TagProblem, TagSpec, Target};
use millstream_model::{AssetPath, DataType, Diagnostic, PathError, Span, TagType, nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A device as far as it could be understood; enough to check the rest of the plant against.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) name: Arc<str>,
    pub(crate) name_span: Span,
    /// `None` where something is wrong with it.
    pub(crate) device: Option<Device>,
    pub(crate) connection: Option<Said<Text>>,
    pub(crate) groups: Vec<BuiltGroup>,
    /// The topic that asks for writes, and the tags.
    pub(crate) writes: Option<(Said<Text>, Vec<Arc<str>>)>,
}

/// A scan group's share of a stream.
#[derive(Debug)]
pub(crate) struct BuiltGroup {
    pub(crate) topic: Arc<str>,
    /// The topic where it is given, the group where not.
    pub(crate) span: Span,
    pub(crate) key: String,
    pub(crate) layout: Layout,
    pub(crate) tags: Vec<BuiltTag>,
}

/// A tag's column.
#[derive(Debug)]
pub(crate) struct BuiltTag {
    pub(crate) name: Said<Text>,
    /// The type in records; `None` where the address is wrong.
    pub(crate) tag_type: Option<TagType>,
}

/// Checks a device and builds it.
pub(crate) fn build(said: &SaidDevice, registry: &Registry, out: &mut Mistakes) -> Built {
    let before = out.errors();
    name::check(&said.name, &said.key, "a device", out);
    let name: Arc<str> = said.name.as_str().into();
    let asset = asset(said, out);
    let reached = said.connection.as_ref().and_then(|connection| reach(connection, registry, out));
    check_group_names(said, out);
    check_addresses(said, out);
    let mut groups = Vec::new();
    let mut built_groups = Vec::new();
    for group in &said.groups {
        let (built, raw_types) = build_group(said, group, reached.as_ref(), out);
        groups.extend(finish_group(&name, asset.as_ref(), group, &built, raw_types, out));
        built_groups.push(built);
    }
    let rules = said.writes.as_ref().map(|writes| write::rules(writes, reached.as_ref(), out));
    // A connector's config has its own words for that.
    let by_hand = said.key.starts_with("devices.") || said.template.is_some();
    if by_hand && said.groups.is_empty() && said.writes.is_none() {
        let idle = Diagnostic::warning(
            "idle-device",
            format!("nothing is read from `{name}` and nothing written to it"),
        )
        .label("it has neither groups nor writes")
        .help(format!("add `[{}.groups.fast]`, or remove the device", said.key));
        out.push(placed(idle, &said.span, &said.key));
    }
    let governor = governor(said);
    let writes = said.writes.as_ref().and_then(|writes| {
        let tags = writes.rules.iter().map(|rule| rule.name.as_str().into()).collect();
        Some((writes.topic.clone()?, tags))
    });
    let device = match (reached, asset, out.errors() == before) {
        (Some(Reached { driver, target: Some(target) }), Some(asset), true) => {
            let (configs, (sources, types)): (Vec<_>, (Vec<_>, Vec<_>)) = groups.into_iter().unzip();
            let sink = said.writes.as_ref().and_then(|writes| write::sink(&name, &asset, writes));
            let writes = rules.unwrap_or_default();
            let simulation = simulate::simulation(said, &target, &types, &writes);
            let config =
                DeviceConfig { name: name.clone(), target, driver, groups: configs, writes, governor };
            let (template, origin) = (said.template.clone(), said.span.clone());
            Some(Device { config, asset, groups: sources, types, sink, template, simulation, origin })
        }
        _ => None,
    };
    Built {
        name,
        name_span: said.name.span.clone(),
        device,
        connection: said.connection.clone(),
        groups: built_groups,
        writes,
    }
}

fn governor(said: &SaidDevice) -> GovernorConfig {
    let in_flight = said.requests_in_flight.as_ref().and_then(|given| usize::try_from(given.value).ok());
    GovernorConfig {
        // The connection string's own limit holds besides.
        in_flight_max: in_flight.unwrap_or(limits::IN_FLIGHT),
        requests_per_second_max: said.requests_per_second.as_ref().map(|given| given.value),
        connect_timeout: said.connect_timeout.as_ref().map_or(CONNECT_TIMEOUT, |given| given.value),
        scan_timeout: said.scan_timeout.as_ref().map_or(SCAN_TIMEOUT, |given| given.value),
    }
}

fn asset(said: &SaidDevice, out: &mut Mistakes) -> Option<AssetPath> {
    let text = said.asset.as_ref().map_or(said.name.as_str(), Said::as_str);
    match text.parse() {
        Ok(asset) => Some(asset),
        Err(error) => {
            let range = match error {
                PathError::EmptySegment(at) => at..at + 1,
                PathError::Character(at, c) => at..at + c.len_utf8(),
                PathError::TooDeep => 0..text.len(),
            };
            let mistake = Diagnostic::error("asset", error.to_string())
                .label("expected `enterprise/site/area/line/cell`")
                .help("for example `\"acme/berlin/stamping/line2/press1\"`")
                .at(range.start.min(text.len())..range.end.min(text.len()));
            // Without the key the name stands in for it, and has its own check.
            if let Some(given) = &said.asset {
                out.push(given.locate(mistake));
            }
            None
        }
    }
}

/// How a device is reached: its driver, and the target unless something is wrong with the options.
pub(crate) struct Reached {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) target: Option<Target>,
}

impl Reached {
    /// Checks tags under the target; without one each address by itself.
    pub(crate) fn plan(&self, tags: &[TagSpec]) -> Result<Vec<TagType>, Vec<TagProblem>> {
        if let Some(target) = &self.target {
            return self.driver.plan(target, tags).map(|plan| plan.types);
        }
        let mut types = Vec::new();
        let mut problems = Vec::new();
        for (index, tag) in tags.iter().enumerate() {
            match self.driver.tag_type(&tag.address) {
                Ok(tag_type) => types.push(tag_type),
                Err(diagnostic) => problems.push(TagProblem { tag: Some(index), diagnostic }),
            }
        }
        if problems.is_empty() { Ok(types) } else { Err(problems) }
    }
}

/// The driver and the target of a connection string.
fn reach(connection: &Said<Text>, registry: &Registry, out: &mut Mistakes) -> Option<Reached> {
    let parsed = match ConnectionString::parse(connection.as_str()) {
        Ok(parsed) => parsed,
        Err(mistake) => {
            out.push(connection.locate(mistake));
            return None;
        }
    };
    let Some(driver) = registry.driver(&parsed.protocol) else {
        let protocol = &parsed.protocol;
        let known: Vec<String> = registry.protocols().map(|name| format!("`{name}`")).collect();
        let mistake = Diagnostic::error("unknown-protocol", format!("there is no protocol `{protocol}`"))
            .label(format!("expected one of {}", known.join(", ")))
            .at(0..protocol.len());
        let rest =
            connection.value.shown().split_once("://").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        out.push(connection.locate(match nearest(protocol, registry.protocols()) {
            Some(right) => mistake.help(format!("did you mean `{right}://{rest}`?")),
            None => mistake.help("check the spelling; other protocols are not in this version"),
        }));
        return None;
    };
    let target = match driver.target(parsed) {
        Ok(target) => Some(target),
        Err(mistakes) => {
            for mistake in mistakes {
                out.push(connection.locate(mistake));
            }
            None
        }
    };
    Some(Reached { driver: driver.clone(), target })
}

fn check_group_names(said: &SaidDevice, out: &mut Mistakes) {
    for group in &said.groups {
        name::check(&group.name, &group.key, "a scan group", out);
    }
}

/// One name, one address: the audit, the simulator and people take a tag of a device to be one thing.
fn check_addresses(said: &SaidDevice, out: &mut Mistakes) {
    let mut seen: BTreeMap<&str, (&Said<Text>, &str)> = BTreeMap::new();
    for group in &said.groups {
        let mut in_group: BTreeMap<&str, &Said<Text>> = BTreeMap::new();
        for tag in &group.tags {
            if let Some(first) = in_group.insert(tag.name.as_str(), &tag.name) {
                let mistake = tag
                    .name
                    .error("duplicate-tag", format!("`{}` is in the scan group twice", tag.name.as_str()))
                    .label("the second one")
                    .help("rename or remove one of them")
                    .also(first.span.clone(), "the first one");
                out.push(mistake);
            }
        }
    }
    let read = said.groups.iter().flat_map(|group| &group.tags).map(|tag| (&tag.name, &tag.address));
    let written = said.writes.iter().flat_map(|writes| &writes.rules).map(|rule| (&rule.name, &rule.address));
    for (name, address) in read.chain(written) {
        let Some(address) = address else { continue };
        match seen.get(name.as_str()) {
            Some((first, known)) if *known != address.as_str() && first.key != name.key => {
                let message = format!("`{}` has two addresses on `{}`", name.as_str(), said.name.as_str());
                out.push(
                    address
                        .error("duplicate-tag", message)
                        .label("expected the address it has elsewhere on this device")
                        .help("give one of the two another name")
                        .also(first.span.clone(), "the first one"),
                );
            }
            Some(_) => {}
            None => {
                seen.insert(name.as_str(), (name, address.as_str()));
            }
        }
    }
}

/// Checks a group's tags, and finds their types.
fn build_group(
    said: &SaidDevice,
    group: &SaidGroup,
    reached: Option<&Reached>,
    out: &mut Mistakes,
) -> (BuiltGroup, Option<Vec<TagType>>) {
    let topic = if let Some(topic) = &group.topic {
        name::check_topic(topic, out);
        topic.as_str().to_owned()
    } else {
        let owner = said.template.as_deref().unwrap_or(said.name.as_str());
        format!("{owner}.{}", group.name.as_str())
    };
    let raw = raw_types(group, reached, out);
    let mut tags = Vec::new();
    for (tag, raw) in group.tags.iter().zip(&raw) {
        name::check_tag(&tag.name, out);
        let tag_type = raw.map(|raw| if check_scaling(tag, raw, out) { scaled(raw) } else { raw });
        tags.push(BuiltTag { name: tag.name.clone(), tag_type });
    }
    let (span, key) = match &group.topic {
        Some(topic) => (topic.span.clone(), topic.key.clone()),
        None => (group.span.clone(), group.key.clone()),
    };
    let layout = group.layout.as_ref().map_or(Layout::Row, |layout| layout.value);
    (BuiltGroup { topic: topic.into(), span, key, layout, tags }, raw.into_iter().collect())
}

/// The type of each tag in the device; `None` where its address is missing or wrong.
fn raw_types(group: &SaidGroup, reached: Option<&Reached>, out: &mut Mistakes) -> Vec<Option<TagType>> {
    let Some(reached) = reached else { return vec![None; group.tags.len()] };
    let given: Vec<(usize, &Said<Text>)> = group
        .tags
        .iter()
        .enumerate()
        .filter_map(|(index, tag)| Some((index, tag.address.as_ref()?)))
        .collect();
    let mut types = vec![None; group.tags.len()];
    let specs: Vec<TagSpec> = given
        .iter()
        .filter_map(|(index, address)| {
            Some(TagSpec::new(group.tags.get(*index)?.name.as_str(), address.as_str()))
        })
        .collect();
    match reached.plan(&specs) {
        Ok(found) => {
            for ((index, _), tag_type) in given.iter().zip(found) {
                if let Some(slot) = types.get_mut(*index) {
                    *slot = Some(tag_type);
                }
            }
        }
        Err(problems) => {
            for problem in problems {
                let tag = problem.tag.and_then(|tag| given.get(tag));
                out.push(match tag {
                    Some((_, address)) => address.locate(problem.diagnostic),
                    None => placed(problem.diagnostic, &group.span, &group.key),
                });
            }
            for (index, address) in given {
                if let Some(slot) = types.get_mut(index) {
                    *slot = reached.driver.tag_type(address.as_str()).ok();
                }
            }
        }
    }
    types
}

/// Whether a tag's value is scaled, and whether it can be.
fn check_scaling(tag: &SaidTag, raw: TagType, out: &mut Mistakes) -> bool {
    let wrong: Vec<&Said<f64>> = [&tag.scale, &tag.offset, &tag.deadband].into_iter().flatten().collect();
    if !raw.data_type.is_numeric() {
        for said in &wrong {
            let key = said.key.rsplit('.').next().unwrap_or_default();
            out.push(
                said.error("not-numeric", format!("`{key}` means nothing for a {raw}"))
                    .label("expected a tag with a numeric type")
                    .help(format!("remove `{key}`, or read another data type")),
            );
        }
        return false;
    }
    is_scaled(tag)
}

fn is_scaled(tag: &SaidTag) -> bool {
    let is = |given: &Option<Said<f64>>, neutral: f64| {
        given.as_ref().is_some_and(|said| said.value.total_cmp(&neutral).is_ne())
    };
    is(&tag.scale, 1.0) || is(&tag.offset, 0.0)
}

fn scaled(raw: TagType) -> TagType {
    TagType { data_type: DataType::LReal, ..raw }
}

type FinishedGroup = (GroupConfig, (SourceGroup, Vec<TagType>));

/// What the scheduler and the source need; `None` where something is wrong.
fn finish_group(
    device: &Arc<str>,
    asset: Option<&AssetPath>,
    group: &SaidGroup,
    built: &BuiltGroup,
    raw_types: Option<Vec<TagType>>,
    out: &mut Mistakes,
) -> Option<FinishedGroup> {
    let mode = mode(group, out);
    let name: Arc<str> = group.name.as_str().into();
    let specs =
        group.tags.iter().map(|tag| Some(TagSpec::new(tag.name.as_str(), tag.address.as_ref()?.as_str())));
    let config = GroupConfig {
        name: name.clone(),
        interval: group.interval.as_ref()?.value,
        tags: specs.collect::<Option<_>>()?,
    };
    let group_deadband = group.deadband.as_ref().map_or(0.0, |said| said.value);
    let types = raw_types?;
    let tags = group.tags.iter().zip(&types).map(|(tag, raw)| SourceTag {
        name: tag.name.as_str().into(),
        tag_type: Some(*raw),
        scale: tag.scale.as_ref().map_or(1.0, |said| said.value),
        offset: tag.offset.as_ref().map_or(0.0, |said| said.value),
        deadband: match &tag.deadband {
            Some(said) => said.value,
            None if raw.data_type.is_numeric() => group_deadband,
            None => 0.0,
        },
        unit: tag.unit.as_ref().map(|unit| unit.as_str().into()),
    });
    let source = SourceGroup {
        device: device.clone(),
        group: name,
        asset: asset?.clone(),
        topic: built.topic.clone(),
        layout: built.layout,
        mode,
        tags: tags.collect(),
    };
    Some((config, (source, types)))
}

fn mode(group: &SaidGroup, out: &mut Mistakes) -> Mode {
    let by_layout = group.layout.as_ref().is_some_and(|layout| layout.value == Layout::Tag);
    let on_change = group.on_change.as_ref().map_or(by_layout, |said| said.value);
    if !on_change {
        let idle = |what: &str| (format!("`{what}` has no effect"), "every scan is a record here".to_owned());
        let deadbands = group.tags.iter().filter_map(|tag| tag.deadband.as_ref()).chain(&group.deadband);
        for deadband in deadbands {
            let (message, label) = idle("deadband");
            out.push(
                deadband
                    .warning("no-effect", message)
                    .label(label)
                    .help("add `mode = \"on_change\"` to the scan group"),
            );
        }
        if let Some(max_interval) = &group.max_interval {
            let (message, label) = idle("max_interval");
            let help = "add `mode = \"on_change\"` to the scan group, or remove `max_interval`";
            out.push(max_interval.warning("no-effect", message).label(label).help(help));
        }
        return Mode::Always;
    }
    let default = group.interval.as_ref().map_or(limits::MAX_INTERVAL, |i| i.value.max(limits::MAX_INTERVAL));
    if let (Some(max), Some(interval)) = (&group.max_interval, &group.interval)
        && max.value < interval.value
    {
        out.push(
            max.error("out-of-bounds", "`max_interval` is shorter than `interval`")
                .label("expected at least the interval of the scan group")
                .help("make it longer, or use `mode = \"always\"`")
                .also(interval.span.clone(), "the interval"),
        );
    }
    Mode::OnChange { max_interval: Some(group.max_interval.as_ref().map_or(default, |max| max.value)) }
}
