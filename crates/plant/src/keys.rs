//! Every key of a plant folder's TOML: one definition that the reader checks by and the reference page is made from.

mod device;
mod kafka;

pub(crate) use device::{DEVICE, GROUP, IMPORT, SIMULATE, TAG, TAG_CSV, WRITE, WRITES};
pub(crate) use kafka::{KAFKA, KAFKA_QUOTA, KAFKA_USER};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// Its name.
    pub name: &'static str,
    /// What its value is, with the unit.
    pub kind: &'static str,
    /// The default; empty where the key must be given or has none.
    pub default: &'static str,
    /// An example of a value, as TOML.
    pub example: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec {
    /// The path, with capital letters for the names that the user chooses: `devices.X.groups.Y`.
    pub path: &'static str,
    /// What it is, with its article, for messages: `a scan group`.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [KeySpec],
}

impl TableSpec {
    /// The names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

const fn key(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> KeySpec {
    KeySpec { name, kind, default, example, doc }
}

/// Every table that the reader knows.
pub const TABLES: &[&TableSpec] = &[
    &PLANT,
    &LOG,
    &KAFKA,
    &KAFKA_USER,
    &KAFKA_QUOTA,
    &HTTP,
    &SQL,
    &DEVICE,
    &GROUP,
    &TAG,
    &WRITES,
    &WRITE,
    &SIMULATE,
    &IMPORT,
    &TAG_CSV,
];

/// The top of a file.
pub(crate) const PLANT: TableSpec = TableSpec {
    path: "",
    title: "a plant",
    keys: &[
        key("log", "table", "", "[log]", "Where records are kept. In one file only."),
        key("kafka", "table", "", "[kafka]", "The listeners for Kafka clients. In one file only."),
        key("http", "table", "", "[http]", "The listener for the status page and metrics. In one file only."),
        key("sql", "table", "", "[sql]", "Settings of the queries. In one file only."),
        key(
            "devices",
            "table of devices",
            "",
            "[devices.press1]",
            "The machines, each under its name; `devices.from` makes them from a template and a table.",
        ),
        key(
            "templates",
            "table of templates",
            "",
            "[templates.press]",
            "Devices with `{placeholders}`, each under its name, with the keys of a device.",
        ),
    ],
};

/// `[log]`.
pub(crate) const LOG: TableSpec = TableSpec {
    path: "log",
    title: "the log",
    keys: &[
        key(
            "data_dir",
            "text: a path, from the plant folder",
            "\"data\"",
            "data_dir = \"/var/lib/millstream\"",
            "Where the embedded log keeps its files.",
        ),
        key(
            "bootstrap_servers",
            "text: `host:port`, several with commas",
            "",
            "bootstrap_servers = \"kafka1:9092,kafka2:9092\"",
            "Apache Kafka (or what speaks its protocol) in place of the embedded log.",
        ),
        key(
            "kafka",
            "table of texts",
            "",
            "kafka.\"security.protocol\" = \"SASL_SSL\"",
            "Settings of the connection to `bootstrap_servers`, under librdkafka's names.",
        ),
        key(
            "flush_interval",
            "duration, 0ms to 10s",
            "\"5ms\"",
            "flush_interval = \"5ms\"",
            "The longest that an `fsync` waits for more appends to share it, while one follows the other; `0ms` never waits.",
        ),
        key(
            "retention",
            "duration, 1m or more",
            "\"7d\"",
            "retention = \"30d\"",
            "Records older than this are deleted, a segment at a time.",
        ),
        key(
            "retention_size",
            "size, 1MiB or more",
            "no limit",
            "retention_size = \"10GiB\"",
            "The oldest segments of a partition are deleted when it is larger than this.",
        ),
        key(
            "segment_size",
            "size, 1MiB to 1GiB",
            "\"128MiB\"",
            "segment_size = \"128MiB\"",
            "A partition's file is closed and a new one begun at this size.",
        ),
        key(
            "forward_records_per_second",
            "number, more than 0, at most 10000000",
            "no limit",
            "forward_records_per_second = 20000",
            "With `bootstrap_servers`: how fast what waited for a cut link is sent at most.",
        ),
        key(
            "forward_size_per_second",
            "size, 1kB or more",
            "no limit",
            "forward_size_per_second = \"2MiB\"",
            "See `forward_records_per_second`.",
        ),
    ],
};

const LISTEN: &str = "text: an IP address and a port, or `localhost:port`";

/// `[sql]`.
pub(crate) const SQL: TableSpec = TableSpec {
    path: "sql",
    title: "SQL",
    keys: &[
        key(
            "service_id",
            "text: letters, digits, `_`, `-` and `.`",
            "",
            "service_id = \"line2\"",
            "With `bootstrap_servers`: processes of the same id on one cluster divide the partitions of their queries and take over from one another (`ksql.service.id`). All of them must run the same statements.",
        ),
        key(
            "schema_registry",
            "text: a URL",
            "the registry in the log",
            "schema_registry = \"https://registry.plant:8081\"",
            "A schema registry that speaks Confluent's REST API, in place of the one that is kept in the log.",
        ),
        key(
            "schema_registry_user",
            "text",
            "",
            "schema_registry_user = \"millstream\"",
            "The name to sign in there with.",
        ),
        key(
            "schema_registry_password",
            "text",
            "",
            "schema_registry_password = \"${env:REGISTRY_PASSWORD}\"",
            "The password to that name.",
        ),
        key(
            "connect_url",
            "text: a URL",
            "",
            "connect_url = \"http://connect.plant:8083\"",
            "A worker of Kafka Connect: `CREATE CONNECTOR` and its like speak to it (`ksql.connect.url`). Without it, `SHOW CONNECTORS` lists those of this plant.",
        ),
        key("connect_user", "text", "", "connect_user = \"millstream\"", "The name to sign in there with."),
        key(
            "connect_password",
            "text",
            "",
            "connect_password = \"${env:CONNECT_PASSWORD}\"",
            "The password to that name.",
        ),
    ],
};

/// `[http]`.
pub(crate) const HTTP: TableSpec = TableSpec {
    path: "http",
    title: "the HTTP listener",
    keys: &[
        key(
            "listen",
            LISTEN,
            "\"127.0.0.1:8080\"",
            "listen = \"127.0.0.1:8080\"",
            "Where the status page, `/metrics` and `/health` are; `\"off\"` for nowhere.",
        ),
        key(
            "insecure",
            "true or false",
            "false",
            "insecure = true",
            "Allows an address that other machines can reach, though there is neither sign-in nor encryption.",
        ),
    ],
};
