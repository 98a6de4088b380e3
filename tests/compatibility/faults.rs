//! Brokers that are killed and restarted, members that die or stop, topics that are made anew: under clients that go on.
#![expect(clippy::print_stdout, reason = "the seed of a test that fails")]

use crate::load::{PATIENCE, Reads, acknowledged, end, judge_load, live_until, run, script, topic, unique};
use millstream_driver::Random;
use millstream_tests::broker::{Broker, judge_cases};
use millstream_tests::oracle::eventually;
use millstream_tests::peer::Process;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A source of chance whose seed is printed, so that a failure can be run again.
pub(crate) fn chance() -> Random {
    let seed = std::env::var("MILLSTREAM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("MILLSTREAM_SEED={seed}");
    Random::new(seed)
}

/// How often a broker is killed in one test.
fn rounds(default: u64) -> u64 {
    std::env::var("MILLSTREAM_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A topic that is written without end, and a group that reads it from its first record on.
struct Load {
    servers: String,
    topic: String,
    group: String,
    producer: Process,
}

impl Load {
    const PARTITIONS: u32 = 4;

    fn start(broker: &Broker, name: &str) -> Self {
        let (servers, topic, group) = (broker.servers(), topic(broker, name, Self::PARTITIONS), unique(name));
        let partitions = Self::PARTITIONS.to_string();
        run("begin.py", &[&servers, &topic, &partitions, &group]);
        let producer = Process::start(&mut script("load.py", &[&servers, &topic, &partitions]));
        Self { servers, topic, group, producer }
    }

    fn member(&self, settings: &[&str]) -> Process {
        let mut arguments = vec![&*self.servers, &self.topic, &self.group];
        arguments.extend(settings);
        Process::start(&mut script("follow.py", &arguments))
    }

    /// Waits for `count` more acknowledgements, and meanwhile that nobody gives up.
    #[track_caller]
    fn more(&mut self, count: u64, members: &mut [&mut Process]) {
        let wanted = total(&acknowledged(&self.producer.output())) + count;
        eventually("acknowledgements", PATIENCE, || {
            for process in members.iter_mut().map(|member| &mut **member).chain([&mut self.producer]) {
                assert!(!process.has_ended(), "{}", process.output());
            }
            (total(&acknowledged(&self.producer.output())) >= wanted).then_some(())
        });
    }

    /// Ends the producer, waits until the members have read everything, and judges what is there and what was read.
    #[track_caller]
    fn judge(self, broker: &Broker, mut ended: Vec<String>, mut members: Vec<Process>) {
        let acknowledged = acknowledged(&end(self.producer));
        let (verdict, counts) = judge_load(broker, &self.topic, &acknowledged);
        eventually("every record read", PATIENCE, || {
            for member in &mut members {
                assert!(!member.has_ended(), "{}", member.output());
            }
            let read = Reads::of(&ended, &members.iter().collect::<Vec<_>>()).whole();
            (read >= total(&counts)).then_some(())
        });
        ended.extend(members.into_iter().map(end));
        verdict.and(Reads::of(&ended, &[]).judge(&counts)).assert_good();
    }
}

fn total(counts: &BTreeMap<u64, u64>) -> u64 {
    counts.values().sum()
}

/// Waits until each of the members has read something that it had not read before.
#[track_caller]
fn all_read(members: &[&Process]) {
    let before: Vec<usize> = members.iter().map(|member| member.output().len()).collect();
    eventually("progress of each member", PATIENCE, || {
        let mut progress =
            members.iter().zip(&before).map(|(member, before)| member.output().split_off(*before));
        progress.all(|output| output.contains("read ")).then_some(())
    });
}

/// F13, F17 at `acks=all`: nothing acknowledged is lost or doubled, no gap, each record at its offset; a group that committed
/// never stands beyond the end.
fn killed_under_load(broker: &mut Broker, times: u64) {
    let mut random = chance();
    let mut load = Load::start(broker, "killed");
    // Static, so that its successor need not wait for the end of its session, which outlives a slow start of the broker.
    let settings = ["heartbeat.interval.ms=300", "group.instance.id=follower"];
    let mut follower = load.member(&settings);
    let mut ended = Vec::new();
    for round in 0..times {
        load.more(100, &mut [&mut follower]);
        live_until(Instant::now() + Duration::from_millis(random.next_u64() % 600));
        broker.kill9();
        if round % 3 == 2 {
            // The place of a group is that of its next member, too.
            ended.push(follower.kill9());
            follower = load.member(&settings);
        }
        broker.start_again();
    }
    load.more(100, &mut [&mut follower]);
    load.judge(broker, ended, vec![follower]);
}

#[test]
fn a_broker_killed_under_load_loses_and_doubles_nothing_on_millstream() {
    killed_under_load(&mut Broker::millstream(), rounds(10));
}

#[test]
fn a_broker_killed_under_load_loses_and_doubles_nothing_on_apache_kafka() {
    killed_under_load(&mut Broker::apache_alone(), rounds(2));
}

/// Three members, one killed, one paused past its session: every record is read, none skipped.
fn members_fail(broker: &Broker, settings: &[&str]) {
    let mut load = Load::start(broker, "members");
    let [killed, mut paused, mut stays] = [(); 3].map(|()| load.member(settings));
    all_read(&[&killed, &paused, &stays]);
    let ended = vec![killed.kill9()];
    paused.signal("STOP");
    // Once both sessions are over, the last one has everything.
    let at = stays.output().len();
    eventually("all partitions at the last member", PATIENCE, || {
        let output = stays.output().split_off(at);
        (0..Load::PARTITIONS).all(|partition| output.contains(&format!("read {partition} "))).then_some(())
    });
    paused.signal("CONT");
    all_read(&[&paused, &stays]);
    load.more(100, &mut [&mut paused, &mut stays]);
    load.judge(broker, ended, vec![paused, stays]);
}

const EAGER: &[&str] =
    &["session.timeout.ms=6000", "heartbeat.interval.ms=300", "partition.assignment.strategy=roundrobin"];
const COOPERATIVE: &[&str] = &[
    "session.timeout.ms=6000",
    "heartbeat.interval.ms=300",
    "partition.assignment.strategy=cooperative-sticky",
];

#[test]
fn nothing_is_skipped_when_members_fail_on_millstream() {
    members_fail(&Broker::millstream(), EAGER);
}

#[test]
fn nothing_is_skipped_when_members_fail_on_apache_kafka() {
    members_fail(&Broker::apache(), EAGER);
}

#[test]
fn nothing_is_skipped_when_cooperative_members_fail_on_millstream() {
    members_fail(&Broker::millstream(), COOPERATIVE);
}

#[test]
fn nothing_is_skipped_when_cooperative_members_fail_on_apache_kafka() {
    members_fail(&Broker::apache(), COOPERATIVE);
}

/// The sessions of this protocol are the broker's: 45 seconds.
#[test]
fn nothing_is_skipped_when_members_of_the_new_protocol_fail_on_millstream() {
    members_fail(&Broker::millstream(), &["group.protocol=consumer"]);
}

#[test]
fn nothing_is_skipped_when_members_of_the_new_protocol_fail_on_apache_kafka() {
    members_fail(&Broker::apache(), &["group.protocol=consumer"]);
}

/// A static member that is killed and comes again within its session takes its partitions back, and its neighbour is not asked.
fn static_member_restarts(broker: &Broker) {
    let load = Load::start(broker, "static");
    let settings = |name| vec!["session.timeout.ms=30000", "heartbeat.interval.ms=300", name];
    let stays = load.member(&settings("group.instance.id=stays"));
    all_read(&[&stays]);
    let mut restarts = load.member(&settings("group.instance.id=restarts"));
    all_read(&[&stays, &restarts]);
    let before = stays.output().len();
    let mut ended = Vec::new();
    for _ in 0..3 {
        ended.push(restarts.kill9());
        restarts = load.member(&settings("group.instance.id=restarts"));
        all_read(&[&stays, &restarts]);
    }
    let since = stays.output().split_off(before);
    assert!(!since.contains("assigned") && !since.contains("revoked"), "{since}");
    load.judge(broker, ended, vec![stays, restarts]);
}

#[test]
fn a_static_member_restarts_without_a_rebalance_on_millstream() {
    static_member_restarts(&Broker::millstream());
}

#[test]
fn a_static_member_restarts_without_a_rebalance_on_apache_kafka() {
    static_member_restarts(&Broker::apache());
}

/// F27: a consumer that is stuck for a while costs producers nothing, and has missed nothing when it goes on.
fn stuck_consumer(broker: &Broker) {
    let mut load = Load::start(broker, "stuck");
    let mut stuck = load.member(&[]);
    all_read(&[&stuck]);
    stuck.signal("STOP");
    load.more(10_000, &mut [&mut stuck]);
    stuck.signal("CONT");
    load.judge(broker, Vec::new(), vec![stuck]);
}

#[test]
fn a_stuck_consumer_holds_no_producer_on_millstream() {
    stuck_consumer(&Broker::millstream());
}

#[test]
fn a_stuck_consumer_holds_no_producer_on_apache_kafka() {
    stuck_consumer(&Broker::apache());
}

/// F13: a topic is deleted and made anew under a producer and consumers that go on.
fn topic_made_anew(broker: &Broker) {
    judge_cases(&mut script("anew.py", &[&broker.servers()]), 4, PATIENCE);
}

#[test]
fn a_topic_made_anew_is_never_taken_for_the_old_one_on_millstream() {
    topic_made_anew(&Broker::millstream());
}

#[test]
fn a_topic_made_anew_is_never_taken_for_the_old_one_on_apache_kafka() {
    topic_made_anew(&Broker::apache());
}
