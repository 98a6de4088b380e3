//! How many connections all devices have together: a process has so many file handles, and the log and the status page
//! need theirs. A device without a place is offline, says why, and tries again like any other.

use crate::SessionError;
use millstream_model::Status;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(max)), max }
    }

    /// A place for one connection, given back when it is dropped.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, SessionError> {
        self.free.clone().try_acquire_owned().map_err(|_| SessionError::Lost {
            cause: format!(
                "no connection is left: all {} that this process can have with its limit of open files are taken; \
                 raise it (`ulimit -n`, in systemd LimitNOFILE=)",
                self.max
            ),
            status: Status::BadResourceUnavailable,
        })
    }
}

impl Default for Places {
    /// No limit.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let places = Places::new(1);
        let taken = places.take();
        assert!(taken.is_ok());
        let refused = places.take().unwrap_err().to_string();
        assert!(refused.contains("all 1 that this process"), "{refused}");
        drop(taken);
        assert!(places.take().is_ok());
    }
}
