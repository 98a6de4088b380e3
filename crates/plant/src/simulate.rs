//! How a device is played when there is no hardware: `simulate` tables, and what the simulator serves.

use crate::keys;
use crate::plant::Simulation;
use crate::said::SaidDevice;
use crate::section::{Mistakes, Said, Section, join};
use crate::settings;
use crate::tree::{Entry, Kind};
use crate::value::Value;
use millstream_driver::guard::WriteRule;
use millstream_driver::simulate::{SIGNAL_OPTIONS, Signal, SimulatedTag};
use millstream_driver::{TagSpec, Target};
use millstream_model::{Diagnostic, Options, TagType, Value as Reading, nearest};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `[devices.X.simulate]` as it was said.
#[derive(Debug)]
pub(crate) struct SaidSimulate {
    pub(crate) listen: Option<Said<SocketAddr>>,
    pub(crate) delay: Option<Said<Duration>>,
}

/// Reads `[devices.X.simulate]`.
pub(crate) fn device(value: &Value<'_>, out: &mut Mistakes) -> Option<SaidSimulate> {
    let mut section = Section::open(value, &keys::SIMULATE, out)?;
    let listen = section.take("listen").and_then(|value| settings::address(&value.text(out)?, out));
    let delays = Duration::ZERO..=Duration::from_mins(1);
    let delay = section.take("delay").and_then(|value| value.duration(delays, out));
    section.finish(out);
    Some(SaidSimulate { listen, delay })
}

/// Reads the `simulate` table of a tag: the driver's own options, as TOML values.
pub(crate) fn signal(value: &Value<'_>, out: &mut Mistakes) -> Option<Said<Signal>> {
    let entries = value.table("a simulated signal", out)?;
    let pairs: Vec<(&Entry, String)> =
        entries.iter().filter_map(|entry| Some((entry, plain(value, entry, out)?))).collect();
    // Each option gets a place of its own that leads back to its entry.
    let given = pairs
        .iter()
        .enumerate()
        .map(|(index, (entry, text))| (entry.key.as_str(), &**text, index..index + 1));
    let options = match Options::check(SIGNAL_OPTIONS, given) {
        Ok(options) => options,
        Err(mistakes) => {
            for mut mistake in mistakes {
                let index = mistake.span.take().map_or(usize::MAX, |span| span.range.start);
                let Some((entry, _)) = pairs.get(index) else { continue };
                let unknown = mistake.code == "unknown-option";
                mistake.code = if unknown { "unknown-key" } else { "value" };
                if unknown {
                    mistake.message = format!("a simulated signal has no key `{}`", entry.key.as_str());
                }
                mistake.span = Some(if unknown { entry.key.span.clone() } else { entry.value.span.clone() });
                mistake.help.get_or_insert_with(|| "docs/plant-folder.md lists every key".to_owned());
                out.push(mistake.key(join(&value.key, entry.key.as_str())));
            }
            return None;
        }
    };
    if entries.len() != pairs.len() {
        return None;
    }
    match Signal::from_options(&options) {
        Ok(signal) => Some(Said { value: signal, span: value.node.span.clone(), key: value.key.clone() }),
        Err(mistakes) => {
            for mut mistake in mistakes {
                mistake.span = Some(value.node.span.clone());
                if mistake.label.is_empty() {
                    "expected a signal that can be".clone_into(&mut mistake.label);
                }
                mistake.help.get_or_insert_with(|| "docs/plant-folder.md lists every key".to_owned());
                out.push(mistake.key(value.key.clone()));
            }
            None
        }
    }
}

/// A value as an option's text.
fn plain(table: &Value<'_>, entry: &Entry, out: &mut Mistakes) -> Option<String> {
    match &entry.value.kind {
        Kind::Text(text) => Some(text.as_str().to_owned()),
        Kind::Integer(number) => Some(number.to_string()),
        Kind::Float(number) => Some(number.to_string()),
        Kind::Bool(value) => Some(value.to_string()),
        Kind::Datetime | Kind::Array(_) | Kind::Table(_) => {
            let message = format!("`{}` is {}", entry.key.shown(), entry.value.kind_words());
            let mut mistake = Diagnostic::error("value-kind", message)
                .label("expected a number, a string, `true` or `false`")
                .help("docs/plant-folder.md lists every key")
                .key(join(&table.key, entry.key.as_str()));
            mistake.span = Some(entry.value.span.clone());
            out.push(mistake);
            None
        }
    }
}

