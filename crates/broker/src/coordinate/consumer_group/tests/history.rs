//! Random histories of a group: members that join, leave, fail, lose answers and are slow, topics that come, grow and go, and a
//! coordinator that starts again.

use super::*;

/// A client as the KIP describes it.
#[derive(Debug, Clone, Default)]
struct Client {
    /// 0 is outside the group.
    epoch: i32,
    owned: BTreeSet<Partition>,
    /// What it has told the coordinator that it holds.
    told: Option<BTreeSet<Partition>>,
    topics: Vec<usize>,
    regex: bool,
    /// The next heartbeat says everything.
    full: bool,
    is_static: bool,
}

#[derive(Debug, Clone)]
enum Event {
    Join {
        client: usize,
        topics: Vec<usize>,
        regex: bool,
        is_static: bool,
    },
    Beat {
        client: usize,
        lost: bool,
    },
    Subscribe {
        client: usize,
        topics: Vec<usize>,
    },
    Leave {
        client: usize,
        comes_back: bool,
    },
    /// The coordinator puts a member out.
    Expire {
        client: usize,
    },
    Topic {
        number: usize,
        partitions: i32,
    },
    Delete {
        number: usize,
    },
    Restart,
}

const CLIENTS: usize = 5;
const TOPICS: usize = 4;

fn events() -> impl Strategy<Value = Event> {
    let client = || 0..CLIENTS;
    let topics = || prop::collection::vec(0..TOPICS, 0..TOPICS);
    prop_oneof![
        3 => (client(), topics(), any::<bool>(), any::<bool>())
            .prop_map(|(client, topics, regex, is_static)| Event::Join { client, topics, regex, is_static }),
        12 => (client(), prop::bool::weighted(0.2)).prop_map(|(client, lost)| Event::Beat { client, lost }),
        2 => (client(), topics()).prop_map(|(client, topics)| Event::Subscribe { client, topics }),
        1 => (client(), any::<bool>()).prop_map(|(client, comes_back)| Event::Leave { client, comes_back }),
        1 => client().prop_map(|client| Event::Expire { client }),
        1 => (0..TOPICS, 1..7_i32).prop_map(|(number, partitions)| Event::Topic { number, partitions }),
        1 => (0..TOPICS).prop_map(|number| Event::Delete { number }),
        1 => Just(Event::Restart),
    ]
}

#[derive(Debug, Default)]
struct World {
    group: ConsumerGroup,
    /// Everything ever written.
    log: Vec<Change>,
    clients: Vec<Client>,
    topics: BTreeMap<usize, (u128, i32)>,
    made: u128,
    /// Members are named anew with each join.
    joins: usize,
    names: Vec<String>,
}

impl World {
    fn new() -> Self {
        let topics = (0..TOPICS).map(|number| (number, (number as u128 + 1, 3))).collect();
        let (clients, names) = (vec![Client::default(); CLIENTS], vec![String::new(); CLIENTS]);
        Self { clients, names, topics, made: 100, ..Self::default() }
    }

    fn topology(&self) -> Topology {
        let shape = |(number, (id, partitions)): (&usize, &(u128, i32))| {
            let shape = Shape { id: Uuid::from_u128(*id), partitions: *partitions };
            (Arc::from(format!("t{number}")), shape)
        };
        self.topics.iter().map(shape).collect()
    }

