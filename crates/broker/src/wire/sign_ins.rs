//! Sign-ins as an operator sees them: all are counted, refused ones are told of in the log, now and then.

use crate::seldom::Seldom;
use millstream_model::metric::Counter;
use std::net::SocketAddr;

/// Sign-ins by SASL and by TLS.
#[derive(Debug)]
pub(crate) struct SignIns {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    told: Seldom,
}

impl Default for SignIns {
    fn default() -> Self {
        Self { accepted: Counter::default(), refused: Counter::default(), told: Seldom::new() }
    }
}

impl SignIns {
    /// Somebody was not let in. `reason` names no password.
    pub(crate) fn refuse(&self, client: SocketAddr, reason: &str) {
        self.refused.increment();
        // Whoever guesses passwords must not fill the log.
        if let Some(left_out) = self.told.due() {
            tracing::warn!(%client, reason, left_out, "a Kafka client was not let in");
        }
    }
}
