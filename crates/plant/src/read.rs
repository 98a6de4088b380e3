//! Reading a plant from start to end: files, tables, devices, and everything that only shows when all is known.

use crate::connector;
use crate::device::{self, Built};
use crate::import;
use crate::kafka;
use crate::keys;
use crate::limits;
use crate::list;
use crate::load::Loader;
use crate::name;
use crate::plant::{Plant, Registry};
use crate::query;
use crate::said::{self, SaidDevice, under};
use crate::secret;
use crate::section::{Mistakes as Found, Said, Section, join, placed};
use crate::settings;
use crate::simulate;
use crate::source::{list as list_files, start_of};
use crate::stream::{self, Columns};
use crate::tree::{self, Entry, Kind, Node};
use crate::value::Value;
use crate::{Mistakes, Sources, order};
use millstream_model::{Diagnostic, Severity, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a plant: a folder with `*.toml`, `queries/*.sql` and `connectors/*`, or a single `.toml`. Touches nothing.
///
/// Gives the plant and its warnings, or every mistake at once.
pub fn read(path: &Path, registry: &Registry) -> Result<(Plant, Vec<Diagnostic>), Mistakes> {
    let folder =
        if path.is_dir() { path.to_owned() } else { path.parent().unwrap_or(Path::new("")).to_owned() };
    let mut reading = Reading {
        registry,
        loader: Loader::new(folder.clone()),
        out: Found::default(),
        understood: true,
        places: Vec::new(),
        whole: path.is_dir(),
    };
    let plant = reading.plant(path, folder);
    let Reading { loader, out, places, .. } = reading;
    let diagnostics = order::finish(out, &places);
    match plant {
        Some(plant) if diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning) => {
            Ok((Plant { sources: loader.sources, ..plant }, diagnostics))
        }
        _ => Err(Mistakes { diagnostics, sources: loader.sources }),
    }
}

struct Reading<'r> {
    registry: &'r Registry,
    loader: Loader,
    out: Found,
    /// Whether every file was TOML.
    understood: bool,
    /// Where keys stand.
    places: Vec<(Span, String)>,
    /// Whether the plant is a folder.
    whole: bool,
}

/// The top tables of all files, put together.
#[derive(Debug, Default)]
struct Top {
    log: Option<Entry>,
    kafka: Option<Entry>,
    http: Option<Entry>,
    sql: Option<Entry>,
    devices: Vec<Entry>,
    templates: Vec<Entry>,
    /// Where named tables stand, by their dotted path.
    named: BTreeMap<String, Span>,
    imports: Vec<Entry>,
}