    fn write(&mut self, changes: Vec<Change>) {
        let epoch = self.group.epoch;
        self.group.write(&changes);
        self.log.extend(changes);
        assert!(self.group.epoch >= epoch, "the group epoch only rises");
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Join { client, topics, regex, is_static } if self.clients[client].epoch == 0 => {
                self.joins += 1;
                self.names[client] = format!("m{}", self.joins);
                let is_static = is_static || self.clients[client].is_static;
                self.clients[client] = Client { topics, regex, is_static, full: true, ..Client::default() };
                self.beat(client, false);
            }
            Event::Beat { client, lost } if self.clients[client].epoch > 0 => self.beat(client, lost),
            Event::Subscribe { client, topics } if self.clients[client].epoch > 0 => {
                self.clients[client].topics = topics;
                self.clients[client].full = true;
                self.beat(client, false);
            }
            Event::Leave { client, comes_back } if self.clients[client].epoch > 0 => {
                self.leave(client, comes_back);
            }
            Event::Expire { client } => {
                let id: MemberId = self.names[client].as_str().into();
                if self.group.members.contains_key(&id) {
                    let removal = self.group.removal(&[id], &self.topology());
                    self.write(removal);
                    // By then it has lost its session by its own clock, and reads nothing.
                    self.clients[client].owned.clear();
                }
            }
            Event::Topic { number, partitions } => {
                self.made += 1;
                let topic = self.topics.entry(number).or_insert((self.made, partitions));
                topic.1 = topic.1.max(partitions);
            }
            Event::Delete { number } => drop(self.topics.remove(&number)),
            Event::Restart => self.restart(),
            _ => {}
        }
        self.check();
    }

    fn heartbeat_of(&self, index: usize) -> Heartbeat {
        let client = &self.clients[index];
        let is_full = client.full || client.epoch == 0;
        let topics = client.topics.iter().map(|number| format!("t{number}").into()).collect();
        let regex = if client.regex { "t[01]" } else { "" };
        Heartbeat {
            member_id: self.names[index].as_str().into(),
            epoch: client.epoch,
            instance_id: client.is_static.then(|| format!("i{index}").into()),
            rebalance_timeout_ms: is_full.then_some(1_000),
            topics: is_full.then_some(topics),
            regex: is_full.then(|| regex.into()),
            owned: (is_full || client.told.as_ref() != Some(&client.owned)).then(|| client.owned.clone()),
            ..Heartbeat::default()
        }
    }

    fn beat(&mut self, index: usize, lost: bool) {
        let beat = self.heartbeat_of(index);
        let topology = self.topology();
        match self.group.heartbeat(&beat, &around(&topology)) {
            Ok(outcome) => {
                let epoch = self.clients[index].epoch;
                assert!(outcome.epoch >= epoch, "a member epoch only rises");
                self.write(outcome.changes);
                let client = &mut self.clients[index];
                client.told = beat.owned.or_else(|| client.told.clone());
                if lost && epoch > 0 {
                    client.full = true;
                    return;
                }
                client.full = false;
                client.epoch = outcome.epoch;
                if let Some(assignment) = outcome.assignment {
                    client.owned = assignment.into_iter().collect();
                }
            }
            Err(MemberError::UnreleasedInstance) => {}
            Err(MemberError::Fenced | MemberError::Unknown | MemberError::FencedInstance) => {
                let client = &mut self.clients[index];
                *client =
                    Client { full: true, owned: BTreeSet::new(), told: None, epoch: 0, ..client.clone() };
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn leave(&mut self, index: usize, comes_back: bool) {
        let comes_back = comes_back && self.clients[index].is_static;
        let epoch = if comes_back { LEAVE_STATIC } else { LEAVE };
        let beat = Heartbeat { epoch, ..self.heartbeat_of(index) };
        if let Ok((changes, _)) = self.group.leave(&beat, &self.topology()) {
            self.write(changes);
        }
        let client = &mut self.clients[index];
        *client = Client { is_static: comes_back, ..Client::default() };
    }

    /// The same group comes out of its records.
    fn restart(&mut self) {
        let mut read = ConsumerGroup::default();
        read.write(&self.log);
        assert_eq!(read, self.group);
        self.group = read;
    }

    /// No partition is held by two, neither by what the coordinator knows nor by what the clients do.
    fn check(&self) {
        let mut read = BTreeSet::new();
        for (client, name) in self.clients.iter().zip(&self.names) {
            for at in &client.owned {
                assert!(read.insert(*at), "{at:?} is read by {name} and another");
            }
        }
        let mut held = BTreeMap::new();
        for (id, member) in &self.group.members {
            for at in member.current.assigned.keys().chain(member.current.revoking.keys()) {
                let other = held.insert(*at, id.clone());
                assert_eq!(other, None, "{at:?} is held by two members");
            }
        }
        assert_eq!(held, self.group.owners);
        assert!(self.group.target_epoch <= self.group.epoch);
        assert!(self.group.members.values().all(|member| member.current.epoch <= self.group.target_epoch));
    }

    /// Whoever is there goes on for a while; static members that wait to come back are given up.
    fn settle(&mut self) {
        let here: BTreeSet<_> = (0..CLIENTS).filter(|index| self.clients[*index].epoch > 0).collect();
        let live: Vec<MemberId> = here.iter().map(|index| self.names[*index].as_str().into()).collect();
        let gone: Vec<_> = self.group.members.keys().filter(|id| !live.contains(id)).cloned().collect();
        if !gone.is_empty() {
            let removal = self.group.removal(&gone, &self.topology());
            self.write(removal);
        }
        for _ in 0..6 {
            for index in &here {
                self.beat(*index, false);
                self.check();
            }
        }
        let topology = self.topology();
        let names = self.group.members.values().flat_map(|member| self.group.topics_of(&member.said));
        let shapes = names.filter_map(|name| topology.shape(name));
        let wanted: BTreeSet<Partition> =
            shapes.flat_map(|shape| (0..shape.partitions).map(move |number| (shape.id, number))).collect();
        let read: BTreeSet<_> = self.clients.iter().flat_map(|client| client.owned.iter().copied()).collect();
        assert_eq!(read, wanted, "everything that is subscribed to is read in the end");
        let state = if here.is_empty() { GroupState::Empty } else { GroupState::Stable };
        assert_eq!(self.group.state(), state);
        self.restart();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_partition_is_ever_read_by_two_and_all_are_in_the_end(events in prop::collection::vec(events(), 1..80)) {
        let mut world = World::new();
        for event in events {
            world.run(event);
        }
        world.settle();
    }
}
