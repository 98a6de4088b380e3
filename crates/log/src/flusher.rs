//! Group commit: one thread that syncs the partitions somebody waits for.
//!
//! It starts at once when it is idle. What arrives while it syncs is one batch for the next round, whoever appended it; so
//! the slower the disk, the more appends share a sync. Only where more than [`limits::FLUSH_HEAVY`] waiters came up during
//! one round does it hold the next one back, to [`crate::LogConfig::flush_interval`] after the start of the one before.

use crate::{Partition, limits};
use parking_lot::{Condvar, Mutex};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    wake: Condvar,
    interval: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each at most once: see [`Partition::enter_queue`].
    partitions: Vec<Arc<Partition>>,
    waiters: usize,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Flusher {
    pub(crate) fn new(interval: Duration) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), wake: Condvar::new(), interval })
    }

    /// Has a partition synced soon. The thread is started with the first request.
    pub(crate) fn request(self: &Arc<Self>, partition: &Arc<Partition>) {
        let mut queue = self.queue.lock();
        if queue.thread.is_none() && !queue.stopped {
            let flusher = Arc::clone(self);
            let thread = thread::Builder::new().name("log-flush".to_owned());
            queue.thread = thread.spawn(move || flusher.run()).ok();
        }
        if queue.thread.is_none() {
            // No thread to be had (or the log is closing): the caller does the work itself. The outcome is published.
            drop(queue);
            let _ = partition.sync();
            return;
        }
        queue.waiters += 1;
        if partition.enter_queue() {
            queue.partitions.push(Arc::clone(partition));
        }
        self.wake.notify_one();
    }

    /// Finishes what was requested and ends the thread.
    pub(crate) fn stop(&self) {
        let thread = {
            let mut queue = self.queue.lock();
            queue.stopped = true;
            self.wake.notify_one();
            queue.thread.take()
        };
        if let Some(thread) = thread {
            // A panic in the thread has been reported by the thread.
            let _ = thread.join();
        }
    }

    fn run(&self) {
        let mut round_began = None;
        while let Some(partitions) = self.next_round(round_began) {
            round_began = Some(Instant::now());
            sync_all(&partitions);
        }
    }

    /// Waits for work; `None` when there will be no more.
    fn next_round(&self, last_began: Option<Instant>) -> Option<Vec<Arc<Partition>>> {
        let mut queue = self.queue.lock();
        if let (Some(began), true) = (last_began, queue.waiters > limits::FLUSH_HEAVY) {
            let until = began + self.interval;
            while !queue.stopped && !self.wake.wait_until(&mut queue, until).timed_out() {}
        }
        while queue.partitions.is_empty() {
            if queue.stopped {
                return None;
            }
            self.wake.wait(&mut queue);
        }
        queue.waiters = 0;
        Some(std::mem::take(&mut queue.partitions))
    }
}

/// Syncs partitions side by side: file systems put what several threads sync at a time into one commit of their journal.
fn sync_all(partitions: &[Arc<Partition>]) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
            partition.leave_queue();
            match std::panic::catch_unwind(AssertUnwindSafe(|| partition.sync())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let (topic, number) = (partition.topic(), partition.number());
                    tracing::error!(topic, partition = number, %error, "sync failed");
                }
                // Nobody may wait for ever for what a defect has stopped.
                Err(_) => partition.fence_after_panic(),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..partitions.len().min(limits::FLUSH_THREADS) {
            let helper = thread::Builder::new().name("log-flush-helper".to_owned());
            // Without the helper it only takes longer.
            let _ = helper.spawn_scoped(scope, work);
        }
        work();
    });
}
