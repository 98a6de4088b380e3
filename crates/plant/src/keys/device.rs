//! The keys of devices: groups, tags, writes, simulation, templates and lists.

use super::{LISTEN, TableSpec, key};

/// `[devices.X]`, and `[templates.T]`.
pub(crate) const DEVICE: TableSpec = TableSpec {
    path: "devices.X",
    title: "a device",
    keys: &[
        key(
            "connection",
            "text: a connection string as PLC4X writes it",
            "",
            "connection = \"modbus-tcp://10.0.0.7:502?unit-identifier=1\"",
            "How to reach it. Must be given.",
        ),
        key(
            "asset",
            "text: an asset path after ISA-95, `enterprise/site/area/line/cell`",
            "the device's name",
            "asset = \"acme/berlin/stamping/line2/press1\"",
            "The key of its records.",
        ),
        key(
            "groups",
            "table of scan groups",
            "",
            "[devices.press1.groups.fast]",
            "What is read, each group under its name.",
        ),
        key(
            "writes",
            "table",
            "",
            "[devices.press1.writes]",
            "What may be written; nothing else on the device ever is.",
        ),
        key(
            "simulate",
            "table",
            "",
            "[devices.press1.simulate]",
            "How `simulate` and `demo` play this device.",
        ),
        key(
            "requests_per_second",
            "number, more than 0, at most 100000",
            "no limit",
            "requests_per_second = 50",
            "The most requests in a second, reads and writes together.",
        ),
        key(
            "requests_in_flight",
            "whole number, 1 to 64",
            "what the connection allows",
            "requests_in_flight = 1",
            "The most unanswered requests at once; the connection string may allow fewer.",
        ),
        key(
            "connect_timeout",
            "duration, 10ms to 5m",
            "\"5s\"",
            "connect_timeout = \"2s\"",
            "How long one attempt to connect may take.",
        ),
        key(
            "scan_timeout",
            "duration, 10ms to 1h",
            "\"1m\"",
            "scan_timeout = \"30s\"",
            "A scan that takes longer counts as hung: the connection is opened anew. Time-outs of the protocol come first.",
        ),
    ],
};

/// `[devices.X.groups.Y]`.
pub(crate) const GROUP: TableSpec = TableSpec {
    path: "devices.X.groups.Y",
    title: "a scan group",
    keys: &[
        key(
            "interval",
            "duration, 1ms to 1d",
            "",
            "interval = \"100ms\"",
            "From the start of one scan to the start of the next. Must be given.",
        ),
        key(
            "topic",
            "text: a topic's name",
            "`<device>.<group>`; from a template `<template>.<group>`",
            "topic = \"machine.telemetry\"",
            "Where the records go. Groups that share a topic share one SQL stream, whose columns are all of theirs.",
        ),
        key(
            "mode",
            "`always` or `on_change`",
            "`always`; with `layout = \"tag\"` `on_change`",
            "mode = \"on_change\"",
            "Every scan is a record, or only one in which a tag moved past its deadband.",
        ),
        key(
            "layout",
            "`row` or `tag`",
            "`row`",
            "layout = \"tag\"",
            "One record per scan, a JSON object of all tags; or one per tag.",
        ),
        key(
            "max_interval",
            "duration, from `interval` to 1d",
            "\"1m\"",
            "max_interval = \"10s\"",
            "With `mode = \"on_change\"`: the longest time without a full record.",
        ),
        key(
            "deadband",
            "number, 0 or more, in engineering units",
            "0",
            "deadband = 0.5",
            "With `mode = \"on_change\"`: the deadband of every tag that has none of its own.",
        ),
        key(
            "tags",
            "table of tags",
            "",
            "tags.temperature = \"holding-register:1:REAL\"",
            "What is read, each under its name: an address or a table. `tags.from = \"press1.csv\"` imports a list. Must be given.",
        ),
    ],
};

/// `[devices.X.groups.Y.tags.Z]`.
pub(crate) const TAG: TableSpec = TableSpec {
    path: "devices.X.groups.Y.tags.Z",
    title: "a tag",
    keys: &[
        key(
            "address",
            "text: an address of the device's protocol",
            "",
            "address = \"holding-register:1:INT\"",
            "Where it is in the device. Must be given.",
        ),
        key(
            "scale",
            "number, not 0",
            "1",
            "scale = 0.1",
            "Engineering value = value in the device × scale + offset. A scaled value is an LREAL.",
        ),
        key("offset", "number", "0", "offset = -273.15", "See `scale`."),
        key(
            "deadband",
            "number, 0 or more, in engineering units",
            "the group's",
            "deadband = 0.5",
            "With `mode = \"on_change\"`: the smallest change that counts.",
        ),
        key("unit", "text", "", "unit = \"m/min\"", "The engineering unit, for people."),
        key(
            "simulate",
            "table",
            "the protocol's zero",
            "simulate = { signal = \"sine\", min = 20, max = 80, period = \"10s\" }",
            "How the value moves when the device is simulated.",
        ),
    ],
};

