//! Random histories of a group against a model of its clients: whoever crashes, stalls, leaves or restarts, and whenever the
//! broker does, each partition has one owner per generation, no record is skipped, and nobody is stuck.

use super::{Bench, REBALANCE, SESSION, SETTINGS, Settings, fixed, joining};
use crate::coordinate::group::{Group, GroupError, Joined, Joining, MemberId, Syncing, Ticket};
use crate::coordinate::group_record::GroupValue;
use bytes::Bytes;
use millstream_model::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: usize = 4;
const PARTITIONS: usize = 5;
/// Shorter than a session: who stalls in a round is left behind while its session goes on.
const ROUND: Duration = Duration::from_secs(4);
/// Records of each partition.
const RECORDS: u64 = 12;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A client does what it would do next.
    Step(usize),
    /// A client starts again and knows nothing. Its member id is new, its instance id, if it has one, is not.
    Crash(usize),
    /// A client closes: dynamic members leave.
    Leave(usize),
    /// A client loses its connection and whatever it waited for.
    Disconnect(usize),
    Pass(u64),
    /// The broker starts again, with what it had recorded.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..CLIENTS).prop_map(Event::Step),
        1 => (0..CLIENTS).prop_map(Event::Crash),
        1 => (0..CLIENTS).prop_map(Event::Leave),
        1 => (0..CLIENTS).prop_map(Event::Disconnect),
        4 => (1..SESSION.as_secs() + 2).prop_map(Event::Pass),
        1 => Just(Event::Restart),
    ]
}

#[derive(Debug, Clone)]
enum Phase {
    Out,
    Joining(Ticket),
    Syncing(Ticket),
    /// The next record of each of its partitions.
    In(BTreeMap<usize, u64>),
}

#[derive(Debug, Clone)]
struct Consumer {
    number: usize,
    is_static: bool,
    must_know_id: bool,
    id: Option<MemberId>,
    asked_as: MemberId,
    generation: i32,
    phase: Phase,
}

struct World {
    bench: Bench,
    clients: Vec<Consumer>,
    ids: u32,
    recorded: Option<GroupValue>,
    /// Who was given a partition in a generation: by instance id, or by member id.
    owners: BTreeMap<(i32, usize), String>,
    committed: BTreeMap<usize, u64>,
    processed: BTreeSet<(usize, u64)>,
}

impl World {
    fn new(statics: usize, delay: Duration) -> Self {
        let client = |number| Consumer {
            number,
            is_static: number < statics,
            must_know_id: number % 2 == 0,
            id: None,
            asked_as: "".into(),
            generation: 0,
            phase: Phase::Out,
        };
        Self {
            bench: Bench::with(Settings { initial_delay: delay, members_max: 16 }),
            clients: (0..CLIENTS).map(client).collect(),
            ids: 0,
            recorded: None,
            owners: BTreeMap::new(),
            committed: BTreeMap::new(),
            processed: BTreeSet::new(),
        }
    }

    fn record(&mut self) {
        self.bench.settle();
        if self.bench.group.take_unsaved() {
            self.recorded = Some(self.bench.group.value(Timestamp(1)));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step(number) => self.step(number),
            Event::Crash(number) => {
                self.clients[number].id = None;
                self.clients[number].phase = Phase::Out;
            }
            Event::Leave(number) => {
                let client = &mut self.clients[number];
                client.phase = Phase::Out;
                if !client.is_static
                    && let Some(id) = client.id.take()
                {
                    let _ = self.bench.leave(&id);
                }
            }
            Event::Disconnect(number) => {
                if !matches!(self.clients[number].phase, Phase::In(_)) {
                    self.clients[number].phase = Phase::Out;
                }
            }
            Event::Pass(seconds) => self.bench.pass(Duration::from_secs(seconds)),
            Event::Restart => {
                let settings = self.bench.group.settings;
                self.bench.group = match self.recorded.clone() {
                    Some(value) => Group::restore(settings, self.bench.now, value),
                    None => Group::new(settings),
                };
                for client in &mut self.clients {
                    if !matches!(client.phase, Phase::In(_)) {
                        client.phase = Phase::Out;
                    }
                }
            }
        }
        self.record();
    }

    fn step(&mut self, number: usize) {
        let mut client = self.clients[number].clone();
        match client.phase.clone() {
            Phase::Out => self.join(&mut client),
            Phase::Joining(ticket) => {
                if let Some(answer) = self.bench.joined.remove(&ticket) {
                    self.joined(&mut client, answer);
                }
            }
            Phase::Syncing(ticket) => match self.bench.synced.remove(&ticket) {
                Some(Ok(synced)) => self.assigned(&mut client, &synced.assignment),
                Some(Err(error)) => step_out(&mut client, error),
                None => {}
            },
            Phase::In(positions) => self.consume(&mut client, positions),
        }
        self.clients[number] = client;
    }

    fn join(&mut self, client: &mut Consumer) {
        let has_id = client.id.is_some();
        let id = client.id.clone().unwrap_or_else(|| {
            self.ids += 1;
            format!("c{}-{}", client.number, self.ids).into()
        });
        client.asked_as = Arc::clone(&id);
        let joining = if client.is_static {
            fixed(&format!("i{}", client.number), &id)
        } else {
            Joining { protocols: vec![("range".to_owned(), Bytes::new())], ..joining(&id) }
        };
        let must_know_id = client.must_know_id;
        let joining = Joining { has_id, must_know_id, rebalance_timeout: ROUND, ..joining };
        client.phase = Phase::Joining(self.bench.join(joining));
    }

