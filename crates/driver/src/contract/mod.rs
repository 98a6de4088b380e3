//! What every driver must do, as one suite of named behaviours, run against the driver's own simulator.
//!
//! A driver's own tests call [`driver_contract!`](crate::driver_contract) with a [`Subject`], which makes one test of each
//! behaviour. The oracle is the simulated world: whatever goes wrong, a good cell holds what the device holds, never what
//! another tag or an earlier time held. A behaviour waits on conditions with a deadline and asserts no speed.
//!
//! That a permit is required needs no test here: [`Session::write`] takes one, and only the guard makes it.
#![expect(
    clippy::missing_panics_doc,
    missing_docs,
    reason = "these are tests, kept in the library so that every driver runs the same; their names say what they hold"
)]

pub mod faults;
pub mod reading;
pub mod writing;

use crate::guard::{Checked, Guard, Now, Origin, Permit, WriteRequest, WriteRule};
use crate::simulate::{Signal, SimulatedTag, SimulatorHandle, SimulatorSpec, World};
use crate::{
    ConnectionString, Driver, GroupIndex, Instant, Session, SessionContext, SessionCounters, SessionError,
    TagSpec, Target, WriteOutcome, WriteResult,
};
use millstream_model::{Cell, Clock, Row, Status, TagType, Timestamp, Value};
use std::fmt::{self, Debug};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a behaviour may take in all. Generous: machines under load are slow, never wrong.
const DEADLINE: Duration = Duration::from_mins(1);
/// How long one condition is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The group that behaviours read.
const GROUP: GroupIndex = GroupIndex(0);
/// The simulated device's name.
const DEVICE: &str = "device";

/// A driver, and what the behaviours need to know about its addresses.
#[derive(Clone)]
pub struct Subject {
    /// The driver.
    pub driver: Arc<dyn Driver>,
    /// The connection string of a simulator at this place. Requests should time out within half a second.
    pub connection: fn(SocketAddr) -> String,
    /// Four addresses of single numbers that can be read and written and hold at least 0 to 100, not all next to each other.
    pub numbers: [&'static str; 4],
    /// A right address that no simulator here has.
    pub absent: &'static str,
    /// What is no address.
    pub wrong: &'static str,
}

impl Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("numbers", &self.numbers).finish_non_exhaustive()
    }
}

/// Makes one `#[tokio::test]` of every behaviour, in modules `<driver>::<area>`.
///
/// The second argument is an expression of a [`Subject`](crate::contract::Subject); it is evaluated for each test.
#[macro_export]
macro_rules! driver_contract {
    ($driver:ident, $subject:expr) => {
        mod $driver {
            #[allow(unused_imports, reason = "the subject may use what stands beside the call")]
            use super::*;
            $crate::driver_contract! { @tests $subject;
                reading {
                    a_wrong_address_is_told_with_its_place
                    a_plan_answers_every_tag
                    values_are_read_as_the_device_holds_them
                    a_missing_address_leaves_the_others_good
                    a_refused_address_leaves_the_others_good_and_comes_back
                    groups_are_kept_apart
                    a_group_that_is_prepared_again_is_replaced
                }
                writing {
                    what_is_written_is_in_the_device_and_is_read_back
                    a_refused_write_changes_nothing_and_stops_no_other
                    a_write_without_an_answer_is_never_called_done
                    a_write_that_is_not_done_is_not_confirmed_by_reading_back
                    a_write_whose_time_has_passed_is_not_sent
                }
                faults {
                    a_late_answer_never_becomes_another_value
                    foreign_and_repeated_answers_are_dropped
                    garbage_ends_the_session_at_most
                    half_an_answer_ends_the_session_at_most
                    a_lost_connection_is_told_and_a_new_one_works
                    a_cancelled_read_does_not_spoil_the_next
                    a_silent_device_does_not_hang_a_read
                    nobody_listening_is_an_error
                    slow_and_jittery_answers_are_right
                    sessions_leave_no_connection_behind
                }
            }
        }
    };
    (@tests $subject:expr; $($area:ident { $($behaviour:ident)* })*) => {$(
        mod $area {
            #[allow(unused_imports, reason = "the subject may use what stands beside the call")]
            use super::*;
            $(
                #[tokio::test]
                async fn $behaviour() {
                    $crate::contract::run($crate::contract::$area::$behaviour, $subject).await;
                }
            )*
        }
    )*};
}

