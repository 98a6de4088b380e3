//! `millstream topic …`: its commands and flags.

use super::{InstanceUrl, Output};
use clap::{Args, Subcommand};

/// Where topics are.
#[derive(Debug, Args)]
pub(crate) struct TopicPlace {
    /// The instance.
    #[command(flatten)]
    pub(crate) instance: InstanceUrl,

    /// Speak the Kafka protocol with these addresses: an instance's `[kafka] listen`, or Apache Kafka
    #[arg(long, visible_alias = "bootstrap-servers", value_name = "HOST:PORT,…")]
    pub(crate) bootstrap: Option<String>,

    /// A setting of that connection under librdkafka's name, for example security.protocol=SASL_SSL
    #[arg(short = 'X', value_name = "NAME=VALUE", requires = "bootstrap")]
    pub(crate) config: Vec<String>,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream topic …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// All topics, with their records and rates
    List {
        /// Where.
        #[command(flatten)]
        place: TopicPlace,
    },
    /// One topic: partitions, offsets, settings
    Describe {
        /// Its name
        topic: String,
        /// Where.
        #[command(flatten)]
        place: TopicPlace,
    },
    /// Make a topic
    Create {
        /// Its name
        topic: String,
        /// How many partitions
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10_000))]
        partitions: i32,
        /// Keep the newest record of each key for ever
        #[arg(long)]
        compact: bool,
        /// A setting under Kafka's name, for example retention.ms=86400000
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Where.
        #[command(flatten)]
        place: TopicPlace,
    },
    /// Delete a topic with all its records; asks first
    Delete {
        /// Its name
        topic: String,
        /// Do not ask; for scripts
        #[arg(long)]
        yes: bool,
        /// Where.
        #[command(flatten)]
        place: TopicPlace,
    },
    /// Show the newest records, and those that come
    Tail(Tail),
    /// Append records: the standard input, a line each, or the given values
    Produce(Produce),
}

/// `millstream topic tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Its name
    pub(crate) topic: String,

    /// Only this partition
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<i32>,

    /// Begin this many offsets before the end
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) last: u32,

    /// Begin with the first record there is
    #[arg(long, conflicts_with = "last")]
    pub(crate) from_beginning: bool,

    /// Begin at this offset
    #[arg(long, value_name = "OFFSET", conflicts_with_all = ["last", "from_beginning"])]
    pub(crate) offset: Option<i64>,

    /// End at the end; do not wait for more
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// End after this many records
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,

    /// Where.
    #[command(flatten)]
    pub(crate) place: TopicPlace,
}

/// `millstream topic produce`.
#[derive(Debug, Args)]
#[command(
    after_help = "With --json each line is {\"key\":…,\"value\":…,\"headers\":{…},\"partition\":…,\"timestamp_ms\":…}; \
                        all but the value may be left out."
)]
pub(crate) struct Produce {
    /// The topic's name
    pub(crate) topic: String,

    /// Values to append, in place of the standard input
    #[arg(value_name = "VALUE")]
    pub(crate) values: Vec<String>,

    /// The key of every record
    #[arg(short = 'k', long, value_name = "TEXT")]
    pub(crate) key: Option<String>,

    /// Where.
    #[command(flatten)]
    pub(crate) place: TopicPlace,
}