impl Reading<'_> {
    fn plant(&mut self, path: &Path, folder: PathBuf) -> Option<Plant> {
        let files = self.files(path)?;
        let mut top = Top::default();
        for file in files {
            self.file(&file, &mut top);
        }
        let setting = |entry: &Option<Entry>| entry.clone().map(Box::new);
        let (log, kafka, http) = (setting(&top.log), setting(&top.kafka), setting(&top.http));
        let log = log.as_deref().map(|e| under("", e));
        let (log, servers) = settings::log(log.as_ref(), &folder, &mut self.out);
        let kafka = kafka.as_deref().map(|e| under("", e));
        let kafka = kafka::read(kafka.as_ref(), &folder, &mut self.out);
        if let (Some(servers), Some(kafka)) = (&servers, &kafka) {
            settings::check_loop(servers, kafka, &mut self.out);
        }
        let http = settings::http(http.as_deref().map(|e| under("", e)).as_ref(), &mut self.out);
        let sql = setting(&top.sql);
        let sql = sql.as_deref().map(|e| under("", e));
        let sql = settings::sql(sql.as_ref(), log.bootstrap_servers.is_some(), &mut self.out);
        let mut said = self.devices(&top);
        let mut connectors = Vec::new();
        if self.whole {
            said.extend(connector::devices(
                &folder,
                &mut self.loader,
                self.registry,
                &mut self.places,
                &mut connectors,
                &mut self.out,
            ));
        }
        let built: Vec<Built> =
            said.iter().map(|said| device::build(said, self.registry, &mut self.out)).collect();
        self.check_devices(&said, &built);
        let mut listeners = Vec::new();
        if let Some(kafka) = &kafka {
            listeners.extend(kafka.listeners.iter().map(|listener| {
                ("the Kafka listener", "kafka.listen".to_owned(), listener.listen, listener.span.clone())
            }));
        }
        listeners.extend(
            http.as_ref().map(|l| ("the HTTP listener", "http.listen".to_owned(), l.address, l.span.clone())),
        );
        listeners.extend(said.iter().filter_map(|said| {
            let listen = said.simulate.as_ref()?.listen.as_ref()?;
            Some(("the simulator", listen.key.clone(), listen.value, Some(listen.span.clone())))
        }));
        settings::check_ports(&listeners, &mut self.out);
        let streams: Vec<Columns> = built.iter().flat_map(|device| &device.groups).map(Columns::of).collect();
        let queries =
            if self.whole { query::read(&folder, &mut self.loader, &mut self.out) } else { Vec::new() };
        // What SQL says about a plant that is half understood would only mislead.
        if self.understood {
            query::check(&queries, &streams, &built, &mut self.out);
        }
        let devices: Vec<_> = built.into_iter().filter_map(|device| device.device).collect();
        let sources = Sources::default();
        Some(Plant { folder, log, kafka, http, sql, devices, connectors, queries, streams, sources })
    }

    /// The TOML files of the plant.
    fn files(&mut self, path: &Path) -> Option<Vec<PathBuf>> {
        let mut found = if self.whole {
            match list_files(path, &["toml"]) {
                Ok(files) => files,
                Err(mistake) => {
                    self.out.push(at_file(path, mistake));
                    return None;
                }
            }
        } else {
            vec![path.to_owned()]
        };
        if found.is_empty() {
            let message = format!("`{}` holds no plant", path.display());
            let empty = Diagnostic::error("no-plant", message)
                .label("expected a file such as `millstream.toml`")
                .help("give the folder of a plant; `millstream demo` shows one");
            self.out.push(at_file(path, empty));
            return None;
        }
        found.dedup();
        Some(found)
    }

    /// One TOML file into the top tables.
    fn file(&mut self, path: &Path, top: &mut Top) {
        let Some((file, text)) = self.loader.text(path, &mut self.out) else { return };
        let (entries, mistakes) = tree::parse(&file, &text);
        for (mistake, root) in mistakes {
            self.understood = false;
            self.out.push_root(mistake, root);
        }
        tree::places(&entries, "", &mut self.places);
        let root = Node { span: start_of(&file), kind: Kind::Table(entries) };
        let (registry, folder, out) = (self.registry, &self.loader.folder, &mut self.out);
        let root = root.map_texts(&mut |text| secret::resolve(text, folder, registry, out));
        let Kind::Table(entries) = root.kind else { return };
        let mut section = Section::over(&entries, &keys::PLANT, String::new(), root.span);
        let slots = [
            ("log", &mut top.log),
            ("kafka", &mut top.kafka),
            ("http", &mut top.http),
            ("sql", &mut top.sql),
        ];
        for (name, slot) in slots {
            if let Some(value) = section.take(name) {
                single(&value, slot, &mut self.out);
            }
        }
        if let Some(value) = section.take("devices") {
            for entry in value.table("devices by name", &mut self.out).unwrap_or_default() {
                if entry.key.as_str() == "from" {
                    top.imports.push(entry.clone());
                } else {
                    collect("devices", entry, &mut top.named, &mut top.devices, &mut self.out);
                }
            }
        }
        if let Some(value) = section.take("templates") {
            for entry in value.table("templates by name", &mut self.out).unwrap_or_default() {
                collect("templates", entry, &mut top.named, &mut top.templates, &mut self.out);
            }
        }
        section.finish(&mut self.out);
    }

    /// Every device that was said, from its own table or from a template.
    fn devices(&mut self, top: &Top) -> Vec<SaidDevice> {
        let mut devices = Vec::new();
        for entry in &top.devices {
            let loader = &mut self.loader;
            let mut lists = |path: &Said<_>, out: &mut Found| list::tags(path, loader, out);
            devices.extend(said::device(&under("devices", entry), None, &mut lists, &mut self.out));
        }
        for template in &top.templates {
            let key = format!("templates.{}", template.key.as_str());
            name::check(&template.key, &key, "a template", &mut self.out);
        }
        let templates: Vec<&Entry> = top.templates.iter().collect();
        let mut used = BTreeSet::new();
        for entry in &top.imports {
            let from = under("devices", entry);
            devices.extend(import::devices(&from, &templates, &mut used, &mut self.loader, &mut self.out));
        }
        for template in templates.iter().filter(|template| !used.contains(template.key.as_str())) {
            let name = template.key.as_str();
            let idle = Diagnostic::warning(
                "unused-template",
                format!("no device is made from the template `{name}`"),
            )
            .label("nothing names it")
            .help(format!(
                "add `devices.from = {{ template = \"{name}\", csv = \"{name}.csv\" }}`, or remove it"
            ));
            self.out.push(placed(idle, &template.key.span, &format!("templates.{name}")));
        }
        devices
    }

    /// What shows only when all devices are known.
    fn check_devices(&mut self, said: &[SaidDevice], built: &[Built]) {
        let mut names: BTreeMap<&str, &Built> = BTreeMap::new();
        let mut connections: BTreeMap<&str, &Built> = BTreeMap::new();
        let mut assets: BTreeMap<&str, &SaidDevice> = BTreeMap::new();
        for (device, said) in built.iter().zip(said) {
            if let Some(first) = names.insert(&device.name, device) {
                let twice =
                    Diagnostic::error("duplicate-device", format!("there are two devices `{}`", device.name))
                        .label("the second one")
                        .help("give it a name of its own")
                        .also(first.name_span.clone(), "the first one");
                self.out.push(placed(twice, &device.name_span, &said.key));
            }
            if let Some(connection) = &device.connection
                && let Some(first) = connections.insert(connection.as_str(), device)
                && let Some(other) = &first.connection
            {
                let message = format!("`{}` and `{}` have the same connection", device.name, first.name);
                let shared = Diagnostic::warning("same-connection", message)
                    .label("each opens a connection of its own, and many controllers have few")
                    .help("make them one device with several scan groups")
                    .also(other.value.place(&(0..other.as_str().len())), "the first one");
                self.out.push(connection.locate(shared));
            }
            let asset = said.asset.as_ref().map_or(said.name.as_str(), Said::as_str);
            if let Some(first) = assets.insert(asset, said)
                && (said.asset.is_some() || first.asset.is_some())
            {
                self.out.push(same_asset(said, first));
            }
        }
        if built.len() > limits::DEVICES {
            let many = Diagnostic::error("limit", format!("the plant has {} devices", built.len()))
                .label(format!("expected {} at most", limits::DEVICES))
                .help("split it into several plants");
            let last = built.last().map(|device| device.name_span.clone());
            self.out.push(Diagnostic { span: last, ..many });
        }
        let tags = tag_names(said);
        for said in said {
            simulate::check_follows(said, &tags, &mut self.out);
        }
        stream::check(built, &mut self.out);
    }
}

