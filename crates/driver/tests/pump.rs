//! The pump between two machines: batching, fragments, ends, deadlines, bounds, cancelled calls, pace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod echo;

use echo::{Asker, Echo, Event, framed};
use millstream_driver::pump::Pump;
use millstream_driver::schedule::Pace;
use millstream_driver::{ProtocolError, SessionContext, limits};
use millstream_model::{Clock, Timestamp};
use proptest::prelude::*;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio::time::{Instant, timeout};

#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// Counts the writes that reach the transport.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn serve(io: DuplexStream) {
    tokio::spawn(async move { Pump::new(io, Echo::new(None)).idle().await });
}

/// Sends every payload with as many in flight as the machine takes, and gives the answers.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(
    pump: &mut Pump<T, Asker>,
    payloads: &[Vec<u8>],
) -> Vec<Event> {
    let mut answers = Vec::new();
    let mut payloads = payloads.iter().cloned();
    let mut next = payloads.next();
    loop {
        while let Some(payload) = next.take() {
            next = pump.submit(payload).await.unwrap();
            if next.is_some() {
                break;
            }
            next = payloads.next();
        }
        if next.is_none() && pump.machine().is_idle() {
            return answers;
        }
        answers.push(pump.event().await.unwrap());
    }
}

fn payloads(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|n| n.to_be_bytes().to_vec()).collect()
}

fn answers(payloads: &[Vec<u8>]) -> Vec<Event> {
    payloads.iter().cloned().map(Event::Answer).collect()
}

#[tokio::test]
async fn many_in_flight_leave_in_few_writes() {
    let (ours, theirs) = duplex(64 * 1024);
    serve(theirs);
    let writes = Arc::new(AtomicUsize::new(0));
    let mut pump = Pump::new(Counting(ours, writes.clone()), Asker::new(100));
    let payloads = payloads(10_000);
    assert_eq!(exchange(&mut pump, &payloads).await, answers(&payloads));
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes <= 300, "{writes} writes for 10,000 requests, 100 in flight");
}

#[tokio::test]
async fn a_transport_of_one_byte_changes_nothing() {
    let (ours, theirs) = duplex(1);
    serve(theirs);
    let mut pump = Pump::new(ours, Asker::new(7));
    let payloads = payloads(300);
    assert_eq!(exchange(&mut pump, &payloads).await, answers(&payloads));
}

proptest! {
    #[test]
    fn answers_are_the_same_however_the_bytes_are_cut(cuts in proptest::collection::vec(1..40_usize, 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = duplex(64 * 1024);
            let mut pump = Pump::new(ours, Asker::new(100));
            let payloads = payloads(100);
            for payload in &payloads {
                assert_eq!(pump.submit(payload.clone()).await, Ok(None));
            }
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            let mut rest = &stream[..];
            let mut got = Vec::new();
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                theirs.write_all(now).await.unwrap();
                rest = later;
                pump.settle().await.unwrap();
                while let Some(event) = millstream_driver::Machine::event(pump.machine_mut()) {
                    got.push(event);
                }
                if rest.is_empty() {
                    break;
                }
            }
            assert_eq!(got, answers(&payloads));
        });
    }
}

