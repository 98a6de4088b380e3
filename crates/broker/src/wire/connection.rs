//! One connection: frames in, answers out in the order of the requests.
//!
//! One task does it all, so that a request costs no wake-up but its own: it takes frames, begins one request at a time, awaits
//! the second halves of those before it beside that, and writes all answers that are ready at once. It always reads ahead
//! by one frame, and so sees a client that goes while its request is at work.

use crate::wire::call::{Broker, Call, Close, Peer, Reply};
use crate::wire::inbox::{Frame, Inbox};
use crate::wire::limits;
use crate::wire::outbox::Outbox;
use crate::wire::request::{self, Current};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use kafka_protocol::messages::{FetchRequest, JoinGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

/// Serves a connection until the client goes, breaks the protocol or runs out of time, or the broker closes.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    stream: S,
) -> Result<(), Close> {
    let mut closing = broker.closing.subscribe();
    let mut connection = Connection::new(broker, peer, stream);
    let mut closing = std::pin::pin!(async move {
        // An error would be a broker that is gone already.
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    });
    let mut is_closing = false;
    poll_fn(|context| {
        if !is_closing && closing.as_mut().poll(context).is_ready() {
            is_closing = true;
        }
        connection.poll(is_closing, context)
    })
    .await
}

type Answer = BoxFuture<'static, Answered>;

/// An answer that was awaited beside others.
struct Answered {
    frame: Result<Bytes, Close>,
    call: Option<Arc<Call>>,
    /// One that may take as long as the client likes.
    is_long_poll: bool,
}

