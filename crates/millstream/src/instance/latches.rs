//! Tags that were latched off after failed writes: said to whoever looks, and re-armed by whoever has mended the cause.

use millstream_connect::audit::AuditLog;
use millstream_driver::guard::{Latch, Origin};
use millstream_driver::schedule::{DeviceHandle, Scheduler};
use millstream_model::nearest;
use millstream_server::{Condition, NotRearmed, Problem};

/// One problem per latched tag of `device`.
pub(super) fn problems(device: &DeviceHandle) -> Vec<Problem> {
    device.latched().iter().map(|latch| problem(&device.name, latch)).collect()
}

fn problem(device: &str, latch: &Latch) -> Problem {
    let Latch { tag, failures, since } = latch;
    let command = format!("millstream rearm {} {}", word(device), word(tag));
    Problem {
        condition: Condition::Bad,
        who: format!("tag {tag} of device {device}"),
        what: format!("latched off: it takes no writes after {failures} failures in a row"),
        help: Some(format!("mend the cause, then let it take writes again with `{command}`")),
        since_ms: Some(since.as_millis()),
    }
}

/// Lets a latched tag take writes again, once the audit trail has it.
pub(super) async fn rearm(
    scheduler: &Scheduler,
    audit: &AuditLog,
    device: &str,
    tag: &str,
) -> Result<(), NotRearmed> {
    let handle = find(scheduler, device)?;
    let tags = handle.writable();
    if !tags.iter().any(|writable| **writable == *tag) {
        let nearest = nearest(tag, tags.iter().map(|tag| &**tag)).map(str::to_owned);
        return Err(NotRearmed::UnknownTag { nearest });
    }
    if !handle.latched().iter().any(|latch| *latch.tag == *tag) {
        return Err(NotRearmed::NotLatched);
    }
    // Only this machine is let in, and nobody signs in: this is all that is known of who it was.
    let origin = Origin::CommandLine { user: "command line".to_owned() };
    audit.rearm(&handle.name, tag, &origin).await.map_err(NotRearmed::Unrecorded)?;
    // A change of the plant folder may have replaced the device meanwhile; its latches went over to the new one.
    find(scheduler, device)?.rearm(tag);
    tracing::info!(device, tag, "takes writes again");
    Ok(())
}

fn find(scheduler: &Scheduler, device: &str) -> Result<DeviceHandle, NotRearmed> {
    scheduler.device(device).ok_or_else(|| {
        let devices = scheduler.devices();
        let nearest = nearest(device, devices.iter().map(|handle| &*handle.name)).map(str::to_owned);
        NotRearmed::UnknownDevice { nearest }
    })
}

/// A name as a shell takes it for one word.
fn word(name: &str) -> String {
    if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_model::Timestamp;

    #[test]
    fn a_latched_tag_is_bad_and_its_remedy_can_be_pasted() {
        let latch = |tag: &str| Latch { tag: tag.into(), failures: 3, since: Timestamp(7) };
        let plain = problem("press", &latch("setpoint"));
        assert_eq!((plain.condition, plain.since_ms), (Condition::Bad, Some(7)));
        assert_eq!(plain.who, "tag setpoint of device press");
        assert!(plain.help.unwrap_or_default().ends_with("`millstream rearm press setpoint`"));
        let odd = problem("press", &latch("set point's"));
        assert!(odd.help.unwrap_or_default().ends_with(r"`millstream rearm press 'set point'\''s'`"));
    }
}