#[tokio::test]
async fn the_end_is_noticed_before_anything_is_sent_and_stays() {
    let (ours, mut theirs) = duplex(1024);
    let mut pump = Pump::new(ours, Asker::new(1));
    assert_eq!(pump.submit(vec![1]).await, Ok(None));
    pump.flush().await.unwrap();
    theirs.write_all(&[1, 9, 5, 1]).await.unwrap();
    drop(theirs);
    let ended = pump.settle().await.unwrap_err();
    assert_eq!(ended, ProtocolError::Closed("by the peer in the middle of a frame".to_owned()));
    assert_eq!(pump.event().await, Ok(Event::Answer(vec![9])), "what came before the end is not lost");
    assert_eq!(pump.event().await, Err(ended.clone()));
    assert_eq!(pump.submit(vec![2]).await, Err(ended.clone()));
    assert_eq!(pump.flush().await, Err(ended.clone()));
    assert_eq!(pump.idle().await, ended);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_notices_its_end_at_once() {
    let (ours, theirs) = duplex(1024);
    let mut pump = Pump::new(ours, Asker::new(1));
    let idle = tokio::spawn(async move { pump.idle().await });
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!idle.is_finished());
    drop(theirs);
    assert_eq!(idle.await.unwrap(), ProtocolError::Closed("by the peer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn deadlines_pass_without_traffic_and_under_a_flood() {
    let (ours, theirs) = duplex(1024);
    let mut pump = Pump::new(ours, Asker::new(1));
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(pump.submit(vec![1]).await, Ok(None));
        assert_eq!(pump.event().await, Ok(Event::Timeout));
    }
    assert_eq!(pump.submit(vec![1]).await, Ok(None));
    assert_eq!(pump.event().await, Ok(Event::Timeout));
    assert_eq!(pump.event().await, Err(ProtocolError::Silent(3)));
    assert_eq!(start.elapsed().as_secs(), 3);
    drop(theirs);
    // A peer that never stops sending what nobody waits for does not keep time from passing.
    let (ours, mut theirs) = duplex(1024);
    let mut pump = Pump::new(ours, Asker::new(1));
    tokio::spawn(async move {
        // One answer short of complete, forever.
        while theirs.write_all(&[200]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(pump.submit(vec![1]).await, Ok(None));
    assert_eq!(timeout(Duration::from_secs(2), pump.event()).await.unwrap(), Ok(Event::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_loses_nothing() {
    let (ours, mut theirs) = duplex(1024);
    let mut pump = Pump::new(ours, Asker::new(10));
    for n in 0..10 {
        assert_eq!(pump.submit(vec![n]).await, Ok(None));
    }
    let mut answer = Vec::new();
    for n in 0..10_u8 {
        answer.extend(framed(&[n]));
    }
    let feed = tokio::spawn(async move {
        for byte in answer {
            tokio::time::sleep(Duration::from_millis(7)).await;
            theirs.write_all(&[byte]).await.unwrap();
        }
        theirs
    });
    let mut got = Vec::new();
    while got.len() < 10 {
        // Most of these calls are dropped while they wait.
        if let Ok(event) = timeout(Duration::from_millis(3), pump.event()).await {
            got.push(event.unwrap());
        }
    }
    assert_eq!(got, (0..10).map(|n| Event::Answer(vec![n])).collect::<Vec<_>>());
    drop(feed.await.unwrap());
}

#[tokio::test]
async fn garbage_ends_the_conversation_and_is_counted() {
    let (ours, mut theirs) = duplex(1024);
    let context = SessionContext::new(Arc::new(NoClock));
    let mut pump = Pump::client(ours, Asker::new(1), &context);
    theirs.write_all(&[0, 0, 0]).await.unwrap();
    assert!(matches!(pump.event().await, Err(ProtocolError::Malformed(_))));
    assert!(matches!(pump.event().await, Err(ProtocolError::Malformed(_))));
    assert_eq!(context.counters.malformed_frames.get(), 1);
    assert_eq!(context.counters.bytes_received.get(), 3);
}

/// Never finds a frame, never says anything.
struct Deaf;

impl millstream_driver::Machine for Deaf {
    type Command = ();
    type Event = ();
    fn receive(&mut self, _: Instant, _: &mut bytes::BytesMut) -> Result<(), ProtocolError> {
        Ok(())
    }
    fn command(&mut self, _: Instant, (): ()) -> Result<(), millstream_driver::Busy<()>> {
        Ok(())
    }
    fn transmit(&mut self, _: &mut bytes::BytesMut) {}
    fn event(&mut self) -> Option<()> {
        None
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn expire(&mut self, _: Instant) -> Result<(), ProtocolError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_frame_that_never_ends_is_cut_off() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let mut pump = Pump::new(ours, Deaf);
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        while theirs.write_all(&[1; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    });
    let ended = pump.idle().await;
    assert!(
        matches!(&ended, ProtocolError::Malformed(error) if error.to_string().contains("over the limit"))
    );
    drop(pump);
    assert!(flood.await.unwrap() <= limits::INPUT_BYTES_MAX + limits::READ_BYTES_MAX + 128 * 1024);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_from() {
    let (mut ours, theirs) = duplex(1024);
    serve(theirs);
    let request = framed(&[7; 200]);
    let mut sent = 0;
    // Requests without ever taking an answer: at some point the server takes no more.
    while let Ok(result) = timeout(Duration::from_millis(200), ours.write_all(&request)).await {
        result.unwrap();
        sent += request.len();
        assert!(sent < 4 * limits::OUTPUT_BYTES_MAX, "the server queues without bound");
    }
    assert!(sent >= limits::OUTPUT_BYTES_MAX);
    // And once the answers are taken it goes on.
    let mut taken = vec![0; sent];
    ours.read_exact(&mut taken).await.unwrap();
    assert!(taken.chunks(201).all(|answer| answer == request));
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_kept_and_answers_are_taken_meanwhile() {
    let (ours, theirs) = duplex(1024);
    serve(theirs);
    let mut context = SessionContext::new(Arc::new(NoClock));
    context.pace = Pace::new(20.0).map(Arc::new);
    let mut pump = Pump::client(ours, Asker::new(10), &context);
    let start = Instant::now();
    let payloads = payloads(101);
    assert_eq!(exchange(&mut pump, &payloads).await, answers(&payloads));
    let took = start.elapsed();
    assert!((5000..5020).contains(&took.as_millis()), "{took:?} for 100 pauses of 50 ms");
    assert_eq!(context.counters.bytes_sent.get(), 505);
    assert_eq!(context.counters.bytes_received.get(), 505);
}
