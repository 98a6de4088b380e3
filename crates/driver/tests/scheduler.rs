//! The scan scheduler under simulated time: rates, overruns, outages, restarts, changes at run time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;

use fake::{Connect, Fake, Observer, TestClock, config, group, lost, request, rule};
use millstream_driver::limits;
use millstream_driver::schedule::{DeviceConfig, DeviceHandle, DeviceState, Scheduler, Verdict};
use millstream_model::metric::{Collect as _, Page};
use millstream_model::{Cell, Clock as _, Status, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

struct Bench {
    observer: Arc<Observer>,
    clock: Arc<TestClock>,
    scheduler: Scheduler,
}

impl Bench {
    fn start(configs: Vec<DeviceConfig>) -> Self {
        let observer = Arc::new(Observer::default());
        let clock = TestClock::new();
        let scheduler =
            Scheduler::start_seeded(configs, observer.clone(), observer.clone(), clock.clone(), 42);
        Self { observer, clock, scheduler }
    }

    fn device(&self, name: &str) -> DeviceHandle {
        self.scheduler.device(name).unwrap()
    }
}

fn real(value: f32) -> Value {
    Value::Real(value)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_scans_do_not_drift() {
    let fake = Fake::with(&[("t", real(1.0))]);
    fake.script.lock().read_time = Duration::from_micros(1700);
    let start = Instant::now();
    let bench = Bench::start(vec![config("d", &fake, vec![group(10, &["t"])], vec![])]);
    bench.observer.until("100,000 scans", |o| o.rows.lock().len() >= 100_000).await;
    let rows = bench.observer.rows.lock();
    let first = rows[0].at - start;
    for (n, seen) in rows.iter().enumerate().step_by(997) {
        let expected = Duration::from_millis(10) * u32::try_from(n).unwrap();
        let off = (seen.at - start).saturating_sub(first + expected);
        assert!(off <= Duration::from_millis(2), "scan {n} is {off:?} late");
        assert!(seen.at - start + Duration::from_millis(2) >= first + expected, "scan {n} is early");
    }
    assert!(rows.iter().all(|seen| seen.missed == 0));
}

#[tokio::test(start_paused = true)]
async fn an_overrun_is_counted_and_scans_never_overlap() {
    let fake = Fake::with(&[("t", real(1.0))]);
    fake.script.lock().read_time = Duration::from_millis(250);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["t"])], vec![])]);
    bench.observer.until("20 scans", |o| o.rows.lock().len() >= 20).await;
    // The fake asserts that reads do not overlap; every scan of 250 ms costs two of the 100 ms grid.
    let missed: Vec<u64> = bench.observer.rows.lock().iter().map(|seen| seen.missed).collect();
    assert_eq!(missed[0], 0);
    assert!(missed[1..20].iter().all(|missed| *missed == 2), "{missed:?}");
    assert_eq!(bench.device("d").metrics.overruns.get(), missed.iter().sum::<u64>());
    assert_eq!(bench.device("d").metrics.restarts.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn groups_of_one_device_keep_their_own_rates() {
    let fake = Fake::with(&[("a", real(1.0)), ("b", real(2.0))]);
    fake.script.lock().read_time = Duration::from_millis(2);
    let groups = vec![group(100, &["a"]), group(1000, &["b", "a"])];
    let bench = Bench::start(vec![config("d", &fake, groups, vec![])]);
    sleep(Duration::from_millis(10_050)).await;
    let rows = bench.observer.rows_of("d");
    assert_eq!(rows.iter().filter(|seen| seen.group == 0).count(), 101);
    assert_eq!(rows.iter().filter(|seen| seen.group == 1).count(), 11);
    let slow = rows.iter().find(|seen| seen.group == 1).unwrap();
    assert_eq!(slow.row.cells, [Cell::Good(real(2.0)), Cell::Good(real(1.0))]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_address_costs_its_tag_only() {
    let fake = Fake::with(&[("a", real(1.0)), ("c", real(3.0))]);
    fake.script.lock().bad_addresses = vec!["b".to_owned()];
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a", "b", "c"])], vec![])]);
    bench.observer.until("2 scans", |o| o.rows.lock().len() >= 2).await;
    let rows = bench.observer.rows_of("d");
    let expected = [Cell::Good(real(1.0)), Cell::Bad(Status::BadConfigurationError), Cell::Good(real(3.0))];
    assert!(rows.iter().all(|seen| seen.row.cells == expected), "{rows:?}");
    assert_eq!(bench.observer.states(), [DeviceState::Online]);
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_said_at_once_once_and_the_return_too() {
    let fake = Fake::with(&[("a", real(1.0)), ("b", real(2.0))]);
    let groups = vec![group(100, &["a"]), group(60_000, &["b"])];
    let bench = Bench::start(vec![config("d", &fake, groups, vec![])]);
    bench.observer.until("both scans", |o| o.rows.lock().len() >= 2).await;
    fake.script.lock().connect_always = Some(Connect::Lost);
    let cut_at = Instant::now();
    fake.cut.notify_one();
    bench.observer.until("offline", |o| o.states().contains(&DeviceState::Offline)).await;
    bench
        .observer
        .until("a bad row of the slow group", |o| {
            o.rows.lock().iter().any(|seen| seen.group == 1 && !seen.row.cells[0].is_good())
        })
        .await;
    assert!(cut_at.elapsed() < Duration::from_millis(5), "not only at the next scan");
    // Three days away: attempts go on, nothing is said, nothing grows.
    let before = fake.script.lock().connects_seen;
    sleep(Duration::from_hours(72)).await;
    let bad: Vec<_> =
        bench.observer.rows_of("d").into_iter().filter(|seen| !seen.row.cells[0].is_good()).collect();
    assert_eq!(bad.iter().map(|seen| seen.group).collect::<Vec<_>>(), [0, 1]);
    assert!(bad.iter().all(|seen| seen.row.cells == [Cell::Bad(Status::BadConnectionClosed)]));
    assert_eq!(bench.observer.states(), [DeviceState::Online, DeviceState::Offline]);
    assert!(bench.observer.changes.lock()[1].cause.contains("cable"));
    let attempts = fake.script.lock().connects_seen - before;
    // Full jitter around a ceiling of 30 s: 15 s on average.
    assert!((10_000..40_000).contains(&attempts), "{attempts} attempts in three days");
    fake.script.lock().connect_always = None;
    let healed = Instant::now();
    bench.observer.until("online again", |o| o.states().len() == 3).await;
    assert!(healed.elapsed() <= limits::BACK_OFF_MAX + Duration::from_secs(1));
    assert_eq!(bench.observer.states()[2], DeviceState::Online);
    let rows = bench.observer.rows.lock().len();
    bench.observer.until("both groups scanned at once", |o| o.rows.lock().len() >= rows + 2).await;
    assert!(healed.elapsed() <= limits::BACK_OFF_MAX + Duration::from_secs(2), "slow groups do not wait");
    let after = bench.observer.rows_of("d");
    assert!(after.iter().all(|seen| seen.missed == 0), "an outage is no overrun");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_down_at_the_start_is_an_outage_too() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().connects.extend([Connect::Lost, Connect::Lost, Connect::Hang]);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    bench.observer.until("online", |o| o.states().contains(&DeviceState::Online)).await;
    assert_eq!(bench.observer.states(), [DeviceState::Offline, DeviceState::Online]);
    let rows = bench.observer.rows_of("d");
    assert_eq!(rows[0].row.cells, [Cell::Bad(Status::BadConnectionClosed)]);
    bench
        .observer
        .until("a good row", |o| o.rows.lock().iter().any(|seen| seen.row.cells[0].is_good()))
        .await;
    assert_eq!(bench.observer.rows_of("d").iter().filter(|seen| !seen.row.cells[0].is_good()).count(), 1);
    assert_eq!(bench.device("d").metrics.connection_errors.get(), 3);
    assert_eq!(bench.device("d").metrics.online.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_asked_slowly_and_says_the_remedy() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().connect_always = Some(Connect::Refused);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    sleep(Duration::from_hours(1)).await;
    let attempts = fake.script.lock().connects_seen;
    assert!((60..=121).contains(&attempts), "{attempts} attempts in an hour");
    assert_eq!(bench.observer.states(), [DeviceState::Refused]);
    assert_eq!(bench.observer.changes.lock()[0].cause, "wrong slot; set remote-slot");
    assert_eq!(bench.observer.rows.lock().len(), 1);
    assert_eq!(bench.device("d").state.borrow().state, DeviceState::Refused);
}

#[tokio::test(start_paused = true)]
async fn from_away_to_refused_is_a_change_of_state_and_no_second_row() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().connects.extend([Connect::Lost, Connect::Refused, Connect::Lost]);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    bench.observer.until("online", |o| o.states().contains(&DeviceState::Online)).await;
    let expected = [DeviceState::Offline, DeviceState::Refused, DeviceState::Offline, DeviceState::Online];
    assert_eq!(bench.observer.states(), expected);
    assert_eq!(bench.observer.rows.lock().iter().filter(|seen| !seen.row.cells[0].is_good()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lasted_is_made_again_quickly() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().connects.extend([Connect::Lost; 12]);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    bench.observer.until("online", |o| o.states().len() == 2).await;
    for cycle in 2..12 {
        sleep(Duration::from_mins(1)).await;
        fake.cut.notify_one();
        let cut = Instant::now();
        bench.observer.until("online again", |o| o.states().len() == 2 * cycle).await;
        assert!(cut.elapsed() <= limits::BACK_OFF_MIN + Duration::from_millis(5), "{:?}", cut.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_hangs_up_at_once_is_not_stormed() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().reads.extend((0..100_000).map(|_| lost("too many connections")));
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    sleep(Duration::from_hours(1)).await;
    let attempts = fake.script.lock().connects_seen;
    assert!(attempts < 500, "{attempts} connections in an hour");
    assert_eq!(bench.observer.states(), [DeviceState::Offline], "it was never online: nothing was read");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_losses_leave_nothing_behind() {
    let fake = Fake::with(&[("a", real(1.0))]);
    let bench = Bench::start(vec![config("d", &fake, vec![group(1000, &["a"])], vec![])]);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for cycle in 1..=1000 {
        bench.observer.until("online", |o| o.states().len() == 2 * cycle - 1).await;
        fake.cut.notify_one();
        bench.observer.until("offline", |o| o.states().len() == 2 * cycle).await;
    }
    bench.observer.until("online", |o| o.states().len() == 2001).await;
    let script = fake.script.lock();
    assert_eq!(script.open_sessions, 1);
    assert_eq!(script.sessions_max, 1, "the old session is closed before the new one is opened");
    drop(script);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), tasks);
}

#[tokio::test(start_paused = true)]
async fn a_hung_or_dead_device_does_not_delay_the_others() {
    let (good, hung, dead) = (Fake::with(&[("a", real(1.0))]), Fake::default(), Fake::default());
    hung.script.lock().hang_reads = true;
    dead.script.lock().connect_always = Some(Connect::Hang);
    let groups = || vec![group(100, &["a"])];
    let bench = Bench::start(vec![
        config("dead", &dead, groups(), vec![]),
        config("good", &good, groups(), vec![]),
        config("hung", &hung, groups(), vec![]),
    ]);
    sleep(Duration::from_hours(1)).await;
    let rows = bench.observer.rows_of("good");
    assert!((36_000..=36_001).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|seen| seen.missed == 0));
    // A scan without end is ended, and the device is connected to again.
    assert!(hung.script.lock().connects_seen > 10);
    let row = &bench.observer.rows_of("hung")[0].row;
    assert_eq!(row.cells, [Cell::Bad(Status::BadTimeout)]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_restarts_the_device_and_nothing_else() {
    let (good, broken) = (Fake::with(&[("a", real(1.0))]), Fake::with(&[("a", real(2.0))]));
    let groups = || vec![group(100, &["a"])];
    let bench = Bench::start(vec![
        config("broken", &broken, groups(), vec![]),
        config("good", &good, groups(), vec![]),
    ]);
    bench.observer.until("online", |o| o.states().len() == 2).await;
    broken.script.lock().read_panics = 1;
    broken.script.lock().connects.push_back(Connect::Panic);
    bench.observer.until("online again", |o| o.states().len() == 4).await;
    let changes = bench.observer.changes.lock().clone();
    assert_eq!(changes[2].state, DeviceState::Offline);
    assert!(changes[2].cause.contains("panics on demand"), "{}", changes[2].cause);
    assert_eq!(&*changes[3].device, "broken");
    assert_eq!(changes[3].state, DeviceState::Online);
    assert_eq!(bench.device("broken").metrics.restarts.get(), 2);
    assert!(bench.observer.rows_of("good").iter().all(|seen| seen.missed == 0));
    assert_eq!(broken.script.lock().open_sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn jumps_of_the_wall_clock_do_not_disturb_the_rate() {
    let fake = Fake::with(&[("a", real(1.0))]);
    let bench = Bench::start(vec![config("d", &fake, vec![group(100, &["a"])], vec![])]);
    for jump in [3_600_000, -7_200_000, 3 * 86_400_000, -3 * 86_400_000] {
        let before = bench.observer.rows.lock().len();
        bench.clock.jump(jump);
        sleep(Duration::from_secs(10)).await;
        let scans = bench.observer.rows.lock().len() - before;
        assert!((99..=101).contains(&scans), "{scans}");
    }
    assert_eq!(bench.observer.states(), [DeviceState::Online]);
}

#[tokio::test(start_paused = true)]
async fn first_connections_are_spread() {
    let fakes: Vec<Fake> = (0..200).map(|_| Fake::with(&[("a", real(1.0))])).collect();
    let start = Instant::now();
    let configs = fakes
        .iter()
        .enumerate()
        .map(|(n, fake)| config(&format!("d{n:03}"), fake, vec![group(60_000, &["a"])], vec![]));
    let bench = Bench::start(configs.collect());
    bench.observer.until("200 scans", |o| o.rows.lock().len() == 200).await;
    let mut at: Vec<Duration> = bench.observer.rows.lock().iter().map(|seen| seen.at - start).collect();
    at.sort();
    let crowd = at.chunk_by(|a, b| a.as_millis() == b.as_millis()).map(<[_]>::len).max().unwrap();
    assert!(crowd <= 4, "{crowd} first scans within one millisecond");
    assert!(*at.last().unwrap() <= Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn devices_come_and_go_and_the_others_miss_nothing() {
    let (stays, changes) = (Fake::with(&[("a", real(1.0))]), Fake::with(&[("a", real(2.0))]));
    let groups = || vec![group(100, &["a"])];
    let bench = Bench::start(vec![
        config("changes", &changes, groups(), vec![rule("a")]),
        config("stays", &stays, groups(), vec![]),
    ]);
    let old = bench.device("changes");
    for _ in 0..50 {
        sleep(Duration::from_millis(330)).await;
        bench.scheduler.replace(config("changes", &changes, groups(), vec![rule("a")])).await.unwrap();
    }
    assert!(bench.scheduler.add(config("stays", &stays, groups(), vec![])).is_err(), "the name is taken");
    assert!(bench.scheduler.remove("changes").await);
    assert!(!bench.scheduler.remove("changes").await);
    assert_eq!(changes.script.lock().open_sessions, 0);
    assert_eq!(changes.script.lock().sessions_max, 1, "never two connections, not even while replacing");
    let reports = old.write(vec![request("1", "a", 1.0, bench.clock.now())]).await;
    assert!(matches!(reports[0].verdict, Verdict::Refused { code: "offline", .. }), "{reports:?}");
    let rows = bench.observer.rows_of("stays");
    assert!(rows.iter().all(|seen| seen.missed == 0));
    assert!((164..=167).contains(&rows.len()), "{}", rows.len());
    assert_eq!(stays.script.lock().connects_seen, 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_takes_five_seconds_at_most() {
    let fakes: Vec<Fake> = (0..20).map(|_| Fake::with(&[("a", real(1.0))])).collect();
    fakes[3].script.lock().hang_reads = true;
    fakes[4].script.lock().connect_always = Some(Connect::Hang);
    fakes[5].script.lock().writes.push_back(fake::Write::Hang);
    let configs = fakes
        .iter()
        .enumerate()
        .map(|(n, fake)| config(&format!("d{n}"), fake, vec![group(100, &["a"])], vec![rule("a")]));
    let bench = Bench::start(configs.collect());
    let (hung, now) = (bench.device("d5"), bench.clock.now());
    let hung_write = tokio::spawn(async move { hung.write(vec![request("1", "a", 1.0, now)]).await });
    sleep(Duration::from_secs(1)).await;
    timeout(Duration::from_secs(5), bench.scheduler.stop()).await.unwrap();
    for fake in &fakes {
        assert_eq!(fake.script.lock().open_sessions, 0);
    }
    let reports = hung_write.await.unwrap();
    assert!(matches!(reports[0].verdict, Verdict::Unknown { .. }), "{reports:?}");
    assert!(bench.scheduler.devices().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_observer_makes_the_cycle_longer_and_nothing_queues() {
    struct Slow(Arc<Observer>);
    #[async_trait::async_trait]
    impl millstream_driver::schedule::ScanObserver for Slow {
        async fn scanned(&self, scan: millstream_driver::schedule::Scan<'_>) {
            sleep(Duration::from_millis(350)).await;
            self.0.scanned(scan).await;
        }
        async fn state_changed(&self, change: millstream_driver::schedule::StateChange) {
            self.0.state_changed(change).await;
        }
    }
    let fake = Fake::with(&[("a", real(1.0))]);
    let observer = Arc::new(Observer::default());
    let scheduler = Scheduler::start_seeded(
        vec![config("d", &fake, vec![group(100, &["a"])], vec![])],
        Arc::new(Slow(observer.clone())),
        observer.clone(),
        TestClock::new(),
        1,
    );
    observer.until("10 rows", |o| o.rows.lock().len() == 10).await;
    assert!(observer.rows.lock()[1..].iter().all(|seen| seen.missed == 3));
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn metrics_carry_the_device_and_its_counts() {
    let fake = Fake::with(&[("a", real(1.0))]);
    let bench = Bench::start(vec![config("press \"1\"", &fake, vec![group(100, &["a", "b"])], vec![])]);
    bench.observer.until("3 scans", |o| o.rows.lock().len() >= 3).await;
    let mut page = Page::default();
    bench.device("press \"1\"").metrics.collect(&mut page);
    let text = page.render();
    for line in [
        "millstream_device_online{device=\"press \\\"1\\\"\"} 1",
        "millstream_device_scans_total{device=\"press \\\"1\\\"\"} 3",
        "millstream_device_bad_cells_total{device=\"press \\\"1\\\"\"} 3",
        "millstream_device_scan_seconds_count{device=\"press \\\"1\\\"\"} 3",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_answers_slowly_is_asked_less_until_it_is_itself_again() {
    let fake = Fake::with(&[("a", real(1.0))]);
    fake.script.lock().round_trip = Some(Duration::from_millis(5));
    let bench = Bench::start(vec![config("d", &fake, vec![group(1000, &["a"])], vec![])]);
    let scans_in = async |seconds: u64| {
        let before = bench.observer.rows.lock().len();
        sleep(Duration::from_secs(seconds)).await;
        bench.observer.rows.lock().len() - before
    };
    assert!((59..=61).contains(&scans_in(60).await));
    fake.script.lock().round_trip = Some(Duration::from_millis(400));
    scans_in(60).await;
    let slow = scans_in(80).await;
    assert!((9..=11).contains(&slow), "{slow} scans in 80 s at an eighth of the rate");
    assert_eq!(bench.device("d").metrics.slowed_down.get(), 3);
    assert!(bench.device("d").metrics.overruns.get() > 70, "what is left out is counted");
    fake.script.lock().round_trip = Some(Duration::from_millis(5));
    scans_in(60).await;
    assert!((59..=61).contains(&scans_in(60).await));
}

#[tokio::test(start_paused = true)]
async fn two_thousand_devices_are_two_thousand_tasks() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let fake = Fake::with(&[("a", real(1.0))]);
    let configs = (0..2000).map(|n| config(&format!("d{n}"), &fake, vec![group(1000, &["a"])], vec![]));
    // The devices share a script, and the fake must not think that they overlap.
    fake.script.lock().read_time = Duration::ZERO;
    let bench = Bench::start(configs.collect());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(alive() - before, 2000);
    let rows = bench.observer.rows.lock().clone();
    assert!((18_000..=22_000).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|seen| seen.missed == 0 && seen.row.cells[0].is_good()));
    bench.scheduler.stop().await;
    assert_eq!(alive(), before);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_connections_and_never_answers_is_not_online() {
    let fake = Fake::with(&[("a", Value::Real(1.0))]);
    fake.script.lock().mute = true;
    let observer = Arc::new(Observer::default());
    let config = config("d", &fake, vec![group(100, &["a"]), group(200, &["a"])], Vec::new());
    let _scheduler =
        Scheduler::start_seeded(vec![config], observer.clone(), observer.clone(), TestClock::new(), 7);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(observer.states(), [DeviceState::Offline], "said once");
    assert!(observer.changes.lock()[0].cause.contains("does not answer"));
    assert_eq!(observer.rows.lock().len(), 2, "one row per group says that it is lost");
    let connects = fake.script.lock().connects_seen;
    assert!(connects < 100, "{connects}: the back-off grows although each connection is made");
    fake.script.lock().mute = false;
    observer.until("online", |o| o.states().contains(&DeviceState::Online)).await;
}
