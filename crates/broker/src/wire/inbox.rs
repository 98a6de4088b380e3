//! The bytes of a connection as frames.

use crate::wire::budget::{Budget, Share, Waiting, poll_share};
use crate::wire::call::Close;
use crate::wire::limits;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// One request as it came, without its length.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// Its part of the memory for requests; small ones have none.
    pub(crate) share: Share,
}

/// What has come in and is no whole frame yet.
pub(crate) struct Inbox {
    budget: Arc<Budget>,
    buffer: BytesMut,
    /// The length of the frame that is coming in, once it is known.
    len: Option<usize>,
    /// How long the next one is likely to be: as the last one, within bounds.
    expected: usize,
    /// When its first byte came.
    since: Option<Instant>,
    share: Option<Share>,
    waiting: Option<Waiting>,
}

impl Inbox {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            buffer: BytesMut::new(),
            len: None,
            expected: 0,
            since: None,
            share: None,
            waiting: None,
        }
    }

    /// The next frame, of `len_max` bytes at most; `None` where the client has ended the connection.
    pub(crate) fn poll_frame<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        len_max: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, Close>> {
        loop {
            if let Some(frame) = self.cut(len_max)? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if ready!(self.poll_room(context)) {
                continue;
            }
            if ready!(self.poll_read(stream, context))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// When the frame that is coming in must be there.
    pub(crate) fn deadline(&self, stall: Duration) -> Option<Instant> {
        let since = self.since.filter(|_| self.waiting.is_none())?;
        let seconds = self.len.unwrap_or(0) / limits::FRAME_BYTES_PER_SECOND;
        Some(since + stall + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// A whole frame from what is there.
    fn cut(&mut self, len_max: usize) -> Result<Option<Frame>, Close> {
        if self.len.is_none() && self.buffer.len() >= 4 {
            let announced = self.buffer.get_i32();
            let len = usize::try_from(announced).ok().filter(|len| (1..=len_max).contains(len));
            self.len =
                Some(len.ok_or_else(|| Close::Malformed(format!("it says that it has {announced} bytes")))?);
        }
        let Some(len) = self.len.filter(|len| self.buffer.len() >= *len) else { return Ok(None) };
        let bytes = self.buffer.split_to(len).freeze();
        let share = self.share.take().unwrap_or_default();
        (self.len, self.since, self.waiting) = (None, None, None);
        self.expected = (len + 4).min(limits::EXPECTED_BYTES);
        if self.buffer.is_empty() && len > limits::SMALL_BYTES {
            // What is left of a large buffer is not kept for the next frame: it would hold all of it.
            self.buffer = BytesMut::new();
        } else if !self.buffer.is_empty() {
            self.since = Some(Instant::now());
        }
        Ok(Some(Frame { bytes, share }))
    }

    /// Room in the budget for a frame that is not small, once as much of it has come as a small one has. Whether there is something
    /// new.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(len) = self.len.filter(|len| *len > limits::SMALL_BYTES) else { return Poll::Ready(false) };
        if self.share.is_some() || self.buffer.len() < limits::SMALL_BYTES {
            return Poll::Ready(false);
        }
        if self.waiting.is_none() {
            match self.budget.request(len) {
                Ok(share) => self.share = Some(share),
                Err(waiting) => self.waiting = Some(waiting),
            }
        }
        if let Some(waiting) = &mut self.waiting {
            self.share = Some(ready!(poll_share(waiting, context)));
            self.waiting = None;
            // Waiting was no fault of the client.
            self.since = Some(Instant::now());
        }
        Poll::Ready(true)
    }

    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let read = if let Some(len) = self.len.filter(|len| *len > limits::SMALL_BYTES) {
            // What is announced proves nothing: room grows with what has come.
            let has_room = self.share.is_some();
            let most =
                if has_room { 4 * limits::SMALL_BYTES.max(self.buffer.len()) } else { limits::SMALL_BYTES };
            let wanted = len.saturating_sub(self.buffer.len()).min(most);
            self.buffer.reserve(wanted);
            // Nothing of the next frame, so that this one has its memory alone.
            let mut limited = (&mut self.buffer).limit(wanted);
            ready!(pin!(stream.read_buf(&mut limited)).poll(context))?
        } else {
            self.buffer.reserve(self.len.unwrap_or(self.expected).max(limits::IDLE_BYTES));
            ready!(pin!(stream.read_buf(&mut self.buffer)).poll(context))?
        };
        if read > 0 && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        Poll::Ready(Ok(read))
    }
}
