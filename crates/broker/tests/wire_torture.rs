//! Random histories of producers of the protocol on a disk that fails and loses its power, judged by a model: transactions of the
//! older and the newer protocol are whole or absent and their offsets with them, a client goes on with its open transaction
//! after a restart, late requests have no effect, and what an idempotent producer was told to be there is there once and in order.
//!
//! `MILLSTREAM_TORTURE_ROUNDS` is the number of histories (20 by default), `MILLSTREAM_SEED` the first one's seed.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsRequest;
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_bus::{Acks, Bus, TopicSpec};
use millstream_log::{Log, LogConfig, Operation, Random, SimDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use support::client::Client;
use support::producers::{
    Answer, Key, add_group, add_partitions, commit_offset, committed, end, init, offset_of, send, sequenced,
};
use support::{Outcome, at, histories, records};

const PARTITIONS: i32 = 3;
/// Requests are repeated so often before a client gives up for the time being.
const TRIES: u32 = 3;

#[derive(Debug, Default)]
struct Transaction {
    /// `None` while it is open.
    outcome: Option<Outcome>,
    records: BTreeSet<(i32, u64)>,
    offset: Option<i64>,
}

/// What a client does next, or did without hearing what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Add(i32),
    Write(i32, u64),
    Group,
    Offset(i64),
    End(bool),
}

/// One transactional client.
struct Writer {
    id: &'static str,
    /// It speaks transaction version 2.
    is_new: bool,
    client: Option<Client>,
    /// A connection that it has left.
    late: Option<Client>,
    key: Option<Key>,
    /// Before the last transaction of version 2.
    last_key: Option<Key>,
    sequences: BTreeMap<i32, i32>,
    added: BTreeSet<i32>,
    number: u64,
    pending: Option<Step>,
    transactions: BTreeMap<u64, Transaction>,
}

fn is_passing(error: ResponseError) -> bool {
    use ResponseError::{
        ConcurrentTransactions, CoordinatorNotAvailable, KafkaStorageError, NotEnoughReplicas,
        RequestTimedOut,
    };
    matches!(
        error,
        ConcurrentTransactions
            | CoordinatorNotAvailable
            | KafkaStorageError
            | NotEnoughReplicas
            | RequestTimedOut
    )
}

impl Writer {
    fn new(id: &'static str, is_new: bool) -> Self {
        Self {
            id,
            is_new,
            client: None,
            late: None,
            key: None,
            last_key: None,
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
            number: 0,
            pending: None,
            transactions: BTreeMap::new(),
        }
    }

    fn open(&mut self) -> Option<&mut Transaction> {
        self.transactions.get_mut(&self.number).filter(|transaction| transaction.outcome.is_none())
    }

    /// Sends a step once.
    async fn send(&mut self, step: Step) -> Answer<()> {
        let (id, key, is_new, number) = (self.id, self.key.unwrap(), self.is_new, self.number);
        let client = self.client.as_mut().unwrap();
        match step {
            Step::Add(partition) => {
                let codes = add_partitions(client, id, key, &[("out", &[partition])]).await;
                codes[0].map_or(Ok(()), Err)?;
                self.added.insert(partition);
            }
            Step::Write(partition, k) => {
                let sequence = self.sequences.entry(partition).or_default();
                let batch = sequenced(key, *sequence, true, &[&format!("{id}/{number}/{k}")]);
                let version = if is_new { 12 } else { 9 };
                send(client, version, Some(id), ("out", partition), batch).await?;
                *sequence += 1;
            }
            Step::Group => add_group(client, id, key, id).await?,
            Step::Offset(offset) => {
                let version = if is_new { 5 } else { 3 };
                commit_offset(client, version, (id, key), id, ("in", offset)).await?;
                self.open().unwrap().offset = Some(offset);
            }
            Step::End(commit) => {
                let next = end(client, if is_new { 5 } else { 3 }, id, key, commit).await?;
                if is_new {
                    (self.last_key, self.key) = (Some(key), Some(next));
                    self.sequences.clear();
                }
                self.added.clear();
                let outcome = if commit { Outcome::Committed } else { Outcome::Aborted };
                self.open().unwrap().outcome = Some(outcome);
            }
        }
        Ok(())
    }

