//! FAULTS, rows F15–F19, F27 and F35: what a disk does wrong under the embedded log, judged from a device's register to
//! the write that comes back to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, FetchLimit, Isolation, Position, Record, StartOffset,
    TopicPartition, TopicSpec, TransactionalProducer,
};
use millstream_driver::guard::WriteRule;
use millstream_driver::schedule::Verdict;
use millstream_log::{Disk, Log, LogConfig, LogError, Operation, OsDisk, Random, SimDisk};
use millstream_model::Clock as _;
use millstream_tests::oracle::{Delivery, Ledger, judge_counter, judge_writes};
use millstream_tests::rogue::Rogue;
use millstream_tests::rooms::{
    Device, PATIENCE, ROWS, Rooms, TestClock, Witnessed, records, rounds, samples, until,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const DIR: &str = "/data";

/// The log and the engine over it, on any disk.
async fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    config: LogConfig,
    clock: Arc<TestClock>,
) -> (Arc<Log>, Arc<Embedded>) {
    let (log, _) = Log::open(disk, dir, config, clock.clone()).unwrap();
    let bus = Embedded::open(log.clone(), EmbeddedConfig::default(), clock).await.unwrap();
    (log, bus)
}

async fn on(disk: &SimDisk, clock: &Arc<TestClock>) -> (Arc<Log>, Arc<Embedded>) {
    open(Arc::new(disk.clone()), Path::new(DIR), LogConfig::default(), clock.clone()).await
}

/// A press with a counter and a setpoint, both read.
fn press(machine: &Rogue, change: impl FnOnce(&mut WriteRule)) -> Device {
    machine.state().counter = Some(0);
    machine.state().registers.insert(0, 0);
    Device::new("press", machine.address)
        .every(20)
        .register("count", 0)
        .register("pv", 4)
        .writes("setpoint", 4, change)
}

fn numbered(id: u64) -> Vec<Record> {
    vec![Record::new(None, Some(Bytes::from(id.to_string())), TestClock::start().now())]
}

/// The ids in a topic, as the ledger wants them.
async fn ids(bus: &dyn Bus, topic: &str) -> BTreeMap<String, Vec<u64>> {
    let id = |bytes: Option<Bytes>| std::str::from_utf8(&bytes.unwrap()).unwrap().parse().unwrap();
    let found = records(bus, topic).await.into_iter().map(|received| id(received.record.value)).collect();
    BTreeMap::from([(topic.to_owned(), found)])
}

fn used(disk: &SimDisk) -> u64 {
    disk.limit(Some(1 << 40));
    let space = disk.space(Path::new(DIR)).unwrap();
    space.total_bytes - space.free_bytes
}

/// Every file under `dir` on a simulated disk whose name ends so.
fn files(disk: &SimDisk, dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in disk.list(dir).unwrap_or_default() {
        let path = dir.join(&name);
        if name.ends_with(ending) && disk.contents(&path).is_some() {
            found.push(path);
        } else {
            found.extend(files(disk, &path, ending));
        }
    }
    found
}