/// Runs one behaviour against a simulator of its own.
pub async fn run<F, R>(behaviour: F, subject: Subject)
where
    F: FnOnce(Bench) -> R,
    R: Future<Output = ()>,
{
    let bench = Bench::start(subject).await;
    assert!(timeout(DEADLINE, behaviour(bench)).await.is_ok(), "not done within {DEADLINE:?}");
}

/// A simulator with the subject's four numbers, and a way to talk to it.
pub struct Bench {
    subject: Subject,
    simulator: SimulatorHandle,
    world: World,
    target: Target,
    counters: Arc<SessionCounters>,
    tags: Vec<TagSpec>,
}

impl Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("simulator", &self.simulator).finish_non_exhaustive()
    }
}

/// A wall clock for tests: monotonic time since 2023.
#[derive(Debug)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(self.0.elapsed())
    }
}

impl Bench {
    async fn start(subject: Subject) -> Self {
        let world = World::new(1);
        let tags: Vec<TagSpec> = subject
            .numbers
            .iter()
            .enumerate()
            .map(|(n, address)| TagSpec::new(format!("t{n}"), *address))
            .collect();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let tag = |(tag, value): (&TagSpec, i64)| SimulatedTag {
            tag: tag.clone(),
            signal: Signal::hold(Value::Int(value)),
            writable: true,
        };
        let spec = SimulatorSpec {
            device: DEVICE.into(),
            listen: nowhere,
            // The simulator wants the options only; a connection string has no port 0.
            target: target(&subject, SocketAddr::from(([127, 0, 0, 1], 1))),
            tags: tags.iter().zip(11..).map(tag).collect(),
            world: world.clone(),
            faults: crate::simulate::Faults::default(),
        };
        let simulator = good(subject.driver.simulate(spec).await);
        let target = target(&subject, simulator.address);
        Self { subject, simulator, world, target, counters: Arc::default(), tags }
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(TestClock(Instant::now()))
    }

    async fn try_connect(&self) -> Result<Box<dyn Session>, SessionError> {
        let context = SessionContext {
            counters: self.counters.clone(),
            in_flight_max: 4,
            ..SessionContext::new(Self::clock())
        };
        self.subject.driver.connect(&self.target, context).await
    }

    /// A session with all four numbers prepared.
    async fn connect(&self) -> Box<dyn Session> {
        let mut session = good(self.try_connect().await);
        good(session.prepare(GROUP, &self.tags));
        session
    }

    /// What the device holds.
    fn truth(&self) -> Vec<Value> {
        self.tags.iter().map(|tag| self.value(&tag.name)).collect()
    }

    fn value(&self, tag: &str) -> Value {
        let Some(id) = self.world.find(DEVICE, tag) else {
            panic!("the simulator did not add `{tag}` to the world")
        };
        self.world.moment(Instant::now()).read(id)
    }

    /// Lets every number of the device be another one.
    fn turn(&self, round: i64) {
        for (tag, n) in self.tags.iter().zip(1_i64..) {
            let Some(id) = self.world.find(DEVICE, &tag.name) else { continue };
            let number = (round * 7 + n * 13).rem_euclid(100);
            let value = raw(self.tag_type(tag), number);
            self.world.moment(Instant::now()).force(id, value);
        }
    }

    fn tag_type(&self, tag: &TagSpec) -> TagType {
        good(self.subject.driver.tag_type(&tag.address))
    }

    /// One scan. A good cell must be the truth, whatever else happens.
    async fn read(&self, session: &mut dyn Session) -> Result<Row, SessionError> {
        let mut row = Row::all_bad(Timestamp::default(), self.tags.len(), Status::BadNotConnected);
        let read = timeout(PATIENCE, session.read(GROUP, &mut row)).await;
        let Ok(read) = read else { panic!("a read did not end within {PATIENCE:?}") };
        read?;
        assert_eq!(row.cells.len(), self.tags.len(), "one cell per tag");
        for (cell, truth) in row.cells.iter().zip(self.truth()) {
            if let Cell::Good(value) = cell {
                assert_eq!(*value, truth, "a good cell that is not what the device holds: {row:?}");
            }
        }
        Ok(row)
    }