/// `[devices.X.writes]`.
pub(crate) const WRITES: TableSpec = TableSpec {
    path: "devices.X.writes",
    title: "a table of writes",
    keys: &[
        key(
            "topic",
            "text: a topic's name",
            "",
            "topic = \"press1.setpoints\"",
            "Whose records ask for writes. Must be given.",
        ),
        key(
            "tags",
            "table of tags",
            "",
            "tags.setpoint = { address = \"holding-register:21:REAL\", min = 20, max = 90 }",
            "What may be written, each under its name. Must be given.",
        ),
    ],
};

/// `[devices.X.writes.tags.Z]`.
pub(crate) const WRITE: TableSpec = TableSpec {
    path: "devices.X.writes.tags.Z",
    title: "a write rule",
    keys: &[
        key(
            "address",
            "text: an address of the device's protocol",
            "",
            "address = \"holding-register:21:REAL\"",
            "Where it is in the device. Must be given.",
        ),
        key(
            "scale",
            "number, not 0",
            "1",
            "scale = 0.1",
            "Engineering value = value in the device × scale + offset.",
        ),
        key("offset", "number", "0", "offset = 0", "See `scale`."),
        key(
            "min",
            "number, in engineering units",
            "what the type holds",
            "min = 20",
            "The smallest value that is written.",
        ),
        key(
            "max",
            "number, in engineering units",
            "what the type holds",
            "max = 90",
            "The largest value that is written.",
        ),
        key(
            "max_step",
            "number, more than 0, in engineering units",
            "no limit",
            "max_step = 5",
            "The largest change against the value in the device.",
        ),
        key(
            "min_interval",
            "duration, 0ms to 1d",
            "no limit",
            "min_interval = \"1s\"",
            "The shortest time between two writes.",
        ),
        key(
            "max_age",
            "duration, 1ms to 1d",
            "\"10s\"",
            "max_age = \"2s\"",
            "A command older than this is refused.",
        ),
        key(
            "verify",
            "true or false",
            "false",
            "verify = true",
            "Whether the value is read back after the write.",
        ),
        key(
            "simulate",
            "table",
            "holds `min`",
            "simulate = { value = 40 }",
            "How the value moves until the first write when the device is simulated.",
        ),
    ],
};

/// `[devices.X.simulate]`.
pub(crate) const SIMULATE: TableSpec = TableSpec {
    path: "devices.X.simulate",
    title: "a simulation",
    keys: &[
        key(
            "listen",
            LISTEN,
            "the connection's own address where it is on this machine, else a free port",
            "listen = \"127.0.0.1:5020\"",
            "Where the simulator of this device listens.",
        ),
        key(
            "delay",
            "duration, 0ms to 1m",
            "\"0ms\"",
            "delay = \"5ms\"",
            "How long the simulator takes for every answer.",
        ),
    ],
};

/// `devices.from`.
pub(crate) const IMPORT: TableSpec = TableSpec {
    path: "devices.from",
    title: "an import of devices",
    keys: &[
        key(
            "template",
            "text: a template's name",
            "",
            "template = \"press\"",
            "Which template. Must be given.",
        ),
        key(
            "csv",
            "text: a path, from the plant folder",
            "",
            "csv = \"presses.csv\"",
            "One device per row: column `device` is its name, the others fill the placeholders of their names. Must be given.",
        ),
    ],
};

/// The columns of a `tags.from` file.
pub(crate) const TAG_CSV: TableSpec = TableSpec {
    path: "tags.from",
    title: "a list of tags",
    keys: &[
        key("name", "text", "", "temperature", "The tag's name. Must be there."),
        key("address", "text", "", "holding-register:1:REAL", "Where it is in the device. Must be there."),
        key("scale", "number, not 0", "1", "0.1", "As for a tag."),
        key("offset", "number", "0", "-273.15", "As for a tag."),
        key("deadband", "number, 0 or more", "the group's", "0.5", "As for a tag."),
        key("unit", "text", "", "m/min", "As for a tag."),
    ],
};
