//! Data directories of every format version, as they were written by the version that introduced it, keep opening.
//!
//! `tests/golden/v<version>` is such a directory and `v<version>.txt` says what is in it. Where the format gets a new version, its directory is
//! written once with `MILLSTREAM_WRITE_GOLDEN=1`; the old ones stay as they are.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, ControlKind, ControlMarker, Header};
use millstream_log::{Log, LogConfig, OsDisk};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{TestClock, configs, keyed, read_from, text};

const VERSION: &str = "v1";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn open(dir: &Path) -> Arc<Log> {
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::default() };
    let (log, reports) = Log::open(Arc::new(OsDisk), dir, config, TestClock::new(1)).unwrap();
    assert_eq!(reports, []);
    log
}

/// Everything a log holds, as text.
fn describe(log: &Log) -> String {
    let mut out = String::new();
    for topic in log.topics() {
        let _ = writeln!(out, "topic {} id {} {:?}", topic.name, topic.id, topic.configs);
        for number in 0..topic.partitions {
            let partition = log.partition(&topic.name, number).unwrap();
            let range = partition.range();
            let _ = writeln!(out, "partition {number} from {} to {}", range.earliest, range.next);
            for record in read_from(&partition, range.earliest).unwrap() {
                let (key, value) =
                    (text(record.key.as_ref()), record.value.as_ref().map(|v| v.escape_ascii()));
                let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
                let headers: Vec<_> =
                    record.headers.iter().map(|h| format!("{}={}", h.name, text(h.value.as_ref()))).collect();
                let _ =
                    writeln!(out, "{} at {}: {key:?} {value} {headers:?}", record.offset, record.timestamp);
            }
        }
    }
    out
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_old_data_directory_opens_and_goes_on() {
    if std::env::var_os("MILLSTREAM_WRITE_GOLDEN").is_some() {
        write(&golden().join(VERSION));
    }
    let mut versions = 0;
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        versions += 1;
        let dir = tempfile::tempdir().unwrap();
        copy(&path, dir.path());
        let log = open(dir.path());
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(describe(&log), expected, "{}", path.display());
        for topic in log.topics() {
            let partition = log.partition(&topic.name, 0).unwrap();
            partition.append(&mut keyed(&[(Some("k"), Some("goes on"), 5)])).unwrap();
        }
        log.close().unwrap();
        drop(log);
        assert_eq!(describe(&open(dir.path())).matches("goes on").count(), 2);
    }
    assert!(versions >= 1);
}

/// A directory with all that the format has: several segments, compaction, codecs, transactions, deleted records, a tail without
/// a checkpoint.
fn write(dir: &Path) {
    let log = open(dir);
    let settings = configs(&[("segment.bytes", "400"), ("retention.ms", "-1")]);
    log.create_topic("machine.telemetry", 2, &settings).unwrap();
    let partition = log.partition("machine.telemetry", 0).unwrap();
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (number, codec) in (0..).zip(codecs.into_iter().cycle().take(15)) {
        let mut builder = BatchBuilder::new(codec);
        let header = Header { name: "quality".into(), value: Some(Bytes::from_static(b"Good")) };
        builder.push(
            1000 + number,
            Some("press1".into()),
            Some(format!("{{\"n\":{number}}}").into()),
            vec![header],
        );
        builder.push(1001 + number, None, None, Vec::new());
        partition.append(&mut builder.finish().unwrap()).unwrap();
    }
    partition.delete_before(7).unwrap();
    let settings = configs(&[
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0"),
        ("segment.bytes", "300"),
    ]);
    log.create_topic("state", 1, &settings).unwrap();
    let state = log.partition("state", 0).unwrap();
    for number in 0..20 {
        let mut builder = BatchBuilder::new(Compression::None).producer(7, 0, number).transactional();
        let key = format!("key{}", number % 3);
        builder.push(
            i64::from(number),
            Some(key.into()),
            (number != 18).then(|| number.to_string().into()),
            Vec::new(),
        );
        state.append(&mut builder.finish().unwrap()).unwrap();
        let marker = ControlMarker { kind: ControlKind::Commit, coordinator_epoch: 1 };
        state.append(&mut BatchBuilder::control(marker, 7, 0, i64::from(number))).unwrap();
    }
    log.maintain();
    log.close().unwrap();
    partition.append(&mut keyed(&[(Some("press1"), Some("without a checkpoint"), 2000)])).unwrap();
    fs::write(dir.with_extension("txt"), describe(&log)).unwrap();
    drop(log);
    fs::remove_file(dir.join("lock")).unwrap();
    fs::remove_dir(dir.join("scratch")).unwrap();
}