    /// Reads until every cell is good, with new sessions where the old one ends.
    async fn recover(&self, session: Option<Box<dyn Session>>) -> Box<dyn Session> {
        let start = Instant::now();
        let mut session = session;
        while start.elapsed() < PATIENCE {
            let Some(mut alive) = session.take() else {
                let Ok(mut fresh) = self.try_connect().await else { continue };
                good(fresh.prepare(GROUP, &self.tags));
                session = Some(fresh);
                continue;
            };
            match self.read(alive.as_mut()).await {
                Ok(row) if row.cells.iter().all(Cell::is_good) => return alive,
                Ok(_) => session = Some(alive),
                Err(_) => {}
            }
            tokio::task::yield_now().await;
        }
        panic!("the values did not become good again within {PATIENCE:?}")
    }

    /// Leave to write these numbers, from a guard whose rules allow just that.
    fn permit(&self, writes: &[(&TagSpec, i64)], max_age: Duration) -> Permit {
        let rules = writes.iter().map(|(tag, _)| WriteRule {
            max_age,
            verify: true,
            ..WriteRule::new((*tag).clone(), self.tag_type(tag))
        });
        let mut guard = Guard::new(rules);
        let now = Now { wall: Timestamp(0), monotonic: Instant::now() };
        let requests = writes.iter().map(|(tag, value)| WriteRequest {
            id: "contract".into(),
            origin: Origin::CommandLine { user: "contract".to_owned() },
            tag: tag.name.clone(),
            value: Value::Int(*value),
            asked_at: now.wall,
            expires_at: None,
        });
        let candidates = guard.screen(now, requests.collect()).into_iter().map(good).collect();
        let Checked { permit, refused, .. } = guard.check(now, candidates, |_| None);
        assert!(refused.is_empty(), "the guard refuses what the subject calls a number: {refused:?}");
        permit
    }

    /// Writes, and gives the outcomes in the order of the writes, and the session's end.
    async fn write(
        &self,
        session: &mut dyn Session,
        permit: Permit,
    ) -> (Vec<WriteOutcome>, Result<(), SessionError>) {
        let order: Vec<Arc<str>> = permit.writes().iter().map(|write| write.tag.name.clone()).collect();
        let mut outcomes = Vec::new();
        let Ok(end) = timeout(PATIENCE, session.write(permit, &mut outcomes)).await else {
            panic!("a write did not end within {PATIENCE:?}")
        };
        outcomes.sort_by_key(|outcome| order.iter().position(|tag| *tag == outcome.tag));
        if end.is_ok() {
            let told: Vec<Arc<str>> = outcomes.iter().map(|outcome| outcome.tag.clone()).collect();
            assert_eq!(told, order, "one outcome per write while the session lives");
        }
        (outcomes, end)
    }
}

fn target(subject: &Subject, address: SocketAddr) -> Target {
    let connection = good(ConnectionString::parse(&(subject.connection)(address)));
    good(subject.driver.target(connection))
}

/// A small number as a device of that type holds it.
fn raw(tag_type: TagType, number: i64) -> Value {
    use millstream_model::DataType as T;
    match tag_type.data_type {
        T::SInt | T::Int | T::DInt | T::LInt => Value::Int(number),
        #[expect(clippy::cast_precision_loss, reason = "below 100")]
        T::Real => Value::Real(number as f32),
        #[expect(clippy::cast_precision_loss, reason = "below 100")]
        T::LReal => Value::LReal(number as f64),
        data_type if data_type.is_numeric() => Value::UInt(number.unsigned_abs()),
        data_type => panic!("the subject's numbers are {data_type}, which is no number"),
    }
}

fn good<T, E: Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("this must work: {error:?}"))
}

fn is_sure(outcome: &WriteOutcome) -> bool {
    matches!(outcome.result, WriteResult::Done)
}
