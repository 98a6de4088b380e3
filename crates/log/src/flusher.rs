//! Group commit: one thread that syncs the partitions somebody waits for.
//!
//! It starts at once when it is idle. What arrives while it syncs is one batch for the next round, whoever appended it; so
//! the slower the disk, the more appends share a sync. While rounds follow one another it gives those who waited for the last one
//! and for this one the time to come back together, as long as more of them come in the time that a sync takes: clients that send
//! the next batches when they have their answers would otherwise get a sync for each.

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

/// Whether a sync may wait for others to share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Others wait for this one to go on: a transaction, a group.
    AtOnce,
    /// Whoever asks will be back with more.
    Together,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each at most once: see [`Partition::enter_queue`].
    partitions: Vec<Arc<Partition>>,
    /// Those who wait together.
    waiters: usize,
    /// Somebody waits for a sync at once.
    hurry: bool,
    /// How many waiters the thread wants to be woken for.
    wanted: usize,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Flusher {
    pub(crate) fn new(interval: Duration) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), wake: Condvar::new(), interval })
    }

    /// Has a partition synced soon. The thread is started with the first request.
    pub(crate) fn request(self: &Arc<Self>, partition: &Arc<Partition>, haste: Haste) {
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
        match haste {
            Haste::AtOnce => queue.hurry = true,
            Haste::Together => queue.waiters += 1,
        }
        if partition.enter_queue() {
            queue.partitions.push(Arc::clone(partition));
        }
        if queue.hurry || queue.waiters >= queue.wanted {
            self.wake.notify_one();
        }
    }

    /// Finishes what was requested and ends the thread.
    pub(crate) fn stop(&self) {
        let thread = {
            let mut queue = self.queue.lock();
            queue.stopped = true;
            self.wake.notify_all();
            queue.thread.take()
        };
        if let Some(thread) = thread {
            // A panic in the thread has been reported by the thread.
            let _ = thread.join();
        }
    }

    fn run(&self) {
        let mut last = Round::default();
        while let Some((partitions, waiters)) = self.next_round(&last) {
            let began = Instant::now();
            sync_all(&partitions);
            let ended = Instant::now();
            last = Round { ended: Some(ended), took: ended - began, waiters };
        }
    }

    /// Waits for work; `None` when there will be no more.
    fn next_round(&self, last: &Round) -> Option<(Vec<Arc<Partition>>, usize)> {
        let mut queue = self.queue.lock();
        let expected = last.waiters + queue.waiters;
        queue.wanted = 1;
        while queue.partitions.is_empty() {
            if queue.stopped {
                return None;
            }
            self.wake.wait(&mut queue);
        }
        let now = Instant::now();
        if last.ended.is_some_and(|ended| now - ended < limits::FLUSH_PAUSE) {
            let longest = self.interval.max(limits::FLUSH_GATHER_MIN);
            let step = last.took.clamp(limits::FLUSH_GATHER_MIN, longest);
            queue.wanted = expected;
            let gathers = |queue: &Queue| queue.waiters < expected && !queue.stopped && !queue.hurry;
            while gathers(&queue) {
                let waiters = queue.waiters;
                let until = (Instant::now() + step).min(now + longest);
                while gathers(&queue) {
                    if self.wake.wait_until(&mut queue, until).timed_out() {
                        break;
                    }
                }
                if queue.waiters == waiters || until == now + longest {
                    break;
                }
            }
        }
        queue.wanted = usize::MAX;
        queue.hurry = false;
        let waiters = std::mem::take(&mut queue.waiters);
        Some((std::mem::take(&mut queue.partitions), waiters))
    }
}

/// How a round of syncs went.
#[derive(Debug, Default)]
struct Round {
    ended: Option<Instant>,
    took: Duration,
    /// How many waited for it.
    waiters: usize,
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
