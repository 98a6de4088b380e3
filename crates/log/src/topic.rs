//! What is known of a topic beside its records: file `topic` in its directory, text (see [`crate::metafile`]), version 1.
//!
//! ```text
//! millstream-topic 1
//! id <number>
//! partitions <number>
//! config <name>=<value>          as given, once per config
//! crc <…>
//! ```

use crate::config::TopicConfig;
use crate::disk::Disk;
use crate::metafile::{self, BadText};
use crate::{LogError, limits};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const FILE: &str = "topic";
const KIND: &str = "topic";
const VERSION: u32 = 1;

/// A topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id: another topic of the same name, made later, has another one.
    pub id: u64,
    /// How many partitions.
    pub partitions: i32,
    /// Its own configs, under Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// All its settings, the log's defaults among them.
    pub config: TopicConfig,
}

/// Kafka's rule: 1 to 249 characters of `a-zA-Z0-9._-`, and neither `.` nor `..`.
pub(crate) fn check_name(name: &str) -> Result<(), LogError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=limits::TOPIC_NAME_BYTES).contains(&name.len())
        && name.bytes().all(legal)
        && name != "."
        && name != "..";
    if good {
        return Ok(());
    }
    Err(LogError::Invalid(format!(
        "`{name}` is no topic name: 1 to {} letters, digits, `.`, `_` and `-`",
        limits::TOPIC_NAME_BYTES
    )))
}

/// What the file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicFile {
    id: u64,
    partitions: i32,
    configs: BTreeMap<String, String>,
}

impl TopicFile {
    pub(crate) fn of(topic: &Topic) -> Self {
        Self { id: topic.id, partitions: topic.partitions, configs: topic.configs.clone() }
    }

    fn encode(&self) -> String {
        let mut lines = format!("id {}\npartitions {}\n", self.id, self.partitions);
        for (name, value) in &self.configs {
            let _ = writeln!(lines, "config {name}={value}");
        }
        metafile::seal(KIND, VERSION, &lines)
    }

    fn decode(text: &[u8]) -> Result<Self, BadText> {
        let mut file = Self::default();
        for line in metafile::unseal(KIND, VERSION, text)? {
            file.read_line(line).ok_or_else(|| BadText::Damaged(format!("it has a bad line `{line}`")))?;
        }
        Ok(file)
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        match line.split_once(' ')? {
            ("id", id) => self.id = id.parse().ok()?,
            ("partitions", partitions) => self.partitions = partitions.parse().ok()?,
            ("config", config) => {
                let (name, value) = config.split_once('=')?;
                self.configs.insert(name.to_owned(), value.to_owned());
            }
            _ => return None,
        }
        Some(())
    }

    /// Writes it into the topic's directory, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        metafile::replace(disk, &dir.join(FILE), &self.encode())
    }
}

/// All topics in a directory. One that cannot be read refuses the whole directory: nobody can say how many partitions it had.
pub(crate) fn read_all(disk: &dyn Disk, dir: &Path, defaults: &TopicConfig) -> Result<Vec<Topic>, LogError> {
    let names = disk.list(dir).map_err(|error| LogError::io("list", dir, error))?;
    names.into_iter().map(|name| read(disk, &dir.join(&name), name, defaults)).collect()
}

fn read(disk: &dyn Disk, dir: &Path, name: String, defaults: &TopicConfig) -> Result<Topic, LogError> {
    let path = dir.join(FILE);
    let decoded = match metafile::read(disk, &path)? {
        Some(text) => TopicFile::decode(&text),
        None => Err(BadText::Damaged("it is missing".to_owned())),
    };
    let TopicFile { id, partitions, configs } = decoded.map_err(|bad| LogError::DataDir {
        path,
        reason: match bad {
            BadText::Newer(version) => format!(
                "its format version {version} is newer than this Millstream's, {VERSION}; start the newer version"
            ),
            BadText::Damaged(what) => format!("{what}; restore it from a backup, or move the topic's directory away"),
        },
    })?;
    let config = defaults.with(&configs)?;
    Ok(Topic { name, id, partitions, configs, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_file_reads_back() {
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let file = TopicFile { id: 1_732_170_000_123, partitions: 3, configs };
        assert_eq!(TopicFile::decode(file.encode().as_bytes()), Ok(file));
    }

    #[test]
    fn names_follow_kafkas_rule() {
        for name in ["a", "machine.telemetry", "__offsets", "A-1", &"x".repeat(249)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
