//! The live view as lines of text. Pure: a scene and a width in, lines out. Fits 80 columns and 24 rows.

use super::events::Write;
use super::scene::Scene;
use super::sparkline::sparkline;
use millstream_model::Timestamp;
use millstream_server::{Condition, DeviceStatus, Listener, Report, TagFacts};
use std::fmt::Write as _;
use std::time::Duration;

/// Guarded writes that are shown.
const WRITES: usize = 3;
/// Columns before a tag's little bars.
const BARS_AT: usize = 36;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Green is for what is fresh and good, and for nothing else.
    fn condition(self, condition: Condition, text: &str) -> String {
        let code = match condition {
            Condition::Good => "32",
            Condition::Waiting => "2",
            Condition::Warning => "33",
            Condition::Bad => "1;31",
        };
        self.with(code, text)
    }
}

/// The scene in lines of at most `columns` visible characters.
pub(super) fn draw(scene: &Scene, columns: usize, colors: bool) -> Vec<String> {
    let paint = Paint(colors);
    let columns = columns.clamp(40, 160);
    let title = "Millstream demo: a press, its cooling, and the loop between them";
    let mut lines = vec![
        sides(&paint.bold(title), title, &clock(scene.elapsed), columns),
        paint.dim(&"─".repeat(columns)),
    ];
    let Some(report) = &scene.report else { return lines };
    for device in &report.devices {
        self::device(scene, device, columns, paint, &mut lines);
    }
    lines.push(alarm(scene, report.instance.now_ms, paint));
    writes(scene, report, columns, paint, &mut lines);
    lines.push(String::new());
    footer(report, columns, paint, &mut lines);
    lines
}

fn device(scene: &Scene, device: &DeviceStatus, columns: usize, paint: Paint, lines: &mut Vec<String>) {
    let facts = &device.facts;
    let age = device.age_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms old"));
    let rate = device.scans_per_second.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0} scans/s"));
    let words = cut(&device.words, columns.saturating_sub(45));
    let plain = format!("{:<8}{words}", facts.name);
    let left =
        format!("{}{}", paint.bold(&format!("{:<8}", facts.name)), paint.condition(device.condition, &words));
    lines.push(sides(&left, &plain, &format!("{rate}, {age}"), columns));
    for tag in facts.groups.iter().flat_map(|group| &group.tags) {
        let value = shown(tag);
        let unit = tag.unit.as_deref().unwrap_or_default();
        let bars = sparkline(scene.history(&facts.name, &tag.name), columns.saturating_sub(BARS_AT).min(60));
        let value = format!("{value:>10}");
        // A value is only as fresh as its device.
        let value = if device.condition == Condition::Bad || tag.status.is_some() {
            paint.dim(&value)
        } else {
            value
        };
        lines.push(format!("  {:<16}{value} {unit:<6} {}", cut(&tag.name, 15), paint.with("36", &bars)));
    }
}

fn shown(tag: &TagFacts) -> String {
    match (&tag.status, tag.value.as_f64()) {
        (Some(status), _) => status.clone(),
        (None, Some(value)) if tag.value.is_f64() => format!("{value:.1}"),
        (None, _) => tag.value.to_string(),
    }
}

fn alarm(scene: &Scene, now_ms: i64, paint: Paint) -> String {
    let average =
        scene.average.map_or_else(String::new, |average| format!("   average of 5 s: {average:.1} °C"));
    match scene.alarm {
        None => paint.dim("alarm   the query has not said anything yet"),
        Some(alarm) => {
            let seconds = now_ms.saturating_sub(alarm.since_ms).max(0) / 1000;
            let (condition, word) =
                if alarm.hot { (Condition::Bad, "HOT ") } else { (Condition::Good, "cool") };
            format!("{}{} for {seconds} s{average}", paint.bold("alarm   "), paint.condition(condition, word))
        }
    }
}

fn writes(scene: &Scene, report: &Report, columns: usize, paint: Paint, lines: &mut Vec<String>) {
    let count = |total: fn(&DeviceStatus) -> u64| report.devices.iter().map(total).sum::<u64>();
    let (done, refused) = (count(|d| d.facts.writes_total), count(|d| d.facts.writes_refused_total));
    lines.push(format!("{}{done} done, {refused} refused; the newest:", paint.bold("guarded writes  ")));
    for write in scene.writes.iter().take(WRITES) {
        let time = Timestamp(write.at_ms).to_string();
        let time = time.get(11..19).unwrap_or_default();
        let line = format!("  {time} UTC  {}  {}  {}", write.target, change(write), write.words);
        lines.push(cut(&line, columns));
    }
    for _ in scene.writes.len()..WRITES {
        lines.push(String::new());
    }
}

fn footer(report: &Report, columns: usize, paint: Paint, lines: &mut Vec<String>) {
    let rates: Vec<_> = report.topics.iter().filter_map(|topic| topic.records_per_second).collect();
    let rate = if rates.is_empty() { "–".to_owned() } else { format!("{:.0}", rates.iter().sum::<f64>()) };
    let lag: u64 = report.queries.iter().filter_map(|query| query.facts.lag_records).sum();
    let line = format!(
        "{rate} records/s, {} topics, {} queries, lag {lag}; log {}",
        report.topics.len(),
        report.queries.len(),
        report.instance.log
    );
    lines.push(cut(&line, columns));
    lines.push(cut(&listeners(&report.instance.listeners), columns));
    match report.health.problems.first() {
        Some(problem) => {
            let text = cut(&format!("{}: {}", problem.who, problem.what), columns);
            lines.push(paint.condition(problem.condition, &text));
        }
        None => lines
            .push(paint.dim(&cut("try: millstream topic tail press.thermal      Ctrl-C ends it", columns))),
    }
}

/// Where everything listens: `http://127.0.0.1:8080   Modbus press 127.0.0.1:40123, cooler 127.0.0.1:40124`. A URL says by itself
/// what answers there, and a protocol is named once.
fn listeners(listeners: &[Listener]) -> String {
    let mut text = String::new();
    let mut before = "";
    for Listener { what, address } in listeners {
        let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
        let gap = if text.is_empty() { "" } else { "   " };
        let _ = if address.starts_with("http") {
            write!(text, "{gap}{address}")
        } else if kind == before {
            write!(text, ", {name} {address}")
        } else {
            write!(text, "{gap}{what} {address}")
        };
        before = kind;
    }
    text
}

/// `25.0 → 80.2`.
pub(super) fn change(write: &Write) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.1}"));
    format!("{} → {}", number(write.old), number(write.value))
}

/// Minutes and seconds.
pub(super) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// What is said at the end.
pub(super) fn farewell(scene: &Scene) -> String {
    let times = match scene.rounds {
        0 => return format!("The loop has not closed yet, after {}.", clock(scene.elapsed)),
        1 => "once".to_owned(),
        rounds => format!("{rounds} times"),
    };
    format!("The loop closed {times} in {}.", clock(scene.elapsed))
}

/// Text on the left and on the right. `plain` is `left` without colours.
fn sides(left: &str, plain: &str, right: &str, columns: usize) -> String {
    let room = columns.saturating_sub(plain.chars().count() + right.chars().count()).max(1);
    format!("{left}{}{right}", " ".repeat(room))
}

/// At most `columns` characters.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
