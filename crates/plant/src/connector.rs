//! `connectors/*.properties` and `*.json`: the PLC4X connector's configs, which become devices like those of the TOML.

use crate::load::Loader;
use crate::plant::{Connector, Registry};
use crate::said::{SaidDevice, SaidGroup, SaidRule, SaidTag, SaidWrites};
use crate::secret;
use crate::section::{Mistakes, Said};
use crate::source::{list, span, start_of};
use crate::text::Text;
use millstream_connect::config::{ConnectorConfig, read_json, read_properties};
use millstream_connect::plc4x_config::{
    Placed, Plc4xDevice, Plc4xGroup, SINK_CLASS, SOURCE_CLASS, connector, is_plc4x,
};
use millstream_driver::TagSpec;
use millstream_model::{Diagnostic, Span, nearest};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Reads every connector of the plant, and what their devices are.
pub(crate) fn devices(
    folder: &Path,
    loader: &mut Loader,
    registry: &Registry,
    places: &mut Vec<(Span, String)>,
    connectors: &mut Vec<Connector>,
    out: &mut Mistakes,
) -> Vec<SaidDevice> {
    let folder = folder.join("connectors");
    let files = match list(&folder, &["properties", "json"]) {
        Ok(files) => files,
        Err(mut mistake) => {
            mistake.span = Some(start_of(&folder.to_string_lossy().into()));
            out.push(mistake);
            return Vec::new();
        }
    };
    let mut devices: Vec<SaidDevice> = Vec::new();
    for path in files {
        let Some((file, text)) = loader.text(&path, out) else { continue };
        let json = path.extension().is_some_and(|end| end == "json");
        let (config, mistakes) = if json { read_json(&text) } else { read_properties(&text) };
        places.extend(config.entries.iter().map(|(key, entry)| {
            let range =
                entry.key_place.start.min(entry.place.start)..entry.place.end.max(entry.key_place.end);
            (span(&file, range), key.clone())
        }));
        // A value that cannot be read is not missing, too.
        let unread: BTreeSet<String> = mistakes.iter().filter_map(|mistake| mistake.key.clone()).collect();
        for mistake in mistakes {
            out.push(in_file(&file, &text, mistake));
        }
        if config.entries.is_empty() {
            continue;
        }
        let mut reading = Reading {
            file: &file,
            text: &text,
            config: &config,
            folder: &loader.folder,
            unread,
            registry,
            out,
        };
        let found = reading.connector();
        if let (Some(name), Some(class)) = (config.name(), config.class()) {
            connectors.push(Connector {
                name: name.into(),
                class: class.into(),
                is_sink: class.ends_with(SINK_CLASS),
                devices: found.iter().map(|device| device.name.as_str().into()).collect(),
            });
        }
        for device in found {
            add(device, &mut devices);
        }
    }
    devices
}

/// The source and the sink of one machine are one device, so that it has one connection.
fn add(device: SaidDevice, devices: &mut Vec<SaidDevice>) {
    let connection = |device: &SaidDevice| device.connection.as_ref().map(|said| said.as_str().to_owned());
    let known = devices.iter_mut().find(|known| {
        known.name.as_str() == device.name.as_str() && connection(known) == connection(&device)
    });
    match known {
        Some(known) if known.writes.is_none() && device.groups.is_empty() => known.writes = device.writes,
        Some(known) if known.groups.is_empty() && device.writes.is_none() => known.groups = device.groups,
        _ => devices.push(device),
    }
}

/// A diagnostic of the connectors' room, with its place in the file and a remedy.
fn in_file(file: &Arc<str>, text: &str, mut mistake: Diagnostic) -> Diagnostic {
    if mistake.help.is_none() {
        let key = mistake.key.as_deref().unwrap_or_default();
        mistake.help = Some(match mistake.code {
            "missing-key" => format!("add `{key}=…`"),
            "duplicate-key" | "duplicate-name" => "keep one of the two".to_owned(),
            "json" => "mend the JSON; an editor shows where it breaks".to_owned(),
            "unknown-key" => "remove it".to_owned(),
            _ => "docs/plant-folder.md shows a connector".to_owned(),
        });
    }
    if mistake.label.is_empty() {
        "this cannot be read".clone_into(&mut mistake.label);
    }
    match mistake.span {
        Some(_) => mistake.within(file, 0..text.len()),
        None => Diagnostic { span: Some(start_of(file)), ..mistake },
    }
}

struct Reading<'a> {
    file: &'a Arc<str>,
    text: &'a Arc<str>,
    config: &'a ConnectorConfig,
    folder: &'a Path,
    /// Keys with values that could not be read.
    unread: BTreeSet<String>,
    registry: &'a Registry,
    out: &'a mut Mistakes,
}

