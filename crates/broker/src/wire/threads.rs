//! The threads that serve clients: their own, so that however much clients want, nobody else in the process waits for a turn.
//!
//! A connection stays on the thread that it was given to, and whatever its requests begin stays there too: a request wakes no
//! other thread but the one that syncs. A new connection goes to the thread that has the fewest.

use crate::wire::limits;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// Threads of their own, or those of the runtime that it was made in.
#[derive(Debug)]
pub(crate) struct Threads {
    seats: Seats,
    /// Each ends its thread when it is dropped.
    running: Vec<oneshot::Sender<()>>,
}

/// Where connections are served.
#[derive(Debug, Clone)]
pub(crate) struct Seats(Arc<[Row]>);

#[derive(Debug)]
struct Row {
    handle: Handle,
    taken: AtomicUsize,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    row: usize,
}

impl Threads {
    /// So many of their own; with none those of the caller.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let mut running = Vec::with_capacity(count);
        let handles = (0..count).map(|_| {
            let (end, ended) = oneshot::channel();
            running.push(end);
            start_one(limits::BLOCKING_THREADS.div_ceil(count), ended)
        });
        let mut handles = handles.collect::<io::Result<Vec<_>>>()?;
        if handles.is_empty() {
            handles.push(Handle::current());
        }
        let rows = handles.into_iter().map(|handle| Row { handle, taken: AtomicUsize::new(0) });
        Ok(Self { seats: Seats(rows.collect()), running })
    }

    /// Where tasks are started that are no connections.
    pub(crate) fn handle(&self) -> Handle {
        self.seats.0[0].handle.clone()
    }

    /// Where connections are served.
    pub(crate) fn seats(&self) -> Seats {
        self.seats.clone()
    }

    /// Waits for what requests have begun and left to itself, such as a commit whose client has gone.
    pub(crate) async fn idle(&self, deadline: Instant) {
        let is_busy = || self.seats.0.iter().any(|row| row.handle.metrics().num_alive_tasks() > 0);
        while !self.running.is_empty() && is_busy() && Instant::now() < deadline {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Starts a thread that runs tasks until it is told to end.
fn start_one(blocking_threads: usize, ended: oneshot::Receiver<()>) -> io::Result<Handle> {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(blocking_threads).thread_name("kafka");
    let runtime = builder.enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("kafka".to_owned()).spawn(move || {
        // An error says that it shall end, too.
        let _ = runtime.block_on(ended);
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

impl Seats {
    /// A place where the fewest are.
    pub(crate) fn take(&self) -> Seat {
        let taken = self.0.iter().map(|row| row.taken.load(Ordering::Relaxed));
        let row = taken.enumerate().min_by_key(|(_, taken)| *taken).map_or(0, |(row, _)| row);
        self.0[row].taken.fetch_add(1, Ordering::Relaxed);
        Seat { seats: self.clone(), row }
    }
}

impl Seat {
    /// Where its connection is served.
    pub(crate) fn handle(&self) -> Handle {
        self.seats.0[self.row].handle.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0[self.row].taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_where_the_fewest_are() {
        let threads = Threads::start(2).unwrap();
        let seats = threads.seats();
        let (first, second, third) = (seats.take(), seats.take(), seats.take());
        assert_eq!([first.row, second.row, third.row], [0, 1, 0]);
        drop((first, third));
        assert_eq!(seats.take().row, 0);
        assert_ne!(seats.0[0].handle.id(), seats.0[1].handle.id());
    }

    #[tokio::test]
    async fn without_threads_those_of_the_caller_do_it() {
        let threads = Threads::start(0).unwrap();
        assert_eq!(threads.handle().id(), Handle::current().id());
        threads.idle(Instant::now() + Duration::from_mins(1)).await;
    }
}