/// Every tag as `device/tag`.
fn tag_names(said: &[SaidDevice]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for device in said {
        let read = device.groups.iter().flat_map(|group| &group.tags).map(|tag| tag.name.as_str());
        let written = device.writes.iter().flat_map(|writes| &writes.rules).map(|rule| rule.name.as_str());
        names.extend(read.chain(written).map(|tag| format!("{}/{tag}", device.name.as_str())));
    }
    names
}

/// Two devices in one place; one of them may be there by its name alone.
fn same_asset(second: &SaidDevice, first: &SaidDevice) -> Diagnostic {
    let place = |said: &SaidDevice| match &said.asset {
        Some(asset) => asset.value.place(&(0..asset.as_str().len())),
        None => said.name.span.clone(),
    };
    let (told, other) = if second.asset.is_some() { (second, first) } else { (first, second) };
    let message = format!("`{}` and `{}` have the same asset path", told.name.as_str(), other.name.as_str());
    let shared = Diagnostic::error("duplicate-asset", message)
        .label("records of the two could not be told apart")
        .help("give each its own place in the plant")
        .also(place(other), "the other one");
    placed(shared, &place(told), &join(&told.key, "asset"))
}

/// Keeps a table that may be in one file only.
fn single(value: &Value<'_>, slot: &mut Option<Entry>, out: &mut Found) {
    let entry = Entry { key: value.name.clone(), value: value.node.clone() };
    match slot {
        Some(first) => out.push(twice(&value.key, &entry, &first.key.span)),
        None => *slot = Some(entry),
    }
}

/// Keeps a named table, unless another file has it too.
fn collect(
    path: &str,
    entry: &Entry,
    known: &mut BTreeMap<String, Span>,
    list: &mut Vec<Entry>,
    out: &mut Found,
) {
    let key = join(path, entry.key.as_str());
    if let Some(first) = known.get(&key) {
        out.push(twice(&key, entry, first));
        return;
    }
    known.insert(key, entry.key.span.clone());
    list.push(entry.clone());
}

fn twice(key: &str, second: &Entry, first: &Span) -> Diagnostic {
    let mistake = Diagnostic::error("duplicate-table", format!("`[{key}]` is in two files"))
        .label("the second one")
        .help("put its keys into one file")
        .also(first.clone(), "the first one");
    placed(mistake, &second.key.span, key)
}

/// A mistake about a file as a whole.
fn at_file(path: &Path, mut mistake: Diagnostic) -> Diagnostic {
    let file: Arc<str> = path.to_string_lossy().into();
    mistake.span = Some(start_of(&file));
    mistake
}
