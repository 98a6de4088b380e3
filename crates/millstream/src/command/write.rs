//! `millstream write`: through the same guard as everything else, after a question.

use super::read::scan;
use crate::cli::Write;
use crate::clock::SystemClock;
use crate::console::Console;
use crate::device::Device;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;
use async_trait::async_trait;
use millstream_driver::guard::{Origin, WriteRequest, WriteRule};
use millstream_driver::schedule::{AuditTrail, Verdict, WriteReport, write_once};
use millstream_driver::{GroupIndex, Session, SessionError};
use millstream_model::{Clock, Row, Status, Value};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// One write with `--json`.
#[derive(Debug, Serialize)]
struct WriteObject<'a> {
    connection: String,
    tag: &'a str,
    value: Box<RawValue>,
    old: Option<Box<RawValue>>,
    read_back: Option<Box<RawValue>>,
    result: &'a str,
    reason: Option<String>,
}

/// What was asked for one tag.
struct Wish {
    value: Value,
    rule: WriteRule,
}

/// How one write ended.
struct Ending {
    tag: Arc<str>,
    value: Value,
    old: Option<Value>,
    read_back: Option<Value>,
    result: &'static str,
    reason: Option<String>,
}

pub(crate) async fn run(arguments: &Write, console: Console) -> Result<(), Failure> {
    let device = Device::parse(&arguments.connection.text, console)?;
    let wishes = wishes(arguments, &device, console)?;
    if !arguments.yes && !console.can_ask() {
        return Err(Failure::mistake("nobody can be asked here", "add --yes to write without a question"));
    }
    let mut session = device.connect(&arguments.connection).await.map_err(|error| device.failure(&error))?;
    if !arguments.yes {
        let answer = confirm(&mut *session, &wishes, arguments, &device, console).await;
        if !answer.map_err(|error| device.failure(&error))? {
            return Err(Failure::failed("nothing was written"));
        }
    }
    let requests = requests(&wishes);
    let rules = wishes.into_iter().map(|wish| wish.rule).collect();
    let (name, limit) = (device.target.connection.to_string().into(), arguments.connection.timeout);
    let reports = write_once(&mut *session, &name, rules, requests, &NoTrail, &SystemClock, limit).await;
    let endings: Vec<_> = reports.into_iter().map(Ending::of).collect();
    show(&endings, &device, console)
}

/// Takes `ADDRESS=VALUE` apart; all mistakes are shown.
fn wishes(arguments: &Write, device: &Device, console: Console) -> Result<Vec<Wish>, Failure> {
    let mut pairs = Vec::new();
    for text in &arguments.writes {
        let pair = text.rsplit_once('=').filter(|(address, _)| !address.is_empty());
        let (address, value) = pair.ok_or_else(|| {
            let help =
                format!("give ADDRESS=VALUE, for example {}=42", device.driver.about().example_address);
            Failure::mistake(format!("`{text}` has no value"), help)
        })?;
        pairs.push((address.to_owned(), value));
    }
    let addresses: Vec<_> = pairs.iter().map(|(address, _)| address.clone()).collect();
    let (tags, plan) = device.tags(&addresses, console)?;
    device.writable(&addresses, console)?;
    tags.into_iter()
        .zip(plan.types)
        .zip(pairs)
        .map(|((tag, tag_type), (address, text))| {
            let value = values::parse(text, tag_type).map_err(|expected| {
                Failure::mistake(format!("`{text}` does not fit `{address}`"), format!("give {expected}"))
            })?;
            let mut rule = WriteRule::new(tag, tag_type);
            rule.min = arguments.min;
            rule.max = arguments.max;
            rule.verify = !arguments.no_verify;
            Ok(Wish { value, rule })
        })
        .collect()
}

/// Shows what is there and what would be, and asks.
async fn confirm(
    session: &mut dyn Session,
    wishes: &[Wish],
    arguments: &Write,
    device: &Device,
    console: Console,
) -> Result<bool, SessionError> {
    let tags: Vec<_> = wishes.iter().map(|wish| wish.rule.tag.clone()).collect();
    // What cannot be read may still be written; then nothing is known.
    let before = match session.prepare(GroupIndex(0), &tags) {
        Ok(_) => scan(session, tags.len(), arguments.connection.timeout).await?,
        Err(_) => Row::all_bad(SystemClock.now(), tags.len(), Status::BadNotReadable),
    };
    let mut table = Table::new(&["TAG", "#NOW", "#NEW"]);
    for (wish, cell) in wishes.iter().zip(&before.cells) {
        table.row([wish.rule.tag.name.to_string(), values::shown(cell), wish.value.to_string()]);
    }
    console.note(table.render().trim_end());
    Ok(console.confirm(&format!("Write to {}?", device.target.connection)))
}

fn requests(wishes: &[Wish]) -> Vec<WriteRequest> {
    let asked_at = SystemClock.now();
    let user =
        std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let id: Arc<str> = format!("command-line:{}:{}", std::process::id(), asked_at.as_millis()).into();
    let request = |wish: &Wish| WriteRequest {
        id: id.clone(),
        origin: Origin::CommandLine { user: user.clone() },
        tag: wish.rule.tag.name.clone(),
        value: wish.value.clone(),
        asked_at,
        expires_at: None,
    };
    wishes.iter().map(request).collect()
}

/// There is no log beside a bare device: whoever asks sees what became of it.
struct NoTrail;

#[async_trait]
impl AuditTrail for NoTrail {
    async fn intend(&self, _device: &Arc<str>, _writes: &[WriteRequest]) -> Result<(), String> {
        Ok(())
    }

    async fn settle(&self, _device: &Arc<str>, _reports: &[WriteReport]) {}
}

impl Ending {
    fn of(report: WriteReport) -> Self {
        let WriteReport { request, verdict, old, .. } = report;
        let (result, read_back, reason) = match verdict {
            Verdict::Written { verified } => ("written", verified.then(|| request.value.clone()), None),
            Verdict::Mismatch { found } => {
                ("mismatch", Some(found), Some("another value was read back".to_owned()))
            }
            Verdict::Refused { code, message } => ("refused", None, Some(format!("{code}: {message}"))),
            Verdict::Failed { message } => ("refused", None, Some(message)),
            Verdict::Unknown { message } => ("unknown", None, Some(message)),
        };
        Self { tag: request.tag, value: request.value, old, read_back, result, reason }
    }
}

fn show(endings: &[Ending], device: &Device, console: Console) -> Result<(), Failure> {
    let mut table = Table::new(&["TAG", "#OLD", "#VALUE", "RESULT", "READ BACK", "REASON"]);
    for ending in endings {
        if console.json {
            console.json(&WriteObject {
                connection: device.target.connection.to_string(),
                tag: &ending.tag,
                value: values::to_json(&ending.value),
                old: ending.old.as_ref().map(values::to_json),
                read_back: ending.read_back.as_ref().map(values::to_json),
                result: ending.result,
                reason: ending.reason.clone(),
            })?;
        } else {
            let or_dash = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::to_string);
            table.row([
                ending.tag.to_string(),
                or_dash(ending.old.as_ref()),
                ending.value.to_string(),
                ending.result.to_owned(),
                or_dash(ending.read_back.as_ref()),
                ending.reason.clone().unwrap_or_default(),
            ]);
        }
    }
    if !console.json {
        console.text(&table.render())?;
    }
    if endings.iter().all(|ending| ending.result == "written") { Ok(()) } else { Err(Failure::Said(1)) }
}
