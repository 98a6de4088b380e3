//! The threads that serve clients: their own, so that however much clients want, nobody else in the process waits for a turn.

use crate::wire::limits;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, sleep};

/// Threads of their own, or those of the runtime that it was made in.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// So many of their own; with none those of the caller.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        if count == 0 {
            return Ok(Self(None));
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(count).max_blocking_threads(limits::BLOCKING_THREADS);
        Ok(Self(Some(builder.thread_name("kafka").enable_all().build()?)))
    }

    /// Where tasks are started.
    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Waits for what requests have begun and left to itself, such as a commit whose client has gone.
    pub(crate) async fn idle(&self, deadline: Instant) {
        let Some(runtime) = &self.0 else { return };
        while runtime.metrics().num_alive_tasks() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may be dropped inside another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}