impl Reading<'_> {
    fn connector(&mut self) -> Vec<SaidDevice> {
        if let Some(class) = self.config.class().filter(|class| !is_plc4x(class)) {
            self.unknown_class(class);
            return Vec::new();
        }
        let (connector, mistakes) = connector(self.config);
        for mistake in mistakes {
            if mistake.code != "missing-key" || !mistake.key.iter().any(|key| self.unread.contains(key)) {
                self.out.push(in_file(self.file, self.text, mistake));
            }
        }
        connector.devices.iter().map(|device| self.device(device)).collect()
    }

    fn unknown_class(&mut self, class: &str) {
        let last = class.rsplit('.').next().unwrap_or_default();
        let message = format!("there is no connector `{class}`");
        let mistake = Diagnostic::error("connector-class", message)
            .label(format!("expected `org.apache.plc4x.kafka.{SOURCE_CLASS}` or `….{SINK_CLASS}`"))
            .key("connector.class");
        let right = nearest(last, [SOURCE_CLASS, SINK_CLASS]).filter(|_| last.to_lowercase().contains("plc"));
        let mut mistake = match right {
            Some(right) => mistake.help(format!("did you mean `org.apache.plc4x.kafka.{right}`?")),
            None => mistake.help("other connectors are not in this version"),
        };
        mistake.span = Some(self.place_of("connector.class"));
        self.out.push(mistake);
    }

    fn device(&mut self, device: &Plc4xDevice) -> SaidDevice {
        let kind = if device.writes.is_some() { "sinks" } else { "sources" };
        let key = format!("{kind}.{}", device.name);
        let connection_key = format!("{key}.connectionString");
        let connection = self.said(&device.connection.value, &device.connection.place, connection_key);
        let name = self.made(&device.name, &self.place_of(kind));
        let groups = device.groups.iter().map(|group| self.group(device, group)).collect();
        let writes = device.writes.as_ref().map(|writes| {
            let topic = self.given(&format!("{key}.topic"), &writes.topic);
            let age = self.given(&format!("{key}.timeout"), "").with(writes.max_age);
            let rules: Vec<SaidRule> = writes.tags.iter().map(|tag| self.rule(&key, tag, &age)).collect();
            let open =
                topic.with(()).warning("no-limits", format!("any value may be written to `{}`", device.name));
            let help =
                format!("write it as `[devices.{}.writes]`, with `min` and `max` for each tag", device.name);
            self.out.push(open.label("a connector's config has no limits").help(help));
            SaidWrites { topic: Some(topic), rules }
        });
        SaidDevice {
            span: name.span.clone(),
            name,
            key,
            template: None,
            connection: Some(connection),
            asset: None,
            requests_per_second: None,
            requests_in_flight: None,
            connect_timeout: None,
            scan_timeout: None,
            groups,
            writes,
            simulate: None,
        }
    }

    fn group(&mut self, device: &Plc4xDevice, group: &Plc4xGroup) -> SaidGroup {
        let key = format!("jobs.{}", group.name);
        let reference = format!("sources.{}.jobReferences", device.name);
        let own = format!("{reference}.{}.topic", group.name);
        let topic_key = [own.as_str(), "default.topic", "default-topic"]
            .into_iter()
            .find(|key| self.config.text(key).is_some())
            .unwrap_or(&reference)
            .to_owned();
        let name = self.made(&group.name, &self.place_of(&reference));
        let interval = self.given(&format!("{key}.interval"), "");
        let tags = group.tags.iter().map(|tag| {
            let key = self.tag_key(&key, &tag.value.name);
            SaidTag {
                name: Said {
                    value: self.made(&tag.value.name, &self.key_place(&key)),
                    span: self.key_place(&key),
                    key: key.clone(),
                },
                address: Some(self.said(&tag.value.address, &tag.place, key)),
                scale: None,
                offset: None,
                deadband: None,
                unit: None,
                simulate: None,
            }
        });
        let tags = tags.collect();
        SaidGroup {
            span: name.span.clone(),
            name,
            interval: Some(interval.with(group.interval)),
            topic: (!group.topic.is_empty()).then(|| self.given(&topic_key, &group.topic)),
            on_change: None,
            layout: Some(interval.with(group.layout)),
            max_interval: None,
            deadband: None,
            tags,
            key,
        }
    }

    fn rule(&mut self, sink: &str, tag: &Placed<TagSpec>, age: &Said<std::time::Duration>) -> SaidRule {
        let key = self.tag_key(sink, &tag.value.name);
        SaidRule {
            name: Said {
                value: self.made(&tag.value.name, &self.key_place(&key)),
                span: self.key_place(&key),
                key: key.clone(),
            },
            address: Some(self.said(&tag.value.address, &tag.place, key)),
            scale: None,
            offset: None,
            min: None,
            max: None,
            max_step: None,
            min_interval: None,
            max_age: Some(age.clone()),
            verify: None,
            simulate: None,
            unlimited: true,
        }
    }

    /// `tags` as it is called now, `fields` as it was called before.
    fn tag_key(&self, scope: &str, tag: &str) -> String {
        let keys = ["tags", "fields"].map(|word| format!("{scope}.{word}.{tag}"));
        let [now, before] = keys;
        if self.config.entries.contains_key(&before) { before } else { now }
    }

    /// A value at its place, with its secrets.
    fn said(&mut self, value: &str, place: &std::ops::Range<usize>, key: String) -> Said<Text> {
        let span = span(self.file, place.clone());
        let exact = self.text.get(place.clone()) == Some(value);
        let text = Text::new(value.to_owned(), span.clone(), exact.then(|| place.clone()));
        let value = secret::resolve(&text, self.folder, self.registry, self.out);
        Said { value, span, key }
    }

    /// What stands under a key.
    fn given(&self, key: &str, value: &str) -> Said<Text> {
        let span = self.place_of(key);
        Said { value: self.made(value, &span), span, key: key.to_owned() }
    }

    /// A part of what stands at a place.
    fn made(&self, value: &str, span: &Span) -> Text {
        let within = self.text.get(span.range.clone()).and_then(|text| text.find(value));
        let inner = within.map(|at| span.range.start + at..span.range.start + at + value.len());
        Text::new(value.to_owned(), span.clone(), inner)
    }

    fn place_of(&self, key: &str) -> Span {
        self.config
            .entries
            .get(key)
            .map_or_else(|| start_of(self.file), |entry| span(self.file, entry.place.clone()))
    }

    fn key_place(&self, key: &str) -> Span {
        self.config
            .entries
            .get(key)
            .map_or_else(|| start_of(self.file), |entry| span(self.file, entry.key_place.clone()))
    }
}
