//! Waiting for more to read.

use super::read::{Budget, Found, Part};
use bytes::Bytes;
use futures_util::future::{FutureExt, select_all};
use millstream_bus::Isolation;
use tokio::time::{Instant, timeout_at};

/// Resolves when so much has been appended that another read is likely to be enough: true; or when the time is up: false.
pub(super) async fn until_more(parts: &mut [Part], found: &Found, budget: Budget, deadline: Instant) -> bool {
    let waiting = async {
        loop {
            any_changed(parts).await;
            if is_worth_reading(parts, found, budget) {
                return;
            }
        }
    };
    timeout_at(deadline, waiting).await.is_ok()
}

/// Resolves when one of the partitions has changed.
async fn any_changed(parts: &mut [Part]) {
    let mut sources = parts.iter_mut().filter_map(Part::source);
    match (sources.next(), sources.next()) {
        (None, _) => std::future::pending().await,
        (Some(one), None) => drop(one.more().changed().await),
        (Some(one), Some(other)) => {
            let all = [one, other].into_iter().chain(sources);
            drop(select_all(all.map(|source| source.more().changed().boxed())).await);
        }
    }
}

/// Whether another read is likely to find enough: by what the last one found, and what was appended since.
fn is_worth_reading(parts: &mut [Part], found: &Found, budget: Budget) -> bool {
    if budget.isolation == Isolation::ReadCommitted {
        // What has become stable may have been appended long ago.
        return true;
    }
    let mut bytes: usize = 0;
    for (part, data) in parts.iter_mut().zip(&found.data) {
        let max_bytes = usize::try_from(part.wanted.max_bytes).unwrap_or(0).max(1);
        let before = data.records.as_ref().map_or(0, Bytes::len);
        let Some(source) = part.source() else { continue };
        if source.has_ended() {
            return true;
        }
        bytes = bytes.saturating_add(before.saturating_add(source.bytes_since()).min(max_bytes));
    }
    bytes >= budget.min_bytes
}
