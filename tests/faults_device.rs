//! FAULTS, rows F1–F8, F20 and F36: everything that a device, its network and the clock do wrong, against the real
//! scheduler, Modbus driver, source, sink and audit trail over real TCP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, Bus, Record, TopicPartition};
use millstream_driver::schedule::{DeviceState, Verdict};
use millstream_log::SimDisk;
use millstream_log::{Log, LogConfig};
use millstream_model::Clock as _;
use millstream_tests::oracle::{
    Usage, Verdict as Judgement, coded_value, judge_coded_values, judge_counter, judge_writes,
};
use millstream_tests::rogue::{Asked, Reply, Rogue, Then, frame};
use millstream_tests::rooms::{
    Device, PATIENCE, ROWS, Rooms, RowRecord, TestClock, Witnessed, records, rounds, samples, sockets_at,
    until,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

const MS: fn(u64) -> Duration = Duration::from_millis;

async fn plant(devices: &[Device]) -> Rooms {
    Rooms::start(MemoryBus::new(), TestClock::start(), devices).await
}

/// A device that reads the counter at register 0.
fn counting(name: &'static str, machine: &Rogue) -> Device {
    machine.state().counter = Some(0);
    machine.state().registers.insert(0, 0);
    Device::new(name, machine.address).register("count", 0)
}

/// A device that reads registers 0..`count`, spread so that they need several requests.
fn coded(name: &'static str, machine: &Rogue, registers: impl IntoIterator<Item = u16>) -> Device {
    let device = Device::new(name, machine.address);
    registers.into_iter().fold(device, |device, register| device.register(&format!("r{register}"), register))
}

/// The cells of coded rows that have a value: register and value.
fn cells(rows: &[RowRecord]) -> Vec<(u16, u16)> {
    let mut cells = Vec::new();
    for row in rows {
        for (tag, cell) in row.json.as_object().unwrap() {
            if let (Some(register), Some(value)) = (tag.strip_prefix('r'), cell.as_u64()) {
                cells.push((register.parse().unwrap(), u16::try_from(value).unwrap()));
            }
        }
    }
    cells
}

fn epoch(value: u16) -> u16 {
    value >> 11
}

/// O4 in time: no register ever shows a value of an epoch before the one that it showed last.
fn judge_epochs(rows: &[RowRecord]) -> Judgement {
    let mut verdict = Judgement::default();
    let mut newest = std::collections::BTreeMap::new();
    for (register, value) in cells(rows) {
        let epoch = epoch(value);
        let before = newest.insert(register, epoch).unwrap_or(epoch);
        if epoch.wrapping_sub(before) & 0x1f >= 16 {
            verdict.violated("O4", format!("register {register} shows epoch {epoch} after {before}"));
        }
    }
    verdict
}

/// Every scan in this machine's ledger was asked by a client that waits for an answer before it asks again.
fn judge_stacking(machine: &Rogue, request_timeout: Duration) -> Judgement {
    let mut verdict = Judgement::default();
    let asked = machine.state().asked.clone();
    for pair in asked.windows(2).filter(|pair| pair[0].connection == pair[1].connection) {
        let waited = pair[1].at - pair[0].at;
        let answered = pair[0].answered.is_some_and(|at| at <= pair[1].at);
        // A hair less than the time-out: the request was on its way for a moment before the machine had it.
        if !answered && waited + MS(20) < request_timeout {
            verdict.violated("O5", format!("asked again after {waited:?} although no answer had come"));
        }
    }
    verdict
}

#[tokio::test]
async fn f1_a_link_that_drops_again_and_again_is_told_at_once_and_leaves_nothing_behind() {
    let (machine, other) = (Rogue::start(4).await, Rogue::start(4).await);
    let plant = plant(&[counting("press", &machine), counting("oven", &other)]).await;
    plant.more_rows("press", 5).await;
    plant.more_rows("oven", 5).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    let sockets = sockets_at(machine.address.port());
    for round in 0..rounds(24, 50) {
        // Long enough that the next back-off starts small.
        let have = plant.more_rows("press", 6).await;
        let cut_at = plant.clock.now();
        match round % 3 {
            0 => machine.cut(Then::Reset),
            1 => machine.cut(Then::Fin),
            _ => machine.power(false),
        }
        let row = plant.row("press", "an outage row", have.saturating_sub(1), RowRecord::is_outage).await;
        assert_eq!(row.bad("count").map(|status| status.starts_with("Bad")), Some(true), "{}", row.json);
        let noticed = row.at.since(cut_at);
        assert!(row.at >= cut_at && noticed < Duration::from_secs(2), "told after {noticed:?}");
        // It may be online again already.
        let told = |state: &serde_json::Value| {
            state["state"] == "offline" && state["since_ms"].as_i64().unwrap() >= cut_at.as_millis()
        };
        let state = until("the state", PATIENCE, async || plant.states("press").await.into_iter().find(told));
        let state = state.await;
        assert!(!state["cause"].as_str().unwrap().is_empty(), "{state}");
        machine.power(true);
        plant.reaches("press", DeviceState::Online).await;
    }
    plant.more_rows("press", 3).await;
    until("tasks and sockets as before", PATIENCE, async || {
        let now = (Handle::current().metrics().num_alive_tasks(), sockets_at(machine.address.port()));
        (now.0 <= tasks && now.1 <= sockets).then_some(())
    })
    .await;
    judge_counter(&samples(&plant.rows("press").await, "count")).assert_good();
    // Nothing of it touched the neighbour.
    let oven = plant.rows("oven").await;
    judge_counter(&samples(&oven, "count")).assert_good();
    assert!(!oven.iter().any(RowRecord::is_outage));
    assert_eq!(other.state().accepted.len(), 1);
    assert_eq!(plant.device("press").metrics.restarts.get(), 0);
    plant.stop().await;
}

#[tokio::test]
async fn f2_a_half_open_link_is_dead_within_its_time_outs_and_its_late_replies_are_nobodys() {
    let machine = Rogue::start(64).await;
    let plant = plant(&[coded("press", &machine, [0, 1, 2, 40])]).await;
    let have = plant.more_rows("press", 3).await;
    // The cable is out: nothing comes, nothing is closed. What the machine would have said is kept.
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let old = machine.state().accepted.len() - 1;
    machine.rule(move |asked, usual| {
        if asked.connection > old {
            return Reply::bytes(usual);
        }
        keep.lock().unwrap().push(asked.clone());
        // Long after the client has given up.
        Reply::after(MS(900), usual)
    });
    let began = Instant::now();
    plant.row("press", "an outage row", have, RowRecord::is_outage).await;
    // Three rounds without any answer, at 200 ms each and two requests a scan, and a back-off.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    machine.code(64, 1);
    plant.reaches("press", DeviceState::Online).await;
    let have = plant.rows("press").await.len();
    assert!(!kept.lock().unwrap().is_empty());
    until("the old socket is closed", PATIENCE, async || (machine.state().open == 1).then_some(())).await;
    until("the late replies are out", PATIENCE, async || (began.elapsed() > MS(2_500)).then_some(())).await;
    plant.more_rows("press", 5).await;
    let rows = plant.rows("press").await;
    judge_coded_values(cells(&rows)).and(judge_epochs(&rows)).assert_good();
    let fresh = cells(&rows[have..]);
    assert!(fresh.len() >= 16 && fresh.iter().all(|(_, value)| epoch(*value) == 1), "{fresh:?}");
    plant.stop().await;
}

#[tokio::test]
async fn f3_a_slow_plc_is_never_asked_twice_at_once_and_the_missed_scans_are_counted() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let machine = Rogue::start(4).await;
    let plant = plant(&[counting("press", &machine)]).await;
    plant.more_rows("press", 3).await;
    for factor in [0.9, 1.2, 2.0, 5.0] {
        let before = plant.device("press").metrics.overruns.get();
        let asked = machine.asked();
        machine.rule(move |_, usual| Reply::after(TIMEOUT.mul_f64(factor), usual));
        until("several slow requests", PATIENCE, async || (machine.asked() > asked + 6).then_some(())).await;
        if factor < 1.0 {
            // Late, but in time: values come, and every scan that did not fit is told.
            let good = plant.row("press", "a slow row", 3, |row| row.missed > 0 && !row.is_outage()).await;
            assert!(good.number("count").is_some());
            assert!(plant.device("press").metrics.overruns.get() > before, "overruns are counted");
        }
        machine.heal();
        let have = plant.rows("press").await.len();
        plant.row("press", "values again", have, |row| row.number("count").is_some()).await;
        plant.more_rows("press", 3).await;
    }
    judge_stacking(&machine, TIMEOUT).assert_good();
    judge_counter(&samples(&plant.rows("press").await, "count")).assert_good();
    plant.stop().await;
}

