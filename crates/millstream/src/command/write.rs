//! `millstream write`: through the same guard as everything else, after a question.

use super::read::scan;
use crate::cli::Write;
use crate::clock::SystemClock;
use crate::console::Console;
use crate::device::Device;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;
use millstream_driver::guard::{Guard, Now, Origin, Permit, Refusal, WriteRequest, WriteRule};
use millstream_driver::{GroupIndex, Session, TagSpec, WriteOutcome, WriteResult};
use millstream_model::{Cell, Clock, Row, Status, Value};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

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
    tag: TagSpec,
    value: Value,
    rule: WriteRule,
}

/// How one write ended.
struct Ending {
    tag: Arc<str>,
    value: Value,
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
    let tags: Vec<_> = wishes.iter().map(|wish| wish.tag.clone()).collect();
    let before = read(&mut *session, &tags, arguments).await.map_err(|error| device.failure(&error))?;
    if !arguments.yes {
        let mut table = Table::new(&["TAG", "#NOW", "#NEW"]);
        for (wish, cell) in wishes.iter().zip(&before.cells) {
            table.row([wish.tag.name.to_string(), values::shown(cell), wish.value.to_string()]);
        }
        console.note(table.render().trim_end());
        if !console.confirm(&format!("Write to {}?", device.target.connection)) {
            return Err(Failure::failed("nothing was written"));
        }
    }
    let Passed { guard, permit, allowed, refused } = pass(&wishes, &before);
    let mut endings: Vec<_> = refused.into_iter().map(refusal).collect();
    endings.extend(write(&mut *session, &guard, permit, allowed, arguments).await);
    show(&endings, &wishes, &before, &device, console)
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
            let mut rule = WriteRule::new(tag.clone(), tag_type);
            rule.min = arguments.min;
            rule.max = arguments.max;
            rule.verify = !arguments.no_verify;
            Ok(Wish { tag, value, rule })
        })
        .collect()
}

/// The values that are there now. What cannot be read may still be written; then nothing is known.
async fn read(
    session: &mut dyn Session,
    tags: &[TagSpec],
    arguments: &Write,
) -> Result<Row, millstream_driver::SessionError> {
    if session.prepare(GroupIndex(0), tags).is_err() {
        return Ok(Row::all_bad(SystemClock.now(), tags.len(), Status::BadNotReadable));
    }
    scan(session, tags.len(), arguments.connection.timeout).await
}

/// What the guard said.
struct Passed {
    guard: Guard,
    permit: Permit,
    /// The requests of the permit's writes, in their order.
    allowed: Vec<WriteRequest>,
    refused: Vec<Refusal>,
}

/// Both gates of the guard.
fn pass(wishes: &[Wish], before: &Row) -> Passed {
    let now = Now { wall: SystemClock.now(), monotonic: Instant::now() };
    let user =
        std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let id: Arc<str> = format!("command-line:{}:{}", std::process::id(), now.wall.as_millis()).into();
    let requests = wishes.iter().map(|wish| WriteRequest {
        id: id.clone(),
        origin: Origin::CommandLine { user: user.clone() },
        tag: wish.tag.name.clone(),
        value: wish.value.clone(),
        asked_at: now.wall,
        expires_at: None,
    });
    let mut guard = Guard::new(wishes.iter().map(|wish| wish.rule.clone()));
    let mut refused = Vec::new();
    let mut candidates = Vec::new();
    for screened in guard.screen(now, requests.collect()) {
        match screened {
            Ok(candidate) => candidates.push(candidate),
            Err(refusal) => refused.push(refusal),
        }
    }
    let current = |tag: &str| {
        let index = wishes.iter().position(|wish| &*wish.tag.name == tag)?;
        before.cells.get(index).and_then(Cell::value).cloned()
    };
    let checked = guard.check(now, candidates, current);
    refused.extend(checked.refused);
    Passed { guard, permit: checked.permit, allowed: checked.allowed, refused }
}

fn refusal(refusal: Refusal) -> Ending {
    let Refusal { request, code, message } = refusal;
    let reason = Some(format!("{code}: {message}"));
    Ending { tag: request.tag, value: request.value, read_back: None, result: "refused", reason }
}

async fn write(
    session: &mut dyn Session,
    guard: &Guard,
    permit: Permit,
    allowed: Vec<WriteRequest>,
    arguments: &Write,
) -> Vec<Ending> {
    if allowed.is_empty() {
        return Vec::new();
    }
    let mut outcomes: Vec<WriteOutcome> = Vec::new();
    let result = timeout(arguments.connection.timeout, session.write(permit, &mut outcomes)).await;
    let lost = match result {
        Ok(Ok(())) => "there was no answer".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {:?}", arguments.connection.timeout),
    };
    // One outcome per write, in order; those without one may or may not be in the device.
    let mut outcomes = outcomes.into_iter();
    allowed
        .into_iter()
        .map(|request| {
            let outcome = outcomes.next();
            let read_back = outcome.as_ref().and_then(|outcome| outcome.read_back.clone());
            let (result, reason) = match outcome.map(|outcome| outcome.result) {
                Some(WriteResult::Done)
                    if read_back.as_ref().is_some_and(|found| !guard.is_confirmed_by(&request, found)) =>
                {
                    ("mismatch", Some("another value was read back".to_owned()))
                }
                Some(WriteResult::Done) => ("written", None),
                Some(WriteResult::Refused(status, words)) => ("refused", Some(format!("{status}: {words}"))),
                Some(WriteResult::Unknown(words)) => ("unknown", Some(words)),
                Some(WriteResult::Expired) => {
                    ("refused", Some("it took too long; nothing was sent".to_owned()))
                }
                None => ("unknown", Some(lost.clone())),
            };
            Ending { tag: request.tag, value: request.value, read_back, result, reason }
        })
        .collect()
}

fn show(
    endings: &[Ending],
    wishes: &[Wish],
    before: &Row,
    device: &Device,
    console: Console,
) -> Result<(), Failure> {
    let mut table = Table::new(&["TAG", "#OLD", "#VALUE", "RESULT", "READ BACK", "REASON"]);
    for ending in endings {
        let index = wishes.iter().position(|wish| wish.tag.name == ending.tag);
        let old = index.and_then(|index| before.cells.get(index)).and_then(Cell::value);
        if console.json {
            console.json(&WriteObject {
                connection: device.target.connection.to_string(),
                tag: &ending.tag,
                value: values::to_json(&ending.value),
                old: old.map(values::to_json),
                read_back: ending.read_back.as_ref().map(values::to_json),
                result: ending.result,
                reason: ending.reason.clone(),
            })?;
        } else {
            let or_dash = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::to_string);
            table.row([
                ending.tag.to_string(),
                or_dash(old),
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