#[tokio::test]
async fn f15_a_full_disk_stops_appends_only_and_everything_goes_on_when_there_is_space() {
    let (disk, clock, machine) = (SimDisk::new(1), TestClock::start(), Rogue::start(8).await);
    let (log, bus) = on(&disk, &clock).await;
    let plant = Rooms::start(bus.clone(), clock.clone(), &[press(&machine, |_| {})]).await;
    let witnessed = Witnessed::watch(&machine, &plant.bus);
    bus.create_topic(&TopicSpec::new("orders", 1)).await.unwrap();
    let orders = TopicPartition::new("orders", 0);
    let mut ledger = Ledger::new();
    for id in 0..50 {
        bus.append(&orders, numbered(id), Acks::All).await.unwrap();
        ledger.acknowledge("orders", id);
    }
    plant.ask("press", r#"{"setpoint":10}"#).await;
    plant.settled("press").await;
    plant.more_rows("press", 10).await;

    disk.limit(Some(used(&disk)));
    // Zeros that were laid ahead take some more records, and then there is no room left.
    let mut next = 50;
    let refused = loop {
        match bus.append(&orders, numbered(next), Acks::All).await {
            Ok(_) => ledger.acknowledge("orders", next),
            Err(refused) => break refused,
        }
        next += 1;
    };
    assert!(matches!(refused, BusError::DiskFull(_)), "a clear error: {refused:?}");
    assert!(refused.is_retriable());
    until("the source names the fault", PATIENCE, async || {
        plant.source.troubles().iter().any(|trouble| trouble.contains("full")).then_some(())
    })
    .await;
    // Reading goes on, and so does the machine; nothing piles up.
    ledger.judge(&ids(&*bus, "orders").await, Delivery::Once).assert_good();
    assert!(!plant.rows("press").await.is_empty());
    let (asked, metrics) = (machine.asked(), plant.device("press").metrics);
    let overruns = metrics.overruns.get();
    until("scans go on, slower", PATIENCE, async || {
        (machine.asked() > asked + 3 && metrics.overruns.get() > overruns + 50).then_some(())
    })
    .await;
    assert!(plant.source.metrics().pending.get() <= 64, "O5: {}", plant.source.metrics().pending.get());
    // The audit trail has room of its own, so that an operator is still obeyed.
    let report = plant.write("press", "setpoint", 11).await;
    assert!(matches!(report.verdict, Verdict::Written { .. }), "{:?}", report.verdict);

    disk.limit(None);
    log.maintain();
    for id in next + 1..next + 10 {
        bus.append(&orders, numbered(id), Acks::All).await.unwrap();
        ledger.acknowledge("orders", id);
    }
    plant.more_rows("press", 20).await;
    assert!(plant.source.troubles().is_empty(), "O8: {:?}", plant.source.troubles());
    plant.ask("press", r#"{"setpoint":12}"#).await;
    plant.settled("press").await;
    assert_eq!(machine.written(4), [10, 11, 12]);
    ledger.judge(&ids(&*bus, "orders").await, Delivery::Once).assert_good();
    let rows = plant.rows("press").await;
    assert!(rows.iter().any(|row| row.missed > 0), "the gap is told");
    judge_counter(&samples(&rows, "count")).and(judge_writes(&witnessed.steps())).assert_good();
    plant.stop().await;
}

#[tokio::test]
async fn f16_a_failed_sync_is_never_called_a_success_and_the_partition_comes_back_by_itself() {
    for seed in 0..rounds(2, 500) as u64 {
        let (disk, clock, machine) = (SimDisk::new(seed), TestClock::start(), Rogue::start(8).await);
        let (log, bus) = on(&disk, &clock).await;
        let plant = Rooms::start(bus.clone(), clock.clone(), &[press(&machine, |_| {})]).await;
        bus.create_topic(&TopicSpec::new("orders", 1)).await.unwrap();
        let orders = TopicPartition::new("orders", 0);
        let mut ledger = Ledger::new();
        for id in 0..20 {
            bus.append(&orders, numbered(id), Acks::All).await.unwrap();
            ledger.acknowledge("orders", id);
        }
        plant.more_rows("press", 5).await;
        disk.fail(Operation::Sync, "topics/orders", 1);
        disk.fail(Operation::Sync, "topics/machine.telemetry", 1);
        let failed = bus.append(&orders, numbered(20), Acks::All).await;
        assert!(failed.is_err(), "the producer is told");
        let fenced = bus.append(&orders, numbered(21), Acks::All).await;
        assert!(matches!(&fenced, Err(error) if error.is_retriable()), "{fenced:?}");
        until("the partition comes back", PATIENCE, async || {
            log.maintain();
            bus.append(&orders, numbered(22), Acks::All).await.ok()
        })
        .await;
        ledger.acknowledge("orders", 22);
        plant.more_rows("press", 10).await;
        ledger.judge(&ids(&*bus, "orders").await, Delivery::Once).assert_good();
        judge_counter(&samples(&plant.rows("press").await, "count")).assert_good();
        plant.stop().await;
        // The power fails: what was acknowledged on either side of the fault is there.
        let disk = disk.crash();
        drop((log, bus));
        let (_log, bus) = on(&disk, &clock).await;
        ledger.judge(&ids(&*bus, "orders").await, Delivery::Once).assert_good();
        bus.append(&orders, numbered(23), Acks::All).await.unwrap();
    }
}

/// One life of a copier that takes from `in` to `out` in transactions, and of a producer beside it, until the power goes.
async fn life(random: &mut Random, disk: &SimDisk, bus: &Arc<Embedded>, ledger: &mut Ledger, next: &mut u64) {
    let input = TopicPartition::new("in", 0);
    let Ok(mut copier) = bus.transactional("copier").await else { return };
    disk.off_after(random.below(300));
    for _ in 0..200 {
        if random.chance(50) {
            let id = *next;
            *next += 1;
            if bus.append(&input, numbered(id), Acks::All).await.is_ok() {
                ledger.acknowledge("in", id);
            }
        }
        let Ok(done) = copy(random, bus, &mut *copier, &input).await else {
            // A producer whose transaction failed is replaced, as a task does that starts again.
            drop(copier);
            match bus.transactional("copier").await {
                Ok(again) => copier = again,
                Err(_) => return,
            }
            continue;
        };
        if done {
            tokio::task::yield_now().await;
        }
    }
}

/// One transaction: what came since the committed offset, and the new offset. Whether there was anything.
async fn copy(
    random: &mut Random,
    bus: &Arc<Embedded>,
    copier: &mut dyn TransactionalProducer,
    input: &TopicPartition,
) -> Result<bool, BusError> {
    let committed = bus.committed("copier", std::slice::from_ref(input)).await?.remove(0);
    let from = committed.map_or(0, |committed| committed.offset);
    let position = Position::new(input.clone(), StartOffset::Offset(from));
    let mut reader = bus.reader(vec![position], Isolation::ReadCommitted).await?;
    let limit = FetchLimit { wait_max: Duration::ZERO, records_max: 5, ..FetchLimit::default() };
    let found: Vec<_> = reader.poll(limit).await?.into_iter().flat_map(|part| part.records).collect();
    let Some(last) = found.last().map(|received| received.offset) else { return Ok(false) };
    let mut transaction = copier.begin().await?;
    for received in found {
        transaction.append(&TopicPartition::new("out", 0), vec![received.record]).await?;
        if random.chance(3) {
            transaction.abort().await?;
            return Ok(true);
        }
    }
    transaction.commit_offsets("copier", &[(input.clone(), CommittedOffset::new(last + 1))]).await?;
    transaction.commit().await?;
    Ok(true)
}

#[tokio::test]
async fn f17_f18_kills_and_power_cuts_lose_nothing_acknowledged_and_copy_nothing_twice() {
    let seed = std::env::var("MILLSTREAM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let mut acknowledged = 0;
    for seed in seed..seed + rounds(30, 20) as u64 {
        println!("MILLSTREAM_SEED={seed}");
        let (clock, mut random, mut disk) = (TestClock::start(), Random::new(seed), SimDisk::new(seed));
        let (log, bus) = on(&disk, &clock).await;
        bus.create_topic(&TopicSpec::new("in", 1)).await.unwrap();
        bus.create_topic(&TopicSpec::new("out", 1)).await.unwrap();
        drop((log, bus));
        disk = disk.crash();
        let (mut ledger, mut next) = (Ledger::new(), 0);
        for _ in 0..4 {
            let (log, bus) = on(&disk, &clock).await;
            life(&mut random, &disk, &bus, &mut ledger, &mut next).await;
            disk = if random.chance(60) { disk.crash() } else { disk.kill() };
            drop((log, bus));
        }
        // The last life is a healthy one: the copier catches up.
        let (_log, bus) = on(&disk, &clock).await;
        let mut copier = bus.transactional("copier").await.unwrap();
        while copy(&mut random, &bus, &mut *copier, &TopicPartition::new("in", 0)).await.unwrap() {}
        let found = ids(&*bus, "in").await;
        ledger.judge(&found, Delivery::Once).assert_good();
        // Every record that is in the log, acknowledged or not, is in the copy once and in order.
        assert_eq!(ids(&*bus, "out").await["out"], found["in"], "seed {seed}");
        acknowledged += ledger.len();
    }
    assert!(acknowledged > 5 * rounds(30, 20), "{acknowledged} records were acknowledged in all");
}

#[tokio::test]
async fn f19_bit_rot_costs_the_damaged_records_only_and_everyone_is_told_which() {
    let (disk, clock, machine) = (SimDisk::new(1), TestClock::start(), Rogue::start(8).await);
    let (log, bus) = on(&disk, &clock).await;
    let small = |topic: &str| TopicSpec::new(topic, 1).config("segment.bytes", "600");
    let (orders, setpoints) = (TopicPartition::new("orders", 0), TopicPartition::new("press.setpoints", 0));
    for topic in ["orders", "press.setpoints"] {
        bus.create_topic(&small(topic)).await.unwrap();
    }
    for id in 0..60 {
        bus.append(&orders, numbered(id), Acks::All).await.unwrap();
    }
    let value = |n: u64| Some(Bytes::from(format!(r#"{{"setpoint":{n}}}"#)));
    for id in 0..60 {
        let record = Record::new(None, value(100 + id), clock.now());
        bus.append(&setpoints, vec![record], Acks::All).await.unwrap();
    }
    log.close().unwrap();
    drop((log, bus));
    let disk = disk.kill();
    for topic in ["orders", "press.setpoints"] {
        let segments = files(&disk, &Path::new(DIR).join("topics").join(topic), ".log");
        assert!(segments.len() > 4, "{segments:?}");
        // In the middle of a sealed one, past the header of a batch.
        let mut bytes = disk.contents(&segments[2]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        disk.set_contents(&segments[2], &bytes);
    }

    let (_log, bus) = on(&disk, &clock).await;
    let from = vec![Position::new(orders.clone(), StartOffset::Earliest)];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    while reader.positions()[0].1 < 60 {
        match reader.poll(FetchLimit::default()).await {
            Ok(fetched) => {
                found.extend(fetched.into_iter().flat_map(|part| part.records).map(|record| record.offset));
            }
            Err(BusError::Corrupt { at, first, last }) => {
                assert_eq!(at, orders);
                damaged.extend(first..=last);
                reader.seek(&orders, last + 1).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..10).contains(&damaged.len()), "the damaged batch and no more: {damaged:?}");
    let mut all = [found, damaged].concat();
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<_>>(), "every offset is read or reported");
    bus.append(&orders, numbered(60), Acks::All).await.unwrap();

    // A sink that comes upon such a place goes on behind it.
    let plant = Rooms::start(bus.clone(), clock.clone(), &[press(&machine, |_| {})]).await;
    plant.ask("press", r#"{"setpoint":200}"#).await;
    plant.settled("press").await;
    assert_eq!(machine.written(4).last(), Some(&200));
    plant.more_rows("press", 3).await;
    plant.stop().await;
}

#[tokio::test]
async fn f27_a_stuck_reader_holds_up_nobody_and_learns_what_it_has_lost() {
    let (disk, clock) = (SimDisk::new(1), TestClock::start());
    let (log, bus) = on(&disk, &clock).await;
    let spec = TopicSpec::new("orders", 1).config("segment.bytes", "2000").config("retention.bytes", "8000");
    bus.create_topic(&spec).await.unwrap();
    let orders = TopicPartition::new("orders", 0);
    bus.append(&orders, numbered(0), Acks::All).await.unwrap();
    let topics = ["orders".to_owned()];
    let subscribed = bus.subscribe("stuck", &topics, StartOffset::Earliest, Isolation::ReadCommitted).await;
    let mut stuck = subscribed.unwrap();
    let mut first = Vec::new();
    while first.is_empty() {
        first = timeout(PATIENCE, stuck.poll(FetchLimit::default())).await.unwrap().unwrap();
    }
    assert_eq!(first[0].records[0].offset, 0);
    stuck.commit(&[(orders.clone(), CommittedOffset::new(1))]).await.unwrap();
    // From here it does nothing. Producers and another group do not notice.
    let subscribed = bus.subscribe("healthy", &topics, StartOffset::Earliest, Isolation::ReadCommitted).await;
    let (mut healthy, mut read) = (subscribed.unwrap(), 0);
    for id in 1..2_000 {
        bus.append(&orders, numbered(id), Acks::All).await.unwrap();
        if id % 100 == 99 {
            while read <= id {
                let fetched = timeout(PATIENCE, healthy.poll(FetchLimit::default())).await.unwrap().unwrap();
                read += fetched.iter().map(|part| part.records.len() as u64).sum::<u64>();
            }
            log.maintain();
        }
    }
    assert_eq!(read, 2_000, "whoever reads gets everything");
    let range = bus.offsets(&orders).await.unwrap();
    assert!(range.earliest > 1_000, "{range:?}");
    // Its lag is to be seen by anyone.
    let committed = bus.committed("stuck", std::slice::from_ref(&orders)).await.unwrap().remove(0).unwrap();
    assert_eq!(range.latest - committed.offset, 1_999);
    // It wakes up, and is told what it has lost, to the record.
    let mut got = Vec::new();
    loop {
        match timeout(PATIENCE, stuck.poll(FetchLimit::default())).await.unwrap() {
            Ok(fetched) => got.extend(fetched.into_iter().flat_map(|part| part.records).map(|r| r.offset)),
            Err(BusError::OffsetOutOfRange { at, offset, earliest, latest }) => {
                assert_eq!((&at, earliest, latest), (&orders, range.earliest, range.latest));
                assert!(offset < earliest, "{offset} to {} are lost", earliest - 1);
                stuck.seek(&orders, earliest).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        if got.last() == Some(&(range.latest - 1)) {
            break;
        }
    }
    got.retain(|offset| *offset >= range.earliest);
    assert_eq!(got, (range.earliest..range.latest).collect::<Vec<_>>());
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn f35_a_data_directory_of_every_older_version_carries_a_plant_and_a_newer_one_is_refused_in_words() {
    let golden = millstream_tests::peer::root().join("crates/log/tests/golden");
    let mut versions = 0;
    for entry in std::fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        versions += 1;
        let (dir, clock, machine) = (tempfile::tempdir().unwrap(), TestClock::start(), Rogue::start(8).await);
        copy_dir(&path, dir.path());
        let config = || LogConfig { reserve_bytes: 1 << 20, ..LogConfig::default() };
        let (log, bus) = open(Arc::new(OsDisk), dir.path(), config(), clock.clone()).await;
        let before: Vec<_> = records(&*bus, ROWS).await.into_iter().map(|received| received.record).collect();
        assert!(before.len() > 10, "what the older version wrote is there");
        let plant = Rooms::start(bus.clone(), clock.clone(), &[press(&machine, |_| {})]).await;
        plant.ask("press", r#"{"setpoint":5}"#).await;
        plant.settled("press").await;
        until("rows of this version", PATIENCE, async || {
            (records(&*bus, ROWS).await.len() > before.len() + 5).then_some(())
        })
        .await;
        plant.stop().await;
        bus.close().await.unwrap();
        drop((log, bus));
        let (log, bus) = open(Arc::new(OsDisk), dir.path(), config(), clock.clone()).await;
        let after: Vec<_> = records(&*bus, ROWS).await.into_iter().map(|received| received.record).collect();
        assert!(after.len() > before.len() && before.iter().all(|record| after.contains(record)));
        bus.close().await.unwrap();
        drop((log, bus));

        // A version that does not exist yet.
        let format = dir.path().join("format");
        let text = std::fs::read_to_string(&format).unwrap();
        std::fs::write(&format, text.replace("millstream-log 1", "millstream-log 999")).unwrap();
        let refused = Log::open(Arc::new(OsDisk), dir.path(), config(), clock.clone()).map(|_| ());
        let Err(LogError::DataDir { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("newer"), "{reason}");
        // Nothing was touched: put the file back, and it opens.
        std::fs::write(&format, text).unwrap();
        let (_log, bus) = open(Arc::new(OsDisk), dir.path(), config(), clock.clone()).await;
        assert_eq!(records(&*bus, ROWS).await.len(), after.len());
    }
    assert!(versions >= 1);
}