    /// Sends a step as often as it takes; false where the client gives up for now or for good.
    async fn step(&mut self, random: &mut Random, step: Step) -> bool {
        for _ in 0..TRIES {
            self.pending = Some(step);
            match self.send(step).await {
                Ok(()) => {
                    self.pending = None;
                    if random.chance(10)
                        && let Step::Write(partition, k) = step
                    {
                        self.repeat(partition, k).await;
                    }
                    return true;
                }
                Err(error) if is_passing(error) => {}
                Err(_) => {
                    self.give_up();
                    return false;
                }
            }
        }
        false
    }

    /// The network delivers a batch a second time.
    async fn repeat(&mut self, partition: i32, k: u64) {
        *self.sequences.get_mut(&partition).unwrap() -= 1;
        let again = self.send(Step::Write(partition, k)).await;
        if again.is_err() {
            *self.sequences.get_mut(&partition).unwrap() += 1;
        }
        assert!(again.is_ok() || again.is_err_and(is_passing), "{}: repeated: {again:?}", self.id);
    }

    /// The client is of no more use; another one takes its id.
    fn give_up(&mut self) {
        let may_be_committed = self.pending.take() == Some(Step::End(true));
        if let Some(open) = self.open() {
            open.outcome = Some(if may_be_committed { Outcome::Unknown } else { Outcome::Aborted });
        }
        self.key = None;
    }

    /// Has an id to work with afterwards, unless the disk is against it.
    async fn take(&mut self) -> bool {
        if self.key.is_none() {
            let client = self.client.as_mut().unwrap();
            let Ok(key) = init(client, Some(self.id), None).await else { return false };
            (self.key, self.last_key) = (Some(key), None);
            self.sequences.clear();
            self.added.clear();
        }
        true
    }

    async fn write(&mut self, random: &mut Random, k: u64) -> bool {
        let partition = i32::try_from(random.below(3)).unwrap();
        if !self.is_new && !self.added.contains(&partition) && !self.step(random, Step::Add(partition)).await
        {
            return false;
        }
        self.open().unwrap().records.insert((partition, k));
        self.step(random, Step::Write(partition, k)).await
    }

    /// One transaction, as far as it gets.
    async fn transact(&mut self, random: &mut Random, number: u64) {
        if self.pending.is_some() || self.open().is_some() || !self.take().await {
            self.give_up();
            return;
        }
        self.number = number;
        self.transactions.insert(number, Transaction::default());
        for k in 0..=random.below(5) {
            if !self.write(random, k).await {
                return;
            }
            if random.chance(15) {
                self.disturb(random).await;
            }
        }
        if random.chance(60) {
            let offset = i64::try_from(number).unwrap();
            if !self.is_new && !self.step(random, Step::Group).await {
                return;
            }
            if !self.step(random, Step::Offset(offset)).await {
                return;
            }
        }
        // Sometimes it stays open, and goes on after the next restart.
        if random.chance(90) {
            let commit = random.chance(75);
            self.step(random, Step::End(commit)).await;
        }
    }

    /// A request comes late.
    async fn disturb(&mut self, random: &mut Random) {
        let (id, is_new) = (self.id, self.is_new);
        let commit = random.chance(50);
        match (is_new, self.late.as_mut(), self.last_key) {
            (false, Some(late), _) => {
                let refused = end(late, 3, id, self.key.unwrap(), commit).await;
                assert_eq!(refused, Err(ResponseError::NotCoordinator), "{id}: a late end");
            }
            (true, _, Some(last)) => {
                let refused = end(self.client.as_mut().unwrap(), 5, id, last, commit).await;
                assert_eq!(refused, Err(ResponseError::ProducerFenced), "{id}: a late end");
            }
            _ => {}
        }
    }

    /// Goes on with what was open when the process ended. Nothing stands in its way.
    async fn resume(&mut self, random: &mut Random, was_faulty: bool) {
        if self.open().is_none() {
            self.pending = None;
            return;
        }
        let was_ending = matches!(self.pending, Some(Step::End(_)));
        let pending = self.pending;
        let mut done = match pending {
            Some(step) => self.step(random, step).await,
            None => true,
        };
        if !was_ending {
            done = done && self.write(random, 100).await && self.step(random, Step::End(true)).await;
        }
        let id = self.id;
        assert!(done || was_faulty, "{id} cannot go on with {pending:?} after a restart");
        if !done {
            self.give_up();
        }
    }

