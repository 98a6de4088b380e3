//! What administrators ask for.

use super::field::{
    Field, INT8, INT32, Shape, TEXT, array, flag, float64, int8, int16, int32, row, shape, text, uuid,
};

pub(super) const SHAPES: &[Shape] = &[
    shape(19, 5, CREATE_TOPICS),
    shape(20, 4, DELETE_TOPICS),
    shape(37, 2, CREATE_PARTITIONS),
    shape(32, 4, DESCRIBE_CONFIGS),
    shape(33, 2, ALTER_CONFIGS),
    shape(44, 1, INCREMENTAL_ALTER_CONFIGS),
    shape(74, 0, LIST_CONFIG_RESOURCES),
    shape(43, 2, ELECT_LEADERS),
    shape(45, 0, ALTER_PARTITION_REASSIGNMENTS),
    shape(46, 0, LIST_PARTITION_REASSIGNMENTS),
    shape(34, 2, ALTER_REPLICA_LOG_DIRS),
    shape(48, 1, DESCRIBE_CLIENT_QUOTAS),
    shape(49, 1, ALTER_CLIENT_QUOTAS),
    shape(55, 0, DESCRIBE_QUORUM),
    shape(57, 0, UPDATE_FEATURES),
];

const CREATE_TOPICS: &[Field] = &[
    array(
        "topics",
        &[
            text("name"),
            int32("num_partitions"),
            int16("replication_factor"),
            array("assignments", &[int32("partition_index"), row("broker_ids", &INT32)]),
            array("configs", &[text("name"), text("value")]),
        ],
    ),
    int32("timeout_ms"),
    flag("validate_only"),
];

const DELETE_TOPICS: &[Field] = &[
    array("topics", &[text("name"), uuid("topic_id")]).since(6),
    row("topic_names", &TEXT).until(5),
    int32("timeout_ms"),
];

const CREATE_PARTITIONS: &[Field] = &[
    array("topics", &[text("name"), int32("count"), array("assignments", &[row("broker_ids", &INT32)])]),
    int32("timeout_ms"),
    flag("validate_only"),
];

const DESCRIBE_CONFIGS: &[Field] = &[
    array("resources", &[int8("resource_type"), text("resource_name"), row("configuration_keys", &TEXT)]),
    flag("include_synonyms"),
    flag("include_documentation").since(3),
];

const ALTER_CONFIGS: &[Field] = &[
    array(
        "resources",
        &[int8("resource_type"), text("resource_name"), array("configs", &[text("name"), text("value")])],
    ),
    flag("validate_only"),
];

const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    array(
        "resources",
        &[
            int8("resource_type"),
            text("resource_name"),
            array("configs", &[text("name"), int8("config_operation"), text("value")]),
        ],
    ),
    flag("validate_only"),
];

const LIST_CONFIG_RESOURCES: &[Field] = &[row("resource_types", &INT8).since(1)];

const ELECT_LEADERS: &[Field] = &[
    int8("election_type").since(1),
    array("topic_partitions", &[text("topic"), row("partitions", &INT32)]),
    int32("timeout_ms"),
];

const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    int32("timeout_ms"),
    flag("allow_replication_factor_change").since(1),
    array(
        "topics",
        &[text("name"), array("partitions", &[int32("partition_index"), row("replicas", &INT32)])],
    ),
];

const LIST_PARTITION_REASSIGNMENTS: &[Field] =
    &[int32("timeout_ms"), array("topics", &[text("name"), row("partition_indexes", &INT32)])];

const ALTER_REPLICA_LOG_DIRS: &[Field] =
    &[array("dirs", &[text("path"), array("topics", &[text("name"), row("partitions", &INT32)])])];

const DESCRIBE_CLIENT_QUOTAS: &[Field] =
    &[array("components", &[text("entity_type"), int8("match_type"), text("match")]), flag("strict")];

const ALTER_CLIENT_QUOTAS: &[Field] = &[
    array(
        "entries",
        &[
            array("entity", &[text("entity_type"), text("entity_name")]),
            array("ops", &[text("key"), float64("value"), flag("remove")]),
        ],
    ),
    flag("validate_only"),
];

const DESCRIBE_QUORUM: &[Field] =
    &[array("topics", &[text("topic_name"), array("partitions", &[int32("partition_index")])])];

const UPDATE_FEATURES: &[Field] = &[
    int32("timeout_ms"),
    array(
        "feature_updates",
        &[
            text("feature"),
            int16("max_version_level"),
            flag("allow_downgrade").until(0),
            int8("upgrade_type").since(1),
        ],
    ),
    flag("validate_only").since(1),
];