struct Connection<S> {
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    stream: S,
    inbox: Inbox,
    /// The frame that was read ahead.
    next: Option<Frame>,
    current: Option<Current>,
    answers: FuturesOrdered<Answer>,
    /// Of those awaited, the ones that end soon.
    promised: usize,
    outbox: Outbox,
    /// Kept from one request to the next: it hardly ever changes.
    client_id: StrBytes,
    began: Instant,
    /// When something was last read or written.
    active: Instant,
    /// Whether a request came at all.
    has_begun: bool,
    /// When the client's end of the connection was seen.
    ended: Option<Instant>,
    /// Nothing is begun before, for a client is over its quota.
    muted_until: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(broker: Arc<Broker>, peer: Arc<Peer>, stream: S) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + broker.config.limits.stall.min(broker.config.limits.idle)));
        Self {
            inbox: Inbox::new(Arc::clone(&broker.budget)),
            stream,
            next: None,
            current: None,
            answers: FuturesOrdered::new(),
            promised: 0,
            outbox: Outbox::default(),
            client_id: StrBytes::default(),
            began: now,
            active: now,
            has_begun: false,
            ended: None,
            muted_until: None,
            timer,
            broker,
            peer,
        }
    }

    fn poll(&mut self, is_closing: bool, context: &mut Context<'_>) -> Poll<Result<(), Close>> {
        let mut begun = 0;
        loop {
            let has_moved = self.poll_answers(context)?
                | self.poll_current(context)?
                | self.poll_begin(is_closing, &mut begun)?
                | self.poll_next(is_closing, context)?;
            if begun >= limits::TURN_REQUESTS {
                context.waker().wake_by_ref();
            } else if has_moved {
                continue;
            }
            break;
        }
        let was_full = self.outbox.len_bytes() >= limits::OUTBOX_BYTES;
        let written = self.outbox.poll_write(&mut self.stream, context);
        if was_full && self.outbox.len_bytes() < limits::OUTBOX_BYTES {
            // What waited for the room was not polled, and wakes nobody.
            context.waker().wake_by_ref();
        }
        if self.ended.is_none() {
            let is_written = written?.is_ready();
            let is_refused = self.peer.identity.is_refused() && self.current.is_none();
            let is_done = is_closing && self.current.is_none() && self.promised == 0;
            if is_written && self.answers.is_empty() && is_refused {
                return Poll::Ready(Err(Close::SignIn("the sign-in failed")));
            }
            if is_written && is_done {
                return Poll::Ready(Ok(()));
            }
        } else if self.current.is_none() && self.next.is_none() {
            // What came before the end was done; nobody waits for the answers.
            return Poll::Ready(Ok(()));
        }
        self.poll_timer(context)
    }

    /// Takes answers, in order.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> Result<bool, Close> {
        let mut has_moved = false;
        while self.outbox.len_bytes() < limits::OUTBOX_BYTES {
            let Poll::Ready(Some(answered)) = self.answers.poll_next_unpin(context) else { break };
            self.promised -= usize::from(!answered.is_long_poll);
            self.send(answered.frame?, answered.call);
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// Goes on with the request at work.
    fn poll_current(&mut self, context: &mut Context<'_>) -> Result<bool, Close> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let Poll::Ready(reply) = current.reply.as_mut().poll(context) else { return Ok(false) };
        let call = current.call.take();
        self.current = None;
        let later = match reply? {
            Reply::Now(frame) if self.answers.is_empty() => {
                self.send(frame, call);
                return Ok(true);
            }
            Reply::Now(frame) => Box::pin(async move { Ok(frame) }),
            Reply::Later(later) => later,
        };
        let long_polls = [FetchRequest::KEY, JoinGroupRequest::KEY, SyncGroupRequest::KEY];
        let is_long_poll = call.as_ref().is_some_and(|call| long_polls.contains(&call.api_key));
        self.promised += usize::from(!is_long_poll);
        self.answers.push_back(Box::pin(async move { Answered { frame: later.await, call, is_long_poll } }));
        Ok(true)
    }

    /// Sends an answer, and lets a client that is over its quota wait for its next request.
    fn send(&mut self, frame: Bytes, call: Option<Arc<Call>>) {
        self.active = Instant::now();
        self.broker.metrics.sent.add(frame.len() as u64);
        let share = call.as_ref().map(|call| call.finish()).unwrap_or_default();
        self.outbox.push(frame, share);
        if let Some(throttle) = call.and_then(|call| call.throttle()) {
            let until = self.active + throttle;
            self.muted_until = Some(self.muted_until.map_or(until, |muted| muted.max(until)));
            if until < self.timer.deadline() {
                self.timer.as_mut().reset(until);
            }
        }
    }

    /// Begins the request that was read ahead.
    fn poll_begin(&mut self, is_closing: bool, begun: &mut usize) -> Result<bool, Close> {
        let is_full = self.answers.len() >= limits::PIPELINED
            || self.outbox.len_bytes() >= limits::OUTBOX_BYTES
            || *begun >= limits::TURN_REQUESTS;
        let is_muted = self.muted_until.is_some() && self.ended.is_none();
        if self.current.is_some() || is_full || is_muted || (is_closing && self.ended.is_none()) {
            return Ok(false);
        }
        let Some(frame) = self.next.take() else { return Ok(false) };
        *begun += 1;
        self.has_begun = true;
        self.current = Some(request::begin(&self.broker, &self.peer, &mut self.client_id, frame)?);
        Ok(true)
    }

    /// Reads ahead.
    fn poll_next(&mut self, is_closing: bool, context: &mut Context<'_>) -> Result<bool, Close> {
        if self.next.is_some() || self.ended.is_some() || is_closing {
            return Ok(false);
        }
        let is_signed_in = self.peer.identity.is_signed_in();
        let len_max =
            if is_signed_in { self.broker.config.limits.request_bytes } else { limits::SIGN_IN_BYTES };
        match self.inbox.poll_frame(&mut self.stream, len_max, context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(Some(frame))) => {
                self.broker.metrics.received.add(frame.bytes.len() as u64 + 4);
                self.active = Instant::now();
                self.next = Some(frame);
            }
            Poll::Ready(Ok(None) | Err(Close::Io(_))) => {
                self.ended = Some(Instant::now());
                self.timer.as_mut().reset(Instant::now() + limits::LEFT_BEHIND);
            }
            Poll::Ready(Err(close)) => return Err(close),
        }
        Ok(true)
    }

    /// Looks at what has run out of time. The timer is never set later than the first thing that could.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Close>> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if self.muted_until.is_some_and(|until| until <= now) {
                self.muted_until = None;
                context.waker().wake_by_ref();
            }
            let limits = &self.broker.config.limits;
            let mut next = now + limits.stall.min(limits.idle);
            for (deadline, close) in self.deadlines() {
                match deadline {
                    Some(deadline) if deadline <= now => return Poll::Ready(close.map_or(Ok(()), Err)),
                    Some(deadline) => next = next.min(deadline),
                    None => {}
                }
            }
            self.timer.as_mut().reset(self.muted_until.map_or(next, |until| until.min(next)));
        }
        Poll::Pending
    }

    /// What must have happened by when, and what becomes of the connection otherwise.
    fn deadlines(&self) -> [(Option<Instant>, Option<Close>); 5] {
        let settings = &self.broker.config.limits;
        let is_welcome = self.has_begun && self.peer.identity.is_signed_in();
        let is_idle = self.current.is_none() && self.answers.is_empty() && self.outbox.len_bytes() == 0;
        [
            (self.ended.map(|ended| ended + limits::LEFT_BEHIND), None),
            ((!is_welcome).then(|| self.began + settings.setup), Some(Close::Overdue("its first request"))),
            (self.inbox.deadline(settings.stall), Some(Close::Overdue("the rest of a request"))),
            (
                self.outbox.stalled_since().map(|since| since + settings.stall),
                Some(Close::Overdue("room for an answer")),
            ),
            (is_idle.then(|| self.active + settings.idle), Some(Close::Overdue("another request"))),
        ]
    }
}

#[cfg(test)]
mod tests;