    async fn connect(&mut self, wire: &Wire) {
        let mut client = Client::connect(wire.addresses()[0]).await;
        client.send(3, &ApiVersionsRequest::default()).await;
        self.late = self.client.replace(client);
    }
}

/// One idempotent client: its records are numbered.
#[derive(Default)]
struct Numbers {
    key: Option<Key>,
    acknowledged: u64,
}

impl Numbers {
    async fn write(&mut self, client: &mut Client) {
        if self.key.is_none() {
            self.key = init(client, None, None).await.ok();
        }
        let Some(key) = self.key else { return };
        let sequence = i32::try_from(self.acknowledged).unwrap();
        let batch = sequenced(key, sequence, false, &[&format!("{sequence}")]);
        match send(client, 9, None, ("numbers", 0), batch).await {
            Ok(_) => self.acknowledged += 1,
            Err(error) => assert!(is_passing(error), "number {sequence}: {error}"),
        }
    }

    async fn judge(&self, client: &mut Client) {
        let found = committed(client, "numbers", 0).await;
        let expected = (0..found.len()).map(|number| number.to_string());
        assert!(found.iter().cloned().eq(expected), "lost, doubled or out of order: {found:?}");
        let count = u64::try_from(found.len()).unwrap();
        let told = self.acknowledged;
        assert!((told..=told + 1).contains(&count), "{count} records of {told} that were acknowledged");
    }
}

struct Model {
    writers: Vec<Writer>,
    numbers: Numbers,
    next: u64,
    stable: BTreeMap<i32, i64>,
    /// The disk failed in this life, other than by losing its power.
    is_faulty: bool,
    /// The power goes in this life.
    goes_dark: bool,
}

impl Model {
    /// Compares with what a client finds. Nothing is open.
    async fn judge(&mut self, client: &mut Client) {
        let mut found: BTreeMap<(String, u64), BTreeSet<(i32, u64)>> = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for text in committed(client, "out", partition).await {
                let parts: Vec<&str> = text.split('/').collect();
                let (who, number, k) =
                    (parts[0].to_owned(), parts[1].parse().unwrap(), parts[2].parse().unwrap());
                let before = last.insert(who.clone(), (number, k));
                assert!(before < Some((number, k)), "partition {partition}: {text} comes after {before:?}");
                assert!(found.entry((who, number)).or_default().insert((partition, k)), "{text} twice");
            }
        }
        for writer in &mut self.writers {
            let mut offset = None;
            for (number, transaction) in &mut writer.transactions {
                let id = writer.id;
                let present = found.remove(&(id.to_owned(), *number)).unwrap_or_default();
                let is_there = !present.is_empty();
                match transaction.outcome.unwrap() {
                    Outcome::Aborted => assert!(!is_there, "{id}/{number} was aborted and is there"),
                    Outcome::Unknown if !is_there => transaction.outcome = Some(Outcome::Aborted),
                    Outcome::Committed | Outcome::Unknown => {
                        assert_eq!(present, transaction.records, "{id}/{number} is torn or lost");
                        transaction.outcome = Some(Outcome::Committed);
                        offset = transaction.offset.or(offset);
                    }
                }
            }
            let committed = offset_of(client, writer.id, "in", true).await.unwrap();
            assert_eq!(committed, offset.unwrap_or(-1), "the offset of {} goes with its records", writer.id);
        }
        assert!(found.is_empty(), "nobody wrote {found:?}");
        self.numbers.judge(client).await;
    }

    /// The last stable offset never goes back, while nothing is lost.
    async fn watch(&mut self, bus: &Embedded) {
        for partition in 0..PARTITIONS {
            let stable = bus.offsets(&at("out", partition)).await.unwrap().stable;
            let before = self.stable.insert(partition, stable).unwrap_or(0);
            assert!(
                stable >= before || self.is_faulty || self.goes_dark,
                "the last stable offset went from {before} to {stable}"
            );
        }
    }

    /// One life of the broker, until the power goes or the process is killed.
    async fn live(&mut self, random: &mut Random, disk: &SimDisk, log: &Log, bus: &Embedded, wire: &Wire) {
        let mut client = Client::connect(wire.addresses()[0]).await;
        self.goes_dark = random.chance(60);
        if self.goes_dark {
            disk.off_after(random.below(300));
        }
        for _ in 0..4 + random.below(25) {
            match random.below(16) {
                0 => {
                    let part =
                        ["out", "__transaction_state", "__consumer_offsets", "topics/out/1", "numbers"];
                    let part = part[usize::try_from(random.below(5)).unwrap()];
                    let operation = if random.chance(70) { Operation::Sync } else { Operation::Write };
                    disk.fail(operation, part, u32::try_from(1 + random.below(2)).unwrap());
                    self.is_faulty = true;
                }
                1 => log.maintain(),
                2 => {
                    let index = usize::try_from(random.below(2)).unwrap();
                    self.writers[index].connect(wire).await;
                }
                3 => {
                    let index = usize::try_from(random.below(2)).unwrap();
                    self.writers[index].give_up();
                }
                4..8 => self.numbers.write(&mut client).await,
                _ => {
                    self.next += 1;
                    let index = usize::try_from(random.below(2)).unwrap();
                    self.writers[index].transact(random, self.next).await;
                }
            }
            self.watch(bus).await;
        }
    }
}

