//! Sign-ins as an operator sees them: all are counted, refused ones are told of in the log, now and then.

use crate::wire::limits;
use millstream_model::metric::Counter;
use parking_lot::Mutex;
use std::net::SocketAddr;
use tokio::time::Instant;

/// Sign-ins by SASL and by TLS.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    /// Refused since then.
    untold: u64,
}

impl SignIns {
    /// Somebody was not let in. `reason` names no password.
    pub(crate) fn refuse(&self, client: SocketAddr, reason: &str) {
        self.refused.increment();
        // Whoever guesses passwords must not fill the log.
        if let Some(refused) = self.due(Instant::now()) {
            tracing::warn!(%client, reason, refused, "a Kafka client was not let in");
        } else {
            tracing::debug!(%client, reason, "a Kafka client was not let in");
        }
    }

    /// Counts one, and gives how many are to be told of, where that is due.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut told = self.told.lock();
        told.untold += 1;
        if told.at.is_some_and(|at| now < at + limits::REFUSED_SIGN_INS_TOLD) {
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn many_refusals_are_one_line_a_minute_that_tells_how_many() {
        let (sign_ins, now) = (SignIns::default(), Instant::now());
        assert_eq!(sign_ins.due(now), Some(1), "the first one at once");
        for second in 1..60 {
            assert_eq!(sign_ins.due(now + Duration::from_secs(second)), None);
        }
        assert_eq!(sign_ins.due(now + Duration::from_mins(1)), Some(60));
    }
}
