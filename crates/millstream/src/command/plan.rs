//! `millstream plan`: what a plant asks of its devices.

use crate::cli::Plan;
use crate::console::Console;
use crate::failure::Failure;
use crate::plant;
use crate::table::Table;
use millstream_driver::PlanSummary;
use millstream_driver::schedule::GroupConfig;
use millstream_model::{format_duration, nearest};
use millstream_plant::Device;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// One scan group with `--json`.
#[derive(Debug, Serialize)]
struct PlanObject<'a> {
    device: &'a str,
    group: &'a str,
    tags: usize,
    requests: usize,
    request_bytes: usize,
    response_bytes: usize,
    interval_ms: u128,
    estimated_scan_ms: f64,
    requests_per_second: f64,
}

pub(crate) fn run(arguments: &Plan, console: Console) -> Result<(), Failure> {
    let read = plant::read(&arguments.plant.path, console)?;
    let devices: Vec<_> = match &arguments.device {
        None => read.devices.iter().collect(),
        Some(name) => vec![find(&read.devices, name)?],
    };
    let mut table = Table::new(&[
        "DEVICE",
        "GROUP",
        "#TAGS",
        "#INTERVAL",
        "#REQUESTS",
        "#BYTES OUT",
        "#BYTES IN",
        "#SCAN TIME",
        "#REQUESTS/S",
    ]);
    let mut requests = String::new();
    for device in devices {
        for group in &device.config.groups {
            let plan = summary(device, group)?;
            let object = object(device, group, &plan, arguments.round_trip);
            if console.json {
                console.json(&object)?;
                continue;
            }
            table.row([
                object.device.to_owned(),
                object.group.to_owned(),
                object.tags.to_string(),
                format_duration(group.interval),
                object.requests.to_string(),
                object.request_bytes.to_string(),
                object.response_bytes.to_string(),
                format!("{:.0} ms", object.estimated_scan_ms),
                format!("{:.1}", object.requests_per_second),
            ]);
            if arguments.requests {
                let _ = writeln!(requests, "\n{} {}", object.device, object.group);
                for (index, request) in plan.requests.iter().enumerate() {
                    let tags = request.tags.len();
                    let word = if tags == 1 { "tag" } else { "tags" };
                    let _ = writeln!(requests, "  {:>3}. {} ({tags} {word})", index + 1, request.text);
                }
            }
        }
    }
    if console.json {
        return Ok(());
    }
    console.text(&table.render())?;
    console.text(&requests)?;
    console.note(format_args!(
        "Scan times are estimated with a round trip of {}; a device may grant less than assumed here.",
        format_duration(arguments.round_trip)
    ));
    Ok(())
}

fn find<'a>(devices: &'a [Device], name: &str) -> Result<&'a Device, Failure> {
    devices.iter().find(|device| &*device.config.name == name).ok_or_else(|| {
        let names = devices.iter().map(|device| &*device.config.name);
        let help = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        Failure::mistake(format!("there is no device `{name}`"), help)
    })
}

/// The plant is right, so its plans can be made; a driver that disagrees with itself is a failure.
fn summary(device: &Device, group: &GroupConfig) -> Result<PlanSummary, Failure> {
    device.config.driver.plan(&device.config.target, &group.tags).map_err(|problems| {
        let what = problems.first().map_or_else(String::new, |problem| problem.diagnostic.message.clone());
        Failure::failed(format!("{} {} cannot be planned: {what}", device.config.name, group.name))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a handful of requests")]
fn object<'a>(
    device: &'a Device,
    group: &'a GroupConfig,
    plan: &PlanSummary,
    round_trip: Duration,
) -> PlanObject<'a> {
    let requests = plan.requests.len();
    // What is sent before an answer comes shares a round trip.
    let rounds = requests.div_ceil(device.config.governor.in_flight_max.max(1));
    PlanObject {
        device: &device.config.name,
        group: &group.name,
        tags: group.tags.len(),
        requests,
        request_bytes: plan.request_bytes(),
        response_bytes: plan.response_bytes(),
        interval_ms: group.interval.as_millis(),
        estimated_scan_ms: round_trip.as_secs_f64() * 1e3 * rounds as f64,
        requests_per_second: requests as f64 / group.interval.as_secs_f64(),
    }
}