    fn joined(&mut self, client: &mut Consumer, answer: Result<Joined, GroupError>) {
        match answer {
            Ok(joined) => {
                client.id = Some(Arc::clone(&joined.member));
                client.generation = joined.generation;
                let leads = joined.leader == joined.member && !joined.skip_assignment;
                let syncing = Syncing {
                    member: joined.member.clone(),
                    instance: client.is_static.then(|| format!("i{}", client.number).into()),
                    generation: joined.generation,
                    protocol_type: Some(joined.protocol_type.clone()),
                    protocol: Some(joined.protocol.clone()),
                    assignments: if leads { share(&joined) } else { Vec::new() },
                };
                client.phase = Phase::Syncing(self.bench.sync(syncing));
            }
            Err(GroupError::MemberIdRequired) => {
                client.id = Some(Arc::clone(&client.asked_as));
                client.phase = Phase::Out;
            }
            Err(error) => step_out(client, error),
        }
    }

    fn assigned(&mut self, client: &mut Consumer, assignment: &Bytes) {
        let mut positions = BTreeMap::new();
        let name = match &client.id {
            Some(id) if !client.is_static => id.to_string(),
            _ => format!("i{}", client.number),
        };
        for partition in assignment.iter().map(|byte| usize::from(*byte)) {
            let owner = self.owners.entry((client.generation, partition)).or_insert_with(|| name.clone());
            assert_eq!(*owner, name, "two owners of {partition} in generation {}", client.generation);
            positions.insert(partition, self.committed.get(&partition).copied().unwrap_or(0));
        }
        client.phase = Phase::In(positions);
    }

    fn consume(&mut self, client: &mut Consumer, mut positions: BTreeMap<usize, u64>) {
        let id = client.id.clone().unwrap();
        let instance = client.is_static.then(|| format!("i{}", client.number));
        let (now, generation) = (self.bench.now, client.generation);
        let beat = self.bench.group.heartbeat(now, &id, instance.as_deref(), generation);
        for (partition, next) in &mut positions {
            if *next < RECORDS {
                self.processed.insert((*partition, *next));
                *next += 1;
            }
            match self.bench.group.check_commit(now, &id, instance.as_deref(), generation) {
                Ok(()) => {
                    let last = self.committed.insert(*partition, *next).unwrap_or(0);
                    assert!(last <= *next, "the offset of {partition} went back from {last} to {next}");
                }
                Err(error) => assert!(beat.is_err() || error == GroupError::RebalanceInProgress, "{error}"),
            }
        }
        client.phase = Phase::In(positions);
        if let Err(error) = beat {
            step_out(client, error);
        }
    }

    /// Everyone is well, and time goes on.
    fn calm(&mut self) {
        let long_enough = 4 * (REBALANCE + SESSION).as_secs();
        for _ in 0..long_enough {
            for _ in 0..4 {
                (0..CLIENTS).for_each(|number| self.happen(Event::Step(number)));
            }
            self.happen(Event::Pass(1));
        }
    }
}

fn step_out(client: &mut Consumer, error: GroupError) {
    if matches!(error, GroupError::UnknownMember | GroupError::FencedInstance) {
        client.id = None;
    }
    client.phase = Phase::Out;
}

/// The leader's work: partition after partition to member after member, one byte each.
fn share(joined: &Joined) -> Vec<(MemberId, Bytes)> {
    let mut shares: Vec<(MemberId, Vec<u8>)> =
        joined.members.iter().map(|one| (Arc::clone(&one.member), Vec::new())).collect();
    let members = shares.len();
    for partition in 0..PARTITIONS {
        shares[partition % members].1.push(u8::try_from(partition).unwrap());
    }
    shares.into_iter().map(|(id, share)| (id, Bytes::from(share))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn partitions_have_one_owner_no_record_is_skipped_and_nobody_is_stuck(
        events in prop::collection::vec(event(), 0..160), statics in 0..=CLIENTS, delay in 0..4_u64,
    ) {
        let mut world = World::new(statics, Duration::from_secs(delay));
        for event in events {
            world.happen(event);
        }
        world.calm();
        let mut held = BTreeSet::new();
        for client in &world.clients {
            let Phase::In(positions) = &client.phase else { panic!("{client:?} is stuck") };
            prop_assert_eq!(client.generation, world.bench.group.generation);
            for partition in positions.keys() {
                prop_assert!(held.insert(*partition), "{partition} is read twice");
            }
        }
        prop_assert_eq!(held.len(), PARTITIONS);
        for partition in 0..PARTITIONS {
            let all = (0..RECORDS).all(|record| world.processed.contains(&(partition, record)));
            prop_assert!(all, "records of {partition} were skipped: {:?}", world.processed);
            prop_assert_eq!(world.committed[&partition], RECORDS);
        }
    }
}

/// The histories above do what they are for: rounds are begun, members are lost, and the settings differ from the others'.
#[test]
fn a_calm_world_settles_in_one_generation_after_another() {
    let mut world = World::new(2, SETTINGS.initial_delay);
    world.calm();
    let first = world.bench.group.generation;
    world.happen(Event::Crash(3));
    world.calm();
    assert!(world.bench.group.generation > first);
    assert_eq!(world.committed.values().sum::<u64>(), RECORDS * PARTITIONS as u64);
}
