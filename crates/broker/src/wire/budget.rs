//! Memory that all connections share: what requests and answers may take together.
//!
//! Who finds none left waits, and does not read meanwhile: the client feels it, not the memory.

use crate::wire::limits;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// What requests and answers may take, in all connections together.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Requests of ordinary size.
    requests: Lane,
    /// Requests over [`limits::GIANT_BYTES`]: their own, so that a few of them that come slowly hold up nobody else.
    giants: Lane,
    /// Decoded requests, besides their bytes.
    decoded: Lane,
    /// Requests whose batches are being taken apart, a unit for each.
    taken_apart: Lane,
    /// Answers that are not written yet.
    answers: Lane,
}

#[derive(Debug)]
struct Lane {
    units: Arc<Semaphore>,
    total: usize,
}

/// A part of the budget, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

/// Waits for a part of the budget.
pub(crate) type Waiting = BoxFuture<'static, Share>;

impl Share {
    /// Gives back all but so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let units = bytes.div_ceil(UNIT);
        if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(units)));
        }
    }

    /// Whether it is nothing at all.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Lane {
    fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT).max(1);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// All of the lane at most, so that what is larger than it is alone in it.
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).min(self.total)).unwrap_or(u32::MAX)
    }

    async fn take(&self, bytes: usize) -> Share {
        // It is never closed.
        Share(Arc::clone(&self.units).acquire_many_owned(self.units(bytes)).await.ok())
    }

    fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(Share(Some(permit)))
    }
}

impl Budget {
    /// Budgets of these sizes, in bytes.
    pub(crate) fn new(request_bytes: usize, answer_bytes: usize) -> Self {
        Self {
            requests: Lane::new(request_bytes / 2),
            giants: Lane::new(request_bytes / 2),
            decoded: Lane::new(request_bytes / 2),
            taken_apart: Lane::new(limits::TAKEN_APART * UNIT),
            answers: Lane::new(answer_bytes),
        }
    }

    /// Room for a request, at once where there is some.
    pub(crate) fn request(self: &Arc<Self>, bytes: usize) -> Result<Share, Waiting> {
        let budget = Arc::clone(self);
        let lane = budget.lane(bytes);
        match lane.try_take(bytes) {
            Some(share) => Ok(share),
            None => Err(Box::pin(async move { budget.lane(bytes).take(bytes).await })),
        }
    }

    fn lane(&self, bytes: usize) -> &Lane {
        if bytes > limits::GIANT_BYTES { &self.giants } else { &self.requests }
    }

    /// Room for what a request takes when it is decoded.
    pub(crate) async fn decoded(&self, bytes: usize) -> Share {
        if bytes <= limits::SMALL_BYTES { Share::default() } else { self.decoded.take(bytes).await }
    }

    /// A turn at taking batches apart.
    pub(crate) async fn turn(&self) -> Share {
        self.taken_apart.take(UNIT).await
    }

    /// Room for an answer, and how much: an eighth of what is left at most, so that clients that do not read what they asked for
    /// never take it all, and a little always.
    pub(crate) fn answer(&self, bytes: usize) -> (Share, usize) {
        let left = self.answers.units.available_permits().saturating_mul(UNIT);
        let granted = bytes.min(left / 8);
        if granted > limits::SMALL_BYTES
            && let Some(share) = self.answers.try_take(granted)
        {
            return (share, granted);
        }
        (Share::default(), bytes.min(limits::SMALL_BYTES))
    }
}

/// Goes on with waiting.
pub(crate) fn poll_share(waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<Share> {
    waiting.as_mut().poll(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_nobody_reads_leave_room_for_others() {
        let budget = Budget::new(1 << 20, 64 << 20);
        let held: Vec<_> = (0..200).map(|_| budget.answer(50 << 20)).collect();
        let total: usize = held.iter().map(|(_, bytes)| bytes).sum();
        assert!(total <= (64 << 20) + 200 * limits::SMALL_BYTES, "{total}");
        assert_eq!(held[0].1, 8 << 20, "the first gets an eighth");
        assert_eq!(held[199].1, limits::SMALL_BYTES, "the last gets a little");
        drop(held);
        let (mut share, granted) = budget.answer(1 << 20);
        assert_eq!(granted, 1 << 20);
        share.shrink(5 << 10);
        assert_eq!(budget.answers.units.available_permits(), (64 << 10) - 5);
    }

    #[tokio::test]
    async fn a_request_that_is_larger_than_the_budget_is_alone_in_it() {
        let budget = Arc::new(Budget::new(8 << 20, 1 << 20));
        let Ok(all) = budget.request(100 << 20) else { panic!("nothing else is there") };
        let Err(waiting) = budget.request(2 << 20) else { panic!("all of it is taken") };
        let small = budget.request(limits::GIANT_BYTES);
        drop(all);
        waiting.await;
        assert!(small.is_ok(), "smaller ones have a lane of their own");
    }
}
