//! Writes through the scheduler under simulated time: order, supersession, outages, lost answers, latches, audit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;

use fake::{Connect, Fake, Observer, TestClock, Write, config, group, request, rule};
use millstream_driver::Driver as _;
use millstream_driver::guard::{WriteRequest, WriteRule};
use millstream_driver::limits;
use millstream_driver::schedule::{DeviceHandle, DeviceState, Scheduler, Verdict, WriteReport, write_once};
use millstream_driver::{ConnectionString, SessionContext};
use millstream_model::{Clock as _, Timestamp, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

struct Bench {
    observer: Arc<Observer>,
    clock: Arc<TestClock>,
    fake: Fake,
    device: DeviceHandle,
    scheduler: Scheduler,
}

impl Bench {
    fn start(rules: Vec<WriteRule>) -> Self {
        let fake = Fake::with(&[("a", Value::Real(1.0)), ("b", Value::Real(2.0))]);
        fake.script.lock().keep_done = true;
        let observer = Arc::new(Observer::default());
        let clock = TestClock::new();
        let configs = vec![config("d", &fake, vec![group(1000, &["a", "b"])], rules)];
        let scheduler =
            Scheduler::start_seeded(configs, observer.clone(), observer.clone(), clock.clone(), 7);
        let device = scheduler.device("d").unwrap();
        Self { observer, clock, fake, device, scheduler }
    }

    async fn online(rules: Vec<WriteRule>) -> Self {
        let bench = Self::start(rules);
        bench.observer.until("online", |o| o.states().contains(&DeviceState::Online)).await;
        bench
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn ask(&self, id: &str, tag: &str, value: f64) -> WriteRequest {
        request(id, tag, value, self.now())
    }

    async fn write(&self, id: &str, tag: &str, value: f64) -> WriteReport {
        self.device.write(vec![self.ask(id, tag, value)]).await.remove(0)
    }

    fn write_later(&self, id: &str, tag: &str, value: f64) -> JoinHandle<Vec<WriteReport>> {
        let (device, request) = (self.device.clone(), self.ask(id, tag, value));
        tokio::spawn(async move { device.write(vec![request]).await })
    }

    fn written(&self) -> Vec<String> {
        self.fake.done().into_iter().filter(|step| step.starts_with("write")).collect()
    }
}

fn code(report: &WriteReport) -> &'static str {
    match &report.verdict {
        Verdict::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

const VERIFIED: Verdict = Verdict::Written { verified: true };

#[tokio::test(start_paused = true)]
async fn a_write_is_checked_audited_written_and_read_back() {
    let bench = Bench::online(vec![rule("a")]).await;
    let report = bench.write("1", "a", 5.0).await;
    assert_eq!(report.verdict, VERIFIED);
    assert_eq!(report.old, Some(Value::Real(1.0)));
    assert_eq!(bench.fake.value("a"), Some(Value::Real(5.0)));
    assert_eq!(bench.observer.intents.lock().len(), 1);
    assert_eq!(*bench.observer.reports.lock(), [report]);
    assert_eq!(bench.device.metrics.writes.get(), 1);
    let refused = bench.write("2", "b", 5.0).await;
    assert_eq!(code(&refused), "not-allowed");
    assert_eq!(bench.observer.intents.lock().len(), 1, "a refused write has no intent");
    assert_eq!(bench.observer.reports.lock().len(), 2, "but the trail hears of it");
    assert_eq!(bench.device.metrics.writes_refused.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_intent_no_write() {
    let bench =
        Bench::online(vec![WriteRule { min_interval: Some(Duration::from_mins(1)), ..rule("a") }]).await;
    *bench.observer.refuse_intents.lock() = Some("the log is full".to_owned());
    let report = bench.write("1", "a", 5.0).await;
    assert_eq!(code(&report), "audit");
    assert!(bench.written().is_empty());
    *bench.observer.refuse_intents.lock() = None;
    assert_eq!(bench.write("2", "a", 5.0).await.verdict, VERIFIED, "what was not sent starts no interval");
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_hangs_refuses_writes_and_does_not_stop_scans() {
    let bench = Bench::online(vec![rule("a")]).await;
    *bench.observer.intent_time.lock() = Duration::from_hours(1);
    let rows = bench.observer.rows.lock().len();
    let report = bench.write("1", "a", 5.0).await;
    assert_eq!(code(&report), "audit");
    assert!(bench.written().is_empty());
    sleep(Duration::from_secs(10)).await;
    assert!(bench.observer.rows.lock().len() >= rows + 10);
}

#[tokio::test(start_paused = true)]
async fn expiry_is_judged_again_after_the_intent() {
    let bench = Bench::online(vec![rule("a")]).await;
    *bench.observer.intent_time.lock() = Duration::from_secs(2);
    bench.fake.script.lock().writes.push_back(Write::Refuse);
    let soon = WriteRequest {
        expires_at: Some(bench.now().plus(Duration::from_secs(1))),
        ..bench.ask("1", "a", 5.0)
    };
    let reports = bench.device.write(vec![soon]).await;
    assert_eq!(code(&reports[0]), "too-old");
    assert_eq!(bench.fake.script.lock().writes.len(), 1, "the session was not even asked");
    assert_eq!(bench.observer.intents.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_go_before_the_next_scan() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().read_time = Duration::from_millis(500);
    bench.observer.until("the next scan", |o| o.rows.lock().len() >= 2).await;
    bench.fake.script.lock().done.clear();
    // Asked while a scan runs: it waits for the end of the scan, and for nothing else.
    bench.observer.until("one more scan", |o| o.rows.lock().len() >= 3).await;
    sleep(Duration::from_millis(700)).await;
    let asked = Instant::now();
    assert_eq!(bench.write("1", "a", 5.0).await.verdict, VERIFIED);
    assert!(asked.elapsed() < Duration::from_millis(1100));
    let done = bench.fake.done();
    let write = done.iter().position(|step| step == "write a=5").unwrap();
    assert_eq!(done[write - 1], "read 1", "the old value is read right before the write: {done:?}");
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_under_a_flood_of_writes() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().read_time = Duration::from_millis(100);
    let end = Instant::now() + Duration::from_mins(1);
    let mut id = 0;
    while Instant::now() < end {
        id += 1;
        bench.write(&id.to_string(), "a", 5.0).await;
    }
    let rows = bench.observer.rows.lock().len();
    assert!(rows >= 55, "{rows} scans in 60 s");
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_in_one_batch_the_newest_is_written() {
    let bench = Bench::online(vec![rule("a"), rule("b")]).await;
    let mut burst: Vec<WriteRequest> =
        (0..100).map(|n| bench.ask(&n.to_string(), "a", f64::from(n))).collect();
    burst.insert(50, bench.ask("b", "b", 77.0));
    let reports = bench.device.write(burst).await;
    assert_eq!(reports.len(), 101);
    assert_eq!(bench.written(), ["write b=77", "write a=99"]);
    assert_eq!(reports[100].verdict, VERIFIED);
    assert_eq!(&*reports[100].request.id, "99");
    let superseded = reports.iter().filter(|report| report.verdict != VERIFIED);
    assert_eq!(superseded.map(code).filter(|code| *code == "superseded").count(), 99);
    assert_eq!(bench.observer.reports.lock().len(), 101, "every one has its record");
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_in_a_hundred_calls_the_newest_is_written() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().read_time = Duration::from_millis(10);
    let calls: Vec<_> = (0..100).map(|n| bench.write_later(&n.to_string(), "a", f64::from(n))).collect();
    let mut reports = Vec::new();
    for call in calls {
        reports.extend(call.await.unwrap());
    }
    assert_eq!(bench.fake.value("a"), Some(Value::Real(99.0)));
    assert_eq!(reports[99].verdict, VERIFIED);
    assert!(bench.written().len() <= 2, "{:?}", bench.written());
    assert_eq!(bench.observer.reports.lock().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_as_busy_and_never_blocks() {
    let names: Vec<String> = (0..limits::WRITE_QUEUE + 10).map(|n| format!("t{n:02}")).collect();
    let bench = Bench::start(names.iter().map(|name| rule(name)).collect());
    bench.fake.script.lock().connect_always = Some(Connect::Hang);
    sleep(Duration::from_secs(1)).await;
    let calls: Vec<_> = names.iter().map(|name| bench.write_later("1", name, 1.0)).collect();
    let asked = Instant::now();
    let mut codes = Vec::new();
    for call in calls {
        codes.push(code(&call.await.unwrap()[0]));
    }
    assert_eq!(codes.iter().filter(|code| **code == "busy").count(), 10);
    assert_eq!(codes.iter().filter(|code| **code == "offline").count(), limits::WRITE_QUEUE);
    assert!(asked.elapsed() <= limits::MAX_AGE + limits::CONNECT_TIMEOUT + Duration::from_secs(1));
    // What was refused as busy was not judged: the same command may come again.
    let again = bench.write_later("1", &names[limits::WRITE_QUEUE], 1.0);
    assert_eq!(code(&again.await.unwrap()[0]), "offline");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_only_the_newest_of_each_tag_is_written() {
    let bench = Bench::online(vec![rule("a"), rule("b")]).await;
    bench.fake.script.lock().connects.extend([Connect::Lost; 3]);
    bench.fake.cut.notify_one();
    bench.observer.until("offline", |o| o.states().len() == 2).await;
    let calls: Vec<_> = (0..20).map(|n| bench.write_later(&n.to_string(), "a", f64::from(n))).collect();
    let other = bench.write_later("x", "b", 8.0);
    let mut verdicts = Vec::new();
    for call in calls {
        verdicts.push(call.await.unwrap().remove(0));
    }
    assert!(verdicts[..19].iter().all(|report| code(report) == "superseded"));
    assert_eq!(verdicts[19].verdict, VERIFIED);
    assert_eq!(other.await.unwrap()[0].verdict, VERIFIED);
    assert_eq!(bench.written(), ["write a=19", "write b=8"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_out_of_a_backlog() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().connect_always = Some(Connect::Lost);
    bench.fake.cut.notify_one();
    bench.observer.until("offline", |o| o.states().len() == 2).await;
    let asked = Instant::now();
    let report = bench.write("1", "a", 5.0).await;
    assert_eq!(code(&report), "offline");
    let waited = asked.elapsed();
    assert!(waited >= limits::MAX_AGE && waited < limits::MAX_AGE + Duration::from_secs(1), "{waited:?}");
    bench.fake.script.lock().connect_always = None;
    bench.observer.until("online", |o| o.states().len() == 3).await;
    sleep(Duration::from_secs(10)).await;
    assert!(bench.written().is_empty());
}

#[tokio::test(start_paused = true)]
async fn setting_the_wall_clock_back_makes_no_command_young_again() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().connect_always = Some(Connect::Lost);
    bench.fake.cut.notify_one();
    bench.observer.until("offline", |o| o.states().len() == 2).await;
    let call = bench.write_later("1", "a", 5.0);
    sleep(Duration::from_secs(5)).await;
    bench.clock.jump(-3000);
    sleep(Duration::from_secs(7)).await;
    assert!(call.is_finished(), "12 s old by the monotonic clock");
    assert_eq!(code(&call.await.unwrap()[0]), "offline");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_read_back_and_never_repeated() {
    for (step, expected) in
        [(Write::StoreAndDie, VERIFIED), (Write::Die, Verdict::Mismatch { found: Value::Real(1.0) })]
    {
        let bench = Bench::online(vec![rule("a")]).await;
        bench.fake.script.lock().writes.push_back(step);
        let report = bench.write("1", "a", 5.0).await;
        assert_eq!(report.verdict, expected);
        assert_eq!(report.old, Some(Value::Real(1.0)));
        sleep(Duration::from_mins(1)).await;
        assert!(bench.written().len() <= 1, "{:?}", bench.written());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_back_is_unknown() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().writes.push_back(Write::StoreAndDie);
    bench.fake.script.lock().connect_always = Some(Connect::Lost);
    let asked = Instant::now();
    let report = bench.write("1", "a", 5.0).await;
    assert!(
        matches!(&report.verdict, Verdict::Unknown { message } if message.contains("cut after")),
        "{report:?}"
    );
    assert!(asked.elapsed() >= limits::SETTLE_TIMEOUT);
    assert!(asked.elapsed() < limits::SETTLE_TIMEOUT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_device_and_another_value_are_failures_and_latch() {
    let bench = Bench::online(vec![rule("a"), rule("b")]).await;
    bench.fake.script.lock().writes.extend([Write::Refuse, Write::Spoil(Value::Real(9.0)), Write::Refuse]);
    let first = bench.write("1", "a", 5.0).await;
    assert!(matches!(&first.verdict, Verdict::Failed { message } if message.contains("exception 2")));
    let second = bench.write("2", "a", 5.0).await;
    assert_eq!(second.verdict, Verdict::Mismatch { found: Value::Real(9.0) });
    bench.write("3", "a", 5.0).await;
    assert_eq!(code(&bench.write("4", "a", 5.0).await), "latched");
    assert_eq!(bench.write("5", "b", 5.0).await.verdict, VERIFIED, "other tags are not latched");
    let latched = |device: &DeviceHandle| -> Vec<Arc<str>> {
        device.latched().into_iter().map(|latch| latch.tag).collect()
    };
    assert_eq!((latched(&bench.device), bench.device.metrics.latched_tags.get()), (vec!["a".into()], 1));
    assert!(bench.device.rearm("a"));
    assert!(!bench.device.rearm("a"));
    assert_eq!((latched(&bench.device), bench.device.metrics.latched_tags.get()), (vec![], 0));
    assert_eq!(bench.write("6", "a", 5.0).await.verdict, VERIFIED);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_command_is_refused() {
    let bench = Bench::online(vec![rule("a"), rule("b")]).await;
    let both = || vec![bench.ask("topic-0-17", "a", 5.0), bench.ask("topic-0-17", "b", 6.0)];
    assert!(bench.device.write(both()).await.iter().all(|report| report.verdict == VERIFIED));
    assert!(bench.device.write(both()).await.iter().all(|report| code(report) == "duplicate"));
    assert_eq!(bench.written().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn steps_are_judged_against_the_device_not_against_memory() {
    let bench = Bench::online(vec![WriteRule { max_step: Some(5.0), ..rule("a") }]).await;
    assert_eq!(bench.write("1", "a", 6.0).await.verdict, VERIFIED);
    bench.fake.script.lock().values.insert("a".to_owned(), Value::Real(50.0));
    assert_eq!(code(&bench.write("2", "a", 7.0).await), "step");
    bench.fake.script.lock().values.remove("a");
    let unknown = bench.write("3", "a", 7.0).await;
    assert_eq!(code(&unknown), "step", "without the present value no step can be judged");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_writing_leaves_the_write_unknown() {
    let bench = Bench::online(vec![rule("a")]).await;
    bench.fake.script.lock().read_panics = 1;
    let report = bench.write("1", "a", 5.0).await;
    assert!(matches!(report.verdict, Verdict::Unknown { .. }), "{report:?}");
    bench.observer.until("online again", |o| o.states().len() == 3).await;
    assert_eq!(bench.write("2", "a", 5.0).await.verdict, VERIFIED);
}

#[tokio::test(start_paused = true)]
async fn the_command_line_takes_the_same_way() {
    let fake = Fake::with(&[("a", Value::Real(1.0)), ("b", Value::Real(1.0))]);
    let (observer, clock) = (Observer::default(), TestClock::new());
    let target = fake.target(ConnectionString::parse("fake://h").unwrap()).unwrap();
    let mut session = fake.connect(&target, SessionContext::new(clock.clone())).await.unwrap();
    let ask = |id: &str, tag: &str, value: f64| request(id, tag, value, clock.now());
    let rules = vec![WriteRule { max: Some(10.0), ..rule("a") }, rule("b")];
    let requests = vec![ask("1", "a", 11.0), ask("2", "c", 1.0), ask("3", "b", 4.0)];
    let (device, limit) = ("fake://h".into(), Duration::from_secs(5));
    let reports =
        write_once(session.as_mut(), &device, rules.clone(), requests, &observer, &*clock, limit).await;
    assert_eq!(code(&reports[0]), "out-of-range");
    assert_eq!(code(&reports[1]), "not-allowed");
    assert_eq!(reports[2].verdict, VERIFIED);
    assert_eq!(observer.intents.lock().len(), 1);
    assert_eq!(*observer.reports.lock(), reports);
    fake.script.lock().writes.push_back(Write::Die);
    let again = vec![ask("4", "b", 5.0)];
    let reports =
        write_once(session.as_mut(), &device, rules.clone(), again, &observer, &*clock, limit).await;
    assert!(matches!(&reports[0].verdict, Verdict::Unknown { message } if message.contains("cut before")));
    fake.script.lock().writes.push_back(Write::NotSent);
    let again = vec![ask("5", "b", 5.0)];
    let reports = write_once(session.as_mut(), &device, rules, again, &observer, &*clock, limit).await;
    assert_eq!(code(&reports[0]), "offline", "whoever asks once is told that nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_waits_again_and_is_no_failure() {
    let slow = WriteRule { min_interval: Some(Duration::from_mins(1)), ..rule("a") };
    let bench = Bench::online(vec![slow, rule("b")]).await;
    // More often than would latch the tag off, were it a failure; and the interval must not start.
    for id in 0..limits::LATCH_FAILURES + 2 {
        bench.fake.script.lock().writes.extend([Write::NotSent]);
        let report = bench.write(&format!("alone {id}"), "a", 5.0).await;
        assert_eq!(code(&report), "offline", "nothing else was done, so trying again at once is no use");
    }
    bench.fake.script.lock().writes.extend([Write::Refuse, Write::NotSent]);
    let both = vec![bench.ask("1", "b", 3.0), bench.ask("1", "a", 5.0)];
    let reports = bench.device.write(both).await;
    assert!(matches!(reports[0].verdict, Verdict::Failed { .. }));
    assert_eq!(reports[1].verdict, VERIFIED);
    assert_eq!(bench.written(), ["write a=5"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_device_forgets_no_command_no_interval_and_no_latch() {
    let slow = WriteRule { min_interval: Some(Duration::from_mins(1)), ..rule("b") };
    let rules = vec![rule("a"), slow];
    let bench = Bench::online(rules.clone()).await;
    let failures = limits::LATCH_FAILURES as usize;
    bench.fake.script.lock().writes.extend(std::iter::repeat_n(Write::Refuse, failures));
    for id in 0..failures {
        bench.write(&format!("refused {id}"), "a", 5.0).await;
    }
    assert_eq!(bench.write("b1", "b", 3.0).await.verdict, VERIFIED);
    let ask = |id: &str, tag: &str, value: f64| vec![bench.ask(id, tag, value)];

    let faster = config("d", &bench.fake, vec![group(100, &["a"])], rules.clone());
    let device = bench.scheduler.replace(faster).await.unwrap();
    assert_eq!(device.metrics.latched_tags.get(), 1, "told before anybody asks for a write");
    assert_eq!(code(&device.write(ask("b1", "b", 3.0)).await[0]), "duplicate");
    assert_eq!(code(&device.write(ask("b2", "b", 3.0)).await[0]), "too-soon");
    assert_eq!(code(&device.write(ask("a1", "a", 5.0)).await[0]), "latched");

    let relaxed = vec![WriteRule { max: Some(100.0), ..rule("a") }, rules[1].clone()];
    let mended = config("d", &bench.fake, vec![group(100, &["a"])], relaxed);
    let device = bench.scheduler.replace(mended).await.unwrap();
    assert_eq!(device.metrics.latched_tags.get(), 0);
    assert_eq!(device.write(ask("a2", "a", 5.0)).await[0].verdict, VERIFIED, "its rule is another");
    assert_eq!(code(&device.write(ask("b3", "b", 3.0)).await[0]), "too-soon", "its rule is the same");
}