/// What a simulator of the device serves: every tag that is read and every one that is written.
pub(crate) fn simulation(
    said: &SaidDevice,
    target: &Target,
    types: &[Vec<TagType>],
    rules: &[WriteRule],
) -> Simulation {
    let given = said.simulate.as_ref();
    let listen = given.and_then(|given| given.listen.as_ref()).map(|listen| listen.value);
    let delay = given.and_then(|given| given.delay.as_ref()).map_or(Duration::ZERO, |delay| delay.value);
    let mut tags: Vec<SimulatedTag> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let read = said.groups.iter().zip(types).flat_map(|(group, types)| group.tags.iter().zip(types));
    for (index, (tag, tag_type)) in read.enumerate() {
        let Some(address) = tag.address.as_ref().filter(|_| !places.contains_key(tag.name.as_str())) else {
            continue;
        };
        // The golden ratio spreads the phases of neighbours as far as can be.
        #[expect(clippy::cast_precision_loss, reason = "a phase")]
        let phase = (index as f64 * 0.618_033_988_75).fract();
        let moving = || Signal::for_type(*tag_type, phase);
        let signal = tag.simulate.as_ref().map_or_else(moving, |signal| signal.value.clone());
        places.insert(tag.name.as_str(), tags.len());
        tags.push(SimulatedTag {
            tag: TagSpec::new(tag.name.as_str(), address.as_str()),
            signal,
            writable: false,
        });
    }
    let explicit = |name: &str| {
        let mut tags = said.groups.iter().flat_map(|group| &group.tags);
        tags.any(|tag| tag.simulate.is_some() && tag.name.as_str() == name)
    };
    let written = said.writes.iter().flat_map(|writes| &writes.rules);
    for (rule, said) in rules.iter().zip(written) {
        let start = || Signal::hold(Reading::LReal(raw(rule, rule.min.unwrap_or(0.0))));
        let given = said.simulate.as_ref().map(|signal| signal.value.clone());
        match places.get(said.name.as_str()).and_then(|index| tags.get_mut(*index)) {
            Some(known) => {
                known.writable = true;
                match given {
                    Some(signal) => known.signal = signal,
                    None if !explicit(said.name.as_str()) => known.signal = start(),
                    None => {}
                }
            }
            None => tags.push(SimulatedTag {
                tag: rule.tag.clone(),
                signal: given.unwrap_or_else(start),
                writable: true,
            }),
        }
    }
    Simulation { listen: listen.unwrap_or_else(|| own_address(target)), delay, tags }
}

fn raw(rule: &WriteRule, engineering: f64) -> f64 {
    (engineering - rule.offset) / rule.scale
}

/// The connection's own address where that is on this machine, else a free port on it.
fn own_address(target: &Target) -> SocketAddr {
    let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let host = match &*target.connection.host {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback),
    };
    match (host, target.connection.port) {
        (Some(ip), Some(port)) => SocketAddr::new(ip, port),
        _ => free,
    }
}

/// Checks that signals follow tags that exist. `tags` are all names as `device/tag`.
pub(crate) fn check_follows<'a>(said: &'a SaidDevice, tags: &BTreeSet<String>, out: &mut Mistakes) {
    let read = said.groups.iter().flat_map(|group| &group.tags).filter_map(|tag| tag.simulate.as_ref());
    let written =
        said.writes.iter().flat_map(|writes| &writes.rules).filter_map(|rule| rule.simulate.as_ref());
    let own = |tag: &str| format!("{}/{tag}", said.name.as_str());
    let all: Vec<&'a Said<Signal>> = read.chain(written).collect();
    for signal in all {
        for follow in &signal.value.follow {
            let tag = &*follow.tag;
            if tags.contains(tag) || tags.contains(&own(tag)) {
                continue;
            }
            let mistake = signal
                .error("signal", format!("`follow` names the tag `{tag}`, which there is not"))
                .label("expected `device/tag`, or a tag of the same device");
            let (full, candidate) = (own(tag), tags.iter().map(String::as_str));
            let right = nearest(if tag.contains('/') { tag } else { &full }, candidate);
            out.push(match right {
                Some(right) => mistake.help(format!("did you mean `{right}`?")),
                None => mistake.help("the device and the tag must stand in this plant"),
            });
        }
    }
}
