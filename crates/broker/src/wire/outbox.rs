//! Answers on their way to the client: as many as are ready in one write.

use crate::wire::budget::Share;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Answers that are not written yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: Frames,
    /// Since when nothing of them could be written.
    stalled_since: Option<Instant>,
    is_unflushed: bool,
}

#[derive(Debug, Default)]
struct Frames {
    queue: VecDeque<(Bytes, Share)>,
    bytes: usize,
}

impl Outbox {
    /// Adds an answer; an empty one is none.
    pub(crate) fn push(&mut self, frame: Bytes, share: Share) {
        if !frame.is_empty() {
            self.frames.bytes += frame.len();
            self.frames.queue.push_back((frame, share));
        }
    }

    /// Bytes that are not written yet.
    pub(crate) fn len_bytes(&self) -> usize {
        self.frames.bytes
    }

    /// Since when the client has taken nothing of what waits for it.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Writes all there is; gives how much was written before it would block.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.frames.has_remaining() {
            let Poll::Ready(written) = pin!(stream.write_buf(&mut self.frames)).poll(context)? else {
                self.stalled_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            (self.stalled_since, self.is_unflushed) = (None, true);
        }
        if self.is_unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Buf for Frames {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |(frame, _)| frame)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.queue);
        filled.map(|(slice, (frame, _))| *slice = IoSlice::new(frame)).count()
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some((frame, _)) = self.queue.front_mut() {
            if frame.len() > written {
                frame.advance(written);
                return;
            }
            written -= frame.len();
            self.queue.pop_front();
        }
    }
}
