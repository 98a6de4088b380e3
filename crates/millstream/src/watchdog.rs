//! A thread outside the runtime that ends the process when the runtime does not turn any more (F34): a supervisor such as systemd
//! starts it again, and recovery is what it always is. A process that hangs helps nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often the runtime shows that it turns, and how often the thread looks.
const BEAT: Duration = Duration::from_secs(1);
/// Looks in a row without a beat until the process is ended. Looks, not time: a machine that slept has not hung.
const MISSED_MAX: u32 = 30;

/// A watchdog that looks until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    beating: JoinHandle<()>,
    stopped: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts looking after the current runtime.
    pub(crate) fn start() -> Self {
        let beats = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let beating = tokio::spawn({
            let beats = beats.clone();
            async move {
                let mut ticks = interval(BEAT);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    beats.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let thread = thread::Builder::new().name("watchdog".to_owned()).stack_size(64 * 1024);
        let spawned = thread.spawn({
            let stopped = stopped.clone();
            move || look(&beats, &stopped, BEAT, MISSED_MAX, || std::process::abort())
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "there is no thread for the watchdog; nobody looks after the event loop");
        }
        Self { beating, stopped }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.beating.abort();
    }
}

fn look(beats: &AtomicU64, stopped: &AtomicBool, every: Duration, missed_max: u32, end: impl FnOnce()) {
    let (mut seen, mut missed) = (0, 0);
    while !stopped.load(Ordering::Relaxed) {
        thread::sleep(every);
        let now = beats.load(Ordering::Relaxed);
        missed = if now == seen { missed + 1 } else { 0 };
        seen = now;
        if missed >= missed_max {
            tracing::error!("the event loop stands still for {missed_max} s; ending the process");
            end();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_ended_and_one_that_turns_is_not() {
        let every = Duration::from_millis(1);
        let (beats, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut ended = false;
        look(&beats, &stopped, every, 3, || ended = true);
        assert!(ended, "no beat ever came");

        let (beats, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut ended = false;
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000_u32 {
                    beats.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
                stopped.store(true, Ordering::Relaxed);
            });
            look(&beats, &stopped, every, 1_000, || ended = true);
        });
        assert!(!ended);
    }
}