/// How a proxy cuts what it carries.
#[derive(Debug, Clone, Copy)]
enum Slices {
    Bytes,
    Odd,
    /// Everything that comes within so long goes at once.
    Together(Duration),
}

/// A TCP proxy that carries every byte and keeps none of the borders.
async fn slicing_proxy(to: std::net::SocketAddr, slices: Slices) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_read, far_write, slices));
            tokio::spawn(carry(far_read, near_write, slices));
        }
    });
    address
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    slices: Slices,
) {
    let mut buffer = vec![0; 4096];
    let mut turn = 0;
    while let Ok(mut count @ 1..) = from.read(&mut buffer).await {
        if let Slices::Together(time) = slices {
            while let Ok(Ok(more @ 1..)) = timeout(time, from.read(&mut buffer[count..])).await {
                count += more;
            }
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            turn += 1;
            let piece = match slices {
                Slices::Bytes => 1,
                Slices::Odd => [1, 6, 2, 7, 3, 11][turn % 6],
                Slices::Together(_) => rest.len(),
            };
            let (now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            if to.write_all(now).await.is_err() {
                return;
            }
            // Lets the other side see this piece by itself.
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn f4_however_a_network_cuts_the_bytes_the_values_are_the_same() {
    let machine = Rogue::start(600).await;
    let registers = [0, 1, 2, 3, 124, 125, 300, 301, 400, 599];
    let cut = [Slices::Bytes, Slices::Odd, Slices::Together(MS(3))];
    let names = ["bytes", "odd", "together"];
    let mut devices = vec![coded("direct", &machine, registers)];
    for (name, slices) in names.into_iter().zip(cut) {
        let address = slicing_proxy(machine.address, slices).await;
        // Four requests in flight, so that "together" has something to join.
        let mut device = coded(name, &machine, registers).options("request-timeout=2000&max-in-flight=4");
        device.address = address;
        devices.push(device);
    }
    let plant = plant(&devices).await;
    plant.more_rows("direct", 1).await;
    let direct = plant.rows("direct").await[0].json.clone();
    assert_eq!(cells(&plant.rows("direct").await[..1]).len(), registers.len());
    for name in names {
        plant.more_rows(name, 40).await;
        for row in plant.rows(name).await {
            assert_eq!(row.json, direct, "{name}");
        }
        assert_eq!(plant.device(name).metrics.connection_errors.get(), 0, "{name}");
    }
    plant.stop().await;
}

/// What a hostile machine sends instead of an answer.
fn hostile(kind: usize, asked: &Asked, usual: &[u8]) -> Reply {
    let with_length = |length: u16| {
        let mut frame = usual.to_vec();
        frame[4..6].copy_from_slice(&length.to_be_bytes());
        Reply::bytes(frame)
    };
    let pdu = &usual[7..];
    match kind {
        0 => Reply::bytes(
            (0..500_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect::<Vec<_>>(),
        ),
        1 => with_length(0),
        2 => with_length(1),
        3 => with_length(0xffff),
        4 => with_length(255),
        // Shorter and longer than its contents.
        5 => with_length(4),
        6 => with_length(u16::try_from(usual.len()).unwrap()),
        // Another protocol.
        7 => Reply::bytes([&usual[..2], &[0x13, 0x37], &usual[4..]].concat()),
        // Cut off in the middle, then closed or reset.
        8 => Reply { then: Then::Fin, ..Reply::bytes(&usual[..usual.len() / 2]) },
        9 => Reply { then: Then::Reset, ..Reply::bytes(&usual[..8]) },
        // A count of bytes that is a lie, either way.
        10 => Reply::bytes(asked.frame(&[&[pdu[0], 250], &pdu[2..]].concat())),
        11 => Reply::bytes(asked.frame(&[&[pdu[0], 1], &pdu[2..]].concat())),
        // Another function, no function, an exception without a code.
        12 => Reply::bytes(asked.frame(&[&[4], &pdu[1..]].concat())),
        13 => Reply::bytes(frame(asked.transaction, asked.unit, &[])),
        14 => Reply::bytes(asked.frame(&[0x83])),
        // A flood: megabytes that were never asked for.
        15 => Reply::bytes(frame(0xdead, 1, &[3; 200]).repeat(10_000)),
        _ => Reply::bytes(vec![0xff; 4_000_000]),
    }
}

#[tokio::test]
async fn f5_garbage_of_every_kind_costs_a_connection_at_most_and_no_memory() {
    const NAMES: [&str; 17] =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"];
    let mut machines = Vec::new();
    for _ in NAMES {
        machines.push(Rogue::start(64).await);
    }
    let device = |(name, machine): (&&'static str, &Rogue)| coded(name, machine, [0, 1, 2, 40]);
    let devices: Vec<_> = NAMES.iter().zip(&machines).map(device).collect();
    let plant = plant(&devices).await;
    for name in NAMES {
        plant.more_rows(name, 2).await;
    }
    let before = Usage::of(std::process::id()).unwrap();
    let mut have = Vec::new();
    for (kind, (name, machine)) in NAMES.iter().zip(&machines).enumerate() {
        have.push((plant.rows(name).await.len(), machine.asked()));
        machine.rule(move |asked, usual| hostile(kind, asked, &usual));
    }
    for (kind, machine) in machines.iter().enumerate() {
        let asked = have[kind].1;
        until("several hostile answers", PATIENCE, async || (machine.asked() >= asked + 3).then_some(()))
            .await;
    }
    // The floods alone are 6 MB an answer; none of it is kept. Other tests of this process have their part in the rest.
    let now = Usage::of(std::process::id()).unwrap();
    assert!(now.resident_kib < before.resident_kib + 150 * 1024, "O5: {before:?} {now:?}");
    machines.iter().for_each(Rogue::heal);
    for (kind, name) in NAMES.iter().enumerate() {
        let have = have[kind].0;
        let what = format!("garbage {kind} as a bad quality");
        plant.row(name, &what, have, |row| row.bad("r0").is_some()).await;
        until(&format!("values after garbage {kind}"), PATIENCE, async || {
            plant.rows(name).await.last().filter(|row| row.json.get("_bad").is_none()).map(|_| ())
        })
        .await;
        judge_coded_values(cells(&plant.rows(name).await)).assert_good();
        let metrics = plant.device(name).metrics;
        let counted = [
            &metrics.session.malformed_frames,
            &metrics.session.dropped_frames,
            &metrics.connection_errors,
            &metrics.bad_cells,
        ];
        assert!(counted.iter().any(|counter| counter.get() > 0), "garbage {kind} is counted");
        assert_eq!(metrics.restarts.get(), 0, "no panic");
        assert_eq!(machines[kind].state().unclean, None, "we send clean frames whatever comes");
    }
    plant.stop().await;
}

#[tokio::test]
async fn f6_no_reply_is_ever_taken_for_another_request_s() {
    let machine = Rogue::start(2000).await;
    let registers = (0..2000).step_by(200).flat_map(|base| [base, base + 1, base + 7]);
    let device = coded("press", &machine, registers).options("request-timeout=60&max-in-flight=4").every(4);
    let plant = plant(&[device]).await;
    plant.more_rows("press", 3).await;
    let mut random = 88_172_645_463_325_252_u64;
    let mut earlier: Vec<Vec<u8>> = Vec::new();
    let faults = Arc::new(AtomicUsize::new(0));
    let count = faults.clone();
    machine.rule(move |asked, usual| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let dice = random % 100;
        let foreign = |change: fn(&mut Vec<u8>)| {
            let mut frame = usual.clone();
            change(&mut frame);
            frame
        };
        let send = match dice {
            // Twice.
            0..8 => vec![(Duration::ZERO, usual.clone()), (Duration::ZERO, usual.clone())],
            // After the others.
            8..20 => vec![(MS(random >> 20 & 15), usual.clone())],
            // After its time-out.
            20..22 => vec![(MS(70 + (random >> 20 & 31)), usual.clone())],
            // An earlier request's answer first.
            22..40 if !earlier.is_empty() => {
                let old = earlier[usize::try_from(random >> 24).unwrap() % earlier.len()].clone();
                vec![(Duration::ZERO, old), (Duration::ZERO, usual.clone())]
            }
            // With the transaction id of nobody, of the next request, of the one before.
            40..44 => {
                vec![(Duration::ZERO, foreign(|frame| frame[0] ^= 0x80)), (Duration::ZERO, usual.clone())]
            }
            // Another unit's.
            44..48 => vec![(Duration::ZERO, foreign(|frame| frame[6] = 9)), (Duration::ZERO, usual.clone())],
            _ => vec![(Duration::ZERO, usual.clone())],
        };
        count.fetch_add(usize::from(dice < 48), Ordering::Relaxed);
        if earlier.len() < 64 {
            earlier.push(usual);
        } else {
            earlier[asked.number % 64] = usual;
        }
        Reply { send, ..Reply::silent() }
    });
    let wanted = rounds(3_000, 1);
    let began = Instant::now();
    let mut generation = 0;
    while faults.load(Ordering::Relaxed) < wanted {
        assert!(began.elapsed() < 3 * PATIENCE, "{} of {wanted}", faults.load(Ordering::Relaxed));
        // The values of each epoch differ, so that an answer that is too old shows.
        let before = machine.asked();
        until("more requests", PATIENCE, async || (machine.asked() > before + 200).then_some(())).await;
        generation += 1;
        machine.code(2000, generation % 32);
    }
    let rows = plant.rows("press").await;
    let judged = cells(&rows);
    assert!(judged.len() > wanted, "{} values", judged.len());
    judge_coded_values(judged).and(judge_epochs(&rows)).assert_good();
    assert!(plant.device("press").metrics.session.dropped_frames.get() > 100, "they are dropped and counted");
    machine.heal();
    plant.row("press", "all good again", rows.len(), |row| row.json.get("_bad").is_none()).await;
    plant.stop().await;
}

#[tokio::test]
async fn f7_a_plc_that_comes_back_reset_and_smaller_costs_only_what_is_gone() {
    let machine = Rogue::start(64).await;
    let plant = plant(&[coded("press", &machine, [0, 1, 2, 3, 60, 61])]).await;
    let have = plant.more_rows("press", 3).await;
    // It restarts: every value is another, and registers 60 and above are gone.
    machine.power(false);
    plant.row("press", "the outage", have, RowRecord::is_outage).await;
    machine.code(60, 1);
    machine.power(true);
    let after = plant.rows("press").await.len();
    let row = plant
        .row("press", "the rest goes on", after, |row| row.bad("r60").is_some() && !row.is_outage())
        .await;
    assert_eq!(row.bad("r60"), Some("BadNodeIdUnknown"), "{}", row.json);
    assert_eq!(row.bad("r61"), Some("BadNodeIdUnknown"), "{}", row.json);
    plant
        .row("press", "its neighbours are read", after, |row| {
            (0..4).all(|n| row.number(&format!("r{n}")) == Some(coded_value(n, 1).into()))
        })
        .await;
    // What was refused is not asked for in every scan.
    let asked = machine.asked();
    let scans = plant.device("press").metrics.scans.get();
    plant.more_rows("press", 20).await;
    let requests = machine.asked() - asked;
    let scans = usize::try_from(plant.device("press").metrics.scans.get() - scans).unwrap();
    assert!(requests <= scans + 8, "{requests} requests in {scans} scans");
    // The program is loaded: they are back, and found by themselves.
    machine.code(64, 2);
    let after = plant.rows("press").await.len();
    plant
        .row("press", "they are found again", after, |row| {
            [0, 3, 60, 61].iter().all(|n| row.number(&format!("r{n}")) == Some(coded_value(*n, 2).into()))
        })
        .await;
    let rows = plant.rows("press").await;
    judge_coded_values(cells(&rows)).and(judge_epochs(&rows)).assert_good();
    plant.stop().await;
}

#[tokio::test]
async fn f8_a_plc_whose_connections_are_taken_is_not_stormed_and_taken_when_one_is_free() {
    let machine = Rogue::start(4).await;
    machine.state().connections_max = Some(1);
    let occupant = TcpStream::connect(machine.address).await.unwrap();
    until("it is occupied", PATIENCE, async || (machine.state().open == 1).then_some(())).await;
    let plant = plant(&[counting("press", &machine)]).await;
    plant.row("press", "the outage is told", 0, RowRecord::is_outage).await;
    let began = Instant::now();
    // Pauses double from 100 ms to 30 s with full jitter.
    until("some seconds", PATIENCE, async || (began.elapsed() > Duration::from_secs(5)).then_some(())).await;
    let attempts = machine.state().accepted.len() - 1;
    assert!((2..=30).contains(&attempts), "{attempts} attempts in 5 s");
    let outages = plant.rows("press").await.len();
    assert_eq!(outages, 1, "it is said once");
    drop(occupant);
    plant.reaches("press", DeviceState::Online).await;
    plant.more_rows("press", 3).await;
    // One connection is all that a device costs, whatever is asked of it.
    assert_eq!(machine.state().open, 1);
    plant.stop().await;
    until("it is given back", PATIENCE, async || (machine.state().open == 0).then_some(())).await;
}

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn f20_jumps_of_the_clock_disturb_no_scan_and_no_write_and_delete_nothing() {
    let machine = Rogue::start(8).await;
    let clock = TestClock::start();
    let disk: Arc<SimDisk> = Arc::new(SimDisk::new(1));
    let config = LogConfig {
        topic: millstream_log::TopicConfig {
            retention_ms: Some(HOUR_MS),
            segment_bytes: 2_048,
            ..millstream_log::TopicConfig::default()
        },
        ..LogConfig::default()
    };
    let (log, _) = Log::open(disk, Path::new("/data"), config, clock.clone()).unwrap();
    let bus = Embedded::open(log.clone(), EmbeddedConfig::default(), clock.clone()).await.unwrap();
    let device = counting("press", &machine).writes("setpoint", 4, |rule| {
        rule.min_interval = Some(MS(300));
    });
    let plant = Rooms::start(bus.clone(), clock.clone(), &[device]).await;
    let mut value = 100;
    for jump in [HOUR_MS, -HOUR_MS, 72 * HOUR_MS, -72 * HOUR_MS, -72 * HOUR_MS, 72 * HOUR_MS] {
        plant.more_rows("press", 3).await;
        let before_jump = clock.now();
        let scans = machine.asked();
        clock.jump_ms(jump);
        let jumped_at = Instant::now();
        until("scans go on", PATIENCE, async || (machine.asked() >= scans + 10).then_some(())).await;
        // Ten scans of 50 ms: neither a rush to make up for lost days nor a wait for them.
        assert!(jumped_at.elapsed() > MS(200), "a rush after {jump} ms: {:?}", jumped_at.elapsed());
        // What was asked for by the old clock is far from now in both directions, and is told rather than obeyed.
        let offset = plant.ask_at("press", r#"{"setpoint":7}"#, before_jump).await;
        until("it is refused", PATIENCE, async || {
            plant.refused().await.contains(&(Some(offset), "too-old".to_owned())).then_some(())
        })
        .await;
        // And what is asked for now is written now; the least interval is real time, not the wall's.
        value += 1;
        plant.ask("press", &format!(r#"{{"setpoint":{value}}}"#)).await;
        plant.settled("press").await;
        assert_eq!(machine.written(4).last(), Some(&value));
        log.maintain();
    }
    assert_eq!(machine.written(4), (101..=106).collect::<Vec<_>>(), "nothing twice, nothing old");
    let rows = plant.rows("press").await;
    judge_counter(&samples(&rows, "count")).assert_good();
    let first = bus.offsets(&TopicPartition::new(ROWS, 0)).await.unwrap().earliest;
    assert_eq!(first, 0, "F20: a clock that jumps past the retention deletes nothing");
    assert!(rows[0].number("count").unwrap() < 10);
    plant.stop().await;
}

/// A press with a setpoint at register 4 that is read, too.
fn press(machine: &Rogue, change: impl FnOnce(&mut millstream_driver::guard::WriteRule)) -> Device {
    counting("press", machine).register("pv", 4).writes("setpoint", 4, change)
}

async fn result_of(plant: &Rooms, value: u16) -> String {
    until("a result in the audit trail", PATIENCE, async || {
        let results = plant.audited("result").await;
        let found = results.iter().find(|result| result["value"] == value);
        found.map(|result| result["result"].as_str().unwrap().to_owned())
    })
    .await
}

async fn assert_trail_is_whole(plant: &Rooms, machine: &Rogue, witnessed: &Witnessed) {
    plant.audit.flush().await;
    judge_writes(&witnessed.steps()).assert_good();
    let pair = |value: &serde_json::Value| format!("{} {}", value["id"], value["tag"]);
    let sorted = |all: Vec<serde_json::Value>| {
        let mut all: Vec<_> = all.iter().map(pair).collect();
        all.sort();
        all
    };
    let (intents, results) = (sorted(plant.audited("intent").await), sorted(plant.audited("result").await));
    assert_eq!(intents, results, "O7: every intent has one result");
    assert!(machine.state().reached.len() <= intents.len());
}

#[tokio::test]
async fn f36_a_write_whose_answer_was_lost_is_read_back_and_never_repeated() {
    let machine = Rogue::start(8).await;
    let plant = plant(&[press(&machine, |_| {})]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    plant.more_rows("press", 2).await;
    // Done, then the link is gone: the value in the machine settles it.
    for (value, then, apply) in
        [(10, Then::Reset, true), (11, Then::Fin, true), (12, Then::Stay, true), (13, Then::Reset, false)]
    {
        let cut = AtomicBool::new(false);
        machine.rule(move |asked, usual| {
            if asked.is_write() && !cut.swap(true, Ordering::Relaxed) {
                return Reply { apply, ..Reply::end(then) };
            }
            Reply::bytes(usual)
        });
        plant.ask("press", &format!(r#"{{"setpoint":{value}}}"#)).await;
        plant.settled("press").await;
        let result = result_of(&plant, value).await;
        // Reading back decides: the value is there, or another one is.
        assert_eq!(result, if apply { "written" } else { "mismatch" }, "{value} {then:?}");
        machine.heal();
        plant.reaches("press", DeviceState::Online).await;
    }
    plant.ask("press", r#"{"setpoint":14}"#).await;
    plant.settled("press").await;
    assert_eq!(machine.written(4), [10, 11, 12, 14], "never repeated, not even the one that was not done");
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_a_value_that_does_not_stay_is_a_mismatch_and_after_three_the_tag_is_latched_off() {
    let machine = Rogue::start(8).await;
    let plant = plant(&[press(&machine, |rule| rule.verify = true)]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    plant.more_rows("press", 2).await;
    // The PLC is in STOP: it confirms and does nothing.
    machine.rule(|asked, usual| {
        let reply = Reply::bytes(usual);
        if asked.is_write() { reply.not_done() } else { reply }
    });
    for value in 20..23 {
        let report = plant.write("press", "setpoint", value).await;
        assert!(matches!(report.verdict, Verdict::Mismatch { .. }), "{:?}", report.verdict);
    }
    machine.heal();
    let refused = plant.write("press", "setpoint", 23).await;
    assert!(matches!(refused.verdict, Verdict::Refused { code: "latched", .. }), "{:?}", refused.verdict);
    assert!(machine.state().reached.is_empty());
    // An operator has looked at it.
    assert!(plant.device("press").rearm("setpoint"));
    let report = plant.write("press", "setpoint", 24).await;
    assert_eq!(report.verdict, Verdict::Written { verified: true });
    assert_eq!(machine.written(4), [24]);
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_a_command_that_expires_on_its_way_is_not_written() {
    let machine = Rogue::start(8).await;
    let plant = plant(&[press(&machine, |rule| rule.max_age = MS(400))]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    let have = plant.more_rows("press", 2).await;
    machine.power(false);
    plant.row("press", "the outage", have, RowRecord::is_outage).await;
    let offset = plant.ask("press", r#"{"setpoint":30}"#).await;
    until("it is refused", PATIENCE, async || {
        plant.refused().await.iter().any(|(asked, _)| *asked == Some(offset)).then_some(())
    })
    .await;
    machine.power(true);
    plant.reaches("press", DeviceState::Online).await;
    // On the wire before it: an answer so slow that the command is too old when its turn comes.
    machine.rule(
        |asked, usual| if asked.is_write() { Reply::bytes(usual) } else { Reply::after(MS(150), usual) },
    );
    for value in 31..36 {
        plant.ask("press", &format!(r#"{{"setpoint":{value},"expires":1}}"#)).await;
    }
    plant.settled("press").await;
    machine.heal();
    plant.ask("press", r#"{"setpoint":36}"#).await;
    plant.settled("press").await;
    assert_eq!(machine.written(4), [36], "{:?}", plant.refused().await);
    assert_eq!(plant.refused().await.len(), 6, "each is told");
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_two_writers_of_one_tag_never_interleave_and_each_is_told() {
    let machine = Rogue::start(8).await;
    let plant = plant(&[press(&machine, |rule| rule.verify = true)]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    plant.more_rows("press", 2).await;
    for round in 0_u16..20 {
        let (record, operator) = (1_000 + round, 2_000 + round);
        let by_record = async {
            plant.ask("press", &format!(r#"{{"setpoint":{record}}}"#)).await;
        };
        let ((), report) = tokio::join!(by_record, plant.write("press", "setpoint", operator.into()));
        let fine = matches!(
            report.verdict,
            Verdict::Written { verified: true } | Verdict::Refused { code: "superseded", .. }
        );
        assert!(fine, "{:?}", report.verdict);
        plant.settled("press").await;
    }
    let results = plant.audited("result").await;
    assert!(results.iter().all(|result| result["result"] == "written"), "verified, every one: {results:?}");
    let told = results.len() + plant.refused().await.len();
    assert_eq!(told, 40, "every command is written or refused");
    assert_eq!(machine.written(4).len(), results.len());
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_a_replayed_topic_writes_nothing_twice() {
    let machine = Rogue::start(8).await;
    let device = press(&machine, |_| {});
    let (bus, clock): (Arc<dyn Bus>, _) = (MemoryBus::new(), TestClock::start());
    let plant = Rooms::start(bus.clone(), clock.clone(), std::slice::from_ref(&device)).await;
    let witnessed = Witnessed::watch(&machine, &bus);
    for value in 40..45 {
        plant.ask("press", &format!(r#"{{"setpoint":{value}}}"#)).await;
        plant.settled("press").await;
    }
    plant.stop().await;
    // Somebody sets the group back to the start: the same offsets come again, still young enough to obey.
    let topic = TopicPartition::new("press.setpoints", 0);
    let start = millstream_bus::CommittedOffset::new(0);
    bus.commit("millstream-sink-press-press.setpoints", &[(topic.clone(), start)]).await.unwrap();
    let plant = Rooms::start(bus.clone(), clock.clone(), std::slice::from_ref(&device)).await;
    plant.settled("press").await;
    until("every one is told", PATIENCE, async || (plant.refused().await.len() >= 5).then_some(())).await;
    assert_eq!(machine.written(4), [40, 41, 42, 43, 44]);
    // And copied to the end, as a restored backup does: other offsets, the old times.
    let copies: Vec<Record> = (40..45)
        .map(|value| {
            let text = Bytes::from(format!(r#"{{"setpoint":{value}}}"#));
            Record::new(None, Some(text), millstream_model::Timestamp(clock.now().0 - HOUR_MS))
        })
        .collect();
    bus.append(&topic, copies, Acks::All).await.unwrap();
    plant.settled("press").await;
    assert_eq!(machine.written(4), [40, 41, 42, 43, 44], "{:?}", plant.refused().await);
    let reasons: Vec<String> = plant.refused().await.into_iter().map(|(_, reason)| reason).collect();
    let known = ["duplicate", "too-old", "superseded"];
    assert!(reasons.iter().all(|reason| known.contains(&reason.as_str())), "{reasons:?}");
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_a_breach_of_the_rate_is_refused_or_waits_and_never_reaches_the_machine() {
    let machine = Rogue::start(8).await;
    let plant = plant(&[press(&machine, |rule| rule.min_interval = Some(MS(500)))]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    plant.more_rows("press", 2).await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = times.clone();
    machine.rule(move |asked, usual| {
        if asked.is_write() {
            seen.lock().unwrap().push(Instant::now());
        }
        Reply::bytes(usual)
    });
    let first = plant.write("press", "setpoint", 50).await;
    assert!(matches!(first.verdict, Verdict::Written { .. }), "{:?}", first.verdict);
    let second = plant.write("press", "setpoint", 51).await;
    assert!(matches!(second.verdict, Verdict::Refused { code: "too-soon", .. }), "{:?}", second.verdict);
    for value in 52..72 {
        plant.ask("press", &format!(r#"{{"setpoint":{value}}}"#)).await;
    }
    plant.settled("press").await;
    let times = times.lock().unwrap().clone();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= MS(490)), "{times:?}");
    assert_eq!(machine.written(4).last(), Some(&71), "the newest comes in the end");
    assert_trail_is_whole(&plant, &machine, &witnessed).await;
    plant.stop().await;
}

#[tokio::test]
async fn f36_a_crash_between_intent_and_result_is_settled_as_unknown_by_the_restart() {
    for done in [true, false] {
        let machine = Rogue::start(8).await;
        let device = press(&machine, |_| {});
        let clock = TestClock::start();
        let disk = SimDisk::new(3);
        let (log, bus) = embedded(&disk, &clock).await;
        let plant = Rooms::start(bus.clone(), clock.clone(), std::slice::from_ref(&device)).await;
        plant.more_rows("press", 2).await;
        let reached = Arc::new(AtomicBool::new(false));
        let flag = reached.clone();
        machine.rule(move |asked, usual| {
            if asked.is_write() {
                flag.store(true, Ordering::Relaxed);
                return Reply { apply: done, ..Reply::silent() };
            }
            Reply::bytes(usual)
        });
        plant.ask("press", r#"{"setpoint":60}"#).await;
        until("the write is on its way", PATIENCE, async || reached.load(Ordering::Relaxed).then_some(()))
            .await;
        // The power fails at this moment.
        let disk = disk.crash();
        drop((plant, bus, log));
        machine.heal();

        let (_log, bus) = embedded(&disk, &clock).await;
        let plant = Rooms::start(bus.clone(), clock.clone(), std::slice::from_ref(&device)).await;
        assert_eq!(plant.recovered, 1, "one intent had no result");
        plant.reaches("press", DeviceState::Online).await;
        plant.settled("press").await;
        assert_eq!(result_of(&plant, 60).await, "unknown");
        assert_eq!(plant.audited("intent").await.len(), 1);
        assert_eq!(machine.written(4), if done { vec![60] } else { vec![] }, "not a second time");
        plant.ask("press", r#"{"setpoint":61}"#).await;
        plant.settled("press").await;
        assert_eq!(machine.written(4).last(), Some(&61));
        plant.stop().await;
    }
}

async fn embedded(disk: &SimDisk, clock: &Arc<TestClock>) -> (Arc<Log>, Arc<dyn Bus>) {
    let (log, _) =
        Log::open(Arc::new(disk.clone()), Path::new("/data"), LogConfig::default(), clock.clone()).unwrap();
    let bus = Embedded::open(log.clone(), EmbeddedConfig::default(), clock.clone()).await.unwrap();
    (log, bus)
}

#[tokio::test]
async fn f36_no_write_without_a_durable_intent() {
    let machine = Rogue::start(8).await;
    let clock = TestClock::start();
    let disk = SimDisk::new(5);
    let (_log, bus) = embedded(&disk, &clock).await;
    let plant = Rooms::start(bus.clone(), clock.clone(), &[press(&machine, |_| {})]).await;
    plant.more_rows("press", 2).await;
    plant.ask("press", r#"{"setpoint":70}"#).await;
    plant.settled("press").await;
    // The disk takes nothing more of the audit trail, reserve or not.
    disk.fail(millstream_log::Operation::Write, "millstream.audit", 1_000_000);
    let report = plant.write("press", "setpoint", 71).await;
    assert!(matches!(report.verdict, Verdict::Refused { code: "audit", .. }), "{:?}", report.verdict);
    assert_eq!(machine.written(4), [70], "O7");
    // Reading is not held up by it.
    plant.more_rows("press", 3).await;
    plant.stop().await;
}

#[tokio::test]
async fn f1_rows_of_one_device_stay_in_order_over_reconnects() {
    let machine = Rogue::start(4).await;
    let plant = plant(&[counting("press", &machine).every(10)]).await;
    for _ in 0..5 {
        plant.more_rows("press", 20).await;
        machine.cut(Then::Reset);
        plant.reaches("press", DeviceState::Online).await;
    }
    let received = records(&*plant.bus, ROWS).await;
    let offsets: Vec<i64> = received.iter().map(|received| received.offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "O3");
    let times: Vec<_> = received.iter().map(|received| received.record.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "O3: rows in the order in which they were read");
    plant.stop().await;
}
