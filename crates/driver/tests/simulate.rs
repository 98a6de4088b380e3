//! Simulated machines over real TCP: every fault of the switchboard, and what a client sees of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod echo;

use echo::{Asker, Echo, Event};
use millstream_driver::pump::{Pump, connect_tcp};
use millstream_driver::simulate::{AnswerFault, Faults, SimulatorHandle, World, serve};
use millstream_driver::{ProtocolError, SessionError};
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

async fn start() -> SimulatorHandle {
    let listen = "127.0.0.1:0".parse().unwrap();
    serve(listen, World::new(1), Faults::default(), |context| Echo::new(Some(context))).await.unwrap()
}

async fn connect(simulator: &SimulatorHandle) -> Result<Pump<TcpStream, Asker>, SessionError> {
    let stream = connect_tcp(&simulator.address.ip().to_string(), simulator.address.port()).await?;
    Ok(Pump::new(stream, Asker::new(10)))
}

async fn ask(pump: &mut Pump<TcpStream, Asker>, payload: &[u8]) -> Result<Event, ProtocolError> {
    pump.submit(payload.to_vec()).await?;
    pump.event().await
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with results")]
fn answer(payload: &[u8]) -> Result<Event, ProtocolError> {
    Ok(Event::Answer(payload.to_vec()))
}

async fn until<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn answers_go_wrong_on_demand() {
    let simulator = start().await;
    let mut pump = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    simulator.faults.once(AnswerFault::Exception(2));
    assert_eq!(ask(&mut pump, b"abc").await, answer(&[2]));
    simulator.faults.once(AnswerFault::Duplicate);
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    simulator.faults.set(|faults| faults.delay = Duration::from_millis(50));
    let asked = Instant::now();
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    assert!(asked.elapsed() >= Duration::from_millis(50));
    simulator.faults.heal();
    simulator.faults.once(AnswerFault::Drop);
    assert_eq!(ask(&mut pump, b"abc").await, Ok(Event::Timeout));
    assert_eq!(ask(&mut pump, b"def").await, answer(b"def"));
    simulator.faults.once(AnswerFault::Truncate);
    let cut = ask(&mut pump, b"a longer one").await;
    assert_eq!(cut, Err(ProtocolError::Closed("by the peer in the middle of a frame".to_owned())));
    let mut pump = connect(&simulator).await.unwrap();
    simulator.faults.once(AnswerFault::Disconnect);
    assert!(matches!(ask(&mut pump, b"abc").await, Err(ProtocolError::Closed(_))));
    assert_eq!(simulator.counters.requests.get(), 8);
    assert_eq!(simulator.counters.connections.get(), 2);
}

#[tokio::test]
async fn connections_are_reset_and_refused_on_demand() {
    let simulator = start().await;
    let mut pump = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    simulator.faults.disconnect();
    let ended = timeout(Duration::from_secs(10), pump.idle()).await.unwrap();
    assert!(matches!(ended, ProtocolError::Closed(_)));
    simulator.faults.set(|faults| faults.refuse_connections = true);
    until("connections are refused", || async { connect(&simulator).await.is_err() }).await;
    assert!(
        matches!(connect(&simulator).await, Err(SessionError::Lost { cause, .. }) if cause.contains("refused"))
    );
    simulator.faults.heal();
    until("connections are taken again", || async { connect(&simulator).await.is_ok() }).await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_a_free_place_is_taken() {
    let simulator = start().await;
    simulator.faults.set(|faults| faults.connections_max = Some(1));
    let mut first = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut first, b"abc").await, answer(b"abc"));
    let mut second = connect(&simulator).await.unwrap();
    assert!(ask(&mut second, b"abc").await.is_err());
    assert_eq!(ask(&mut first, b"def").await, answer(b"def"));
    drop(first);
    until("the place is free", || async { simulator.counters.connections_now.get() == 0 }).await;
    let mut third = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut third, b"ghi").await, answer(b"ghi"));
}

#[tokio::test]
async fn a_half_open_connection_is_silent_and_comes_back() {
    let simulator = start().await;
    let mut pump = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    simulator.faults.set(|faults| faults.half_open = true);
    // New connections are accepted by the same silent machine.
    let mut other = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut other, b"abc").await, Ok(Event::Timeout));
    simulator.faults.heal();
    assert_eq!(ask(&mut pump, b"def").await, answer(b"def"));
}

#[tokio::test]
async fn a_dropped_simulator_is_gone() {
    let simulator = start().await;
    let address = simulator.address;
    let mut pump = connect(&simulator).await.unwrap();
    assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    drop(simulator);
    let ended = timeout(Duration::from_secs(10), pump.idle()).await.unwrap();
    assert!(matches!(ended, ProtocolError::Closed(_)));
    until("nobody listens", || async { TcpStream::connect(address).await.is_err() }).await;
}

#[tokio::test]
async fn a_thousand_simulators_run_in_one_process() {
    let mut simulators = Vec::new();
    let world = World::new(1);
    for _ in 0..1000 {
        let listen = "127.0.0.1:0".parse().unwrap();
        let machine = |context| Echo::new(Some(context));
        simulators.push(serve(listen, world.clone(), Faults::default(), machine).await.unwrap());
    }
    for simulator in simulators.iter().step_by(50) {
        let mut pump = connect(simulator).await.unwrap();
        assert_eq!(ask(&mut pump, b"abc").await, answer(b"abc"));
    }
}