async fn start(disk: &SimDisk) -> Result<(Arc<Log>, Arc<Embedded>, Wire), String> {
    let clock = support::clock();
    let opened =
        Log::open(Arc::new(disk.clone()), Path::new("/data"), LogConfig::default(), Arc::clone(&clock));
    let (log, _) = opened.map_err(|error| error.to_string())?;
    let embedded = Embedded::open(Arc::clone(&log), EmbeddedConfig::default(), clock).await;
    let embedded = embedded.map_err(|error| error.to_string())?;
    let wire = Wire::serve(&embedded, WireConfig::default()).await.map_err(|error| error.to_string())?;
    Ok((log, embedded, wire))
}

async fn history(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(seed);
    let writers = vec![Writer::new("old", false), Writer::new("new", true)];
    let numbers = Numbers::default();
    let mut model =
        Model { writers, numbers, next: 0, stable: BTreeMap::new(), is_faulty: false, goes_dark: false };
    {
        let (_log, bus, _wire) = start(&disk).await.unwrap();
        for (topic, partitions) in [("out", PARTITIONS), ("in", 1), ("numbers", 1)] {
            bus.create_topic(&TopicSpec::new(topic, partitions).config("retention.ms", "-1")).await.unwrap();
        }
        bus.append(&at("in", 0), records(["a", "b", "c"]), Acks::All).await.unwrap();
    }
    disk = disk.kill();
    for life in 0..4 {
        let (log, bus, wire) =
            start(&disk).await.unwrap_or_else(|error| panic!("it does not start: {error}"));
        let mut client = Client::connect(wire.addresses()[0]).await;
        model.watch(&bus).await;
        let was_faulty = std::mem::take(&mut model.is_faulty);
        for writer in &mut model.writers {
            writer.client = None;
            writer.connect(&wire).await;
            writer.resume(&mut random, was_faulty).await;
            // Whatever is not known to have ended is ended by the next one that takes the id.
            if writer.transactions.values().any(|transaction| transaction.outcome == Some(Outcome::Unknown)) {
                writer.give_up();
            }
            assert!(writer.take().await);
        }
        model.judge(&mut client).await;
        if life < 3 {
            model.live(&mut random, &disk, &log, &bus, &wire).await;
        }
        let is_crash = random.chance(60);
        let next = if is_crash { disk.crash() } else { disk.kill() };
        if is_crash || model.is_faulty || model.goes_dark {
            model.stable.clear();
        }
        wire.close().await;
        drop((log, bus));
        disk = next;
    }
}

#[test]
fn clients_transactions_are_whole_or_absent_whatever_the_disk_does() {
    histories(20, history);
}
