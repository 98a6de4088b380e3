//! Records, and what is asked about topics and the cluster.

use super::field::{
    Field, INT32, Shape, TEXT, array, bytes, flag, int8, int16, int32, int64, maybe, part, row, shape, text,
    uuid,
};

pub(super) const SHAPES: &[Shape] = &[
    shape(0, 9, PRODUCE),
    shape(1, 12, FETCH),
    shape(2, 6, LIST_OFFSETS),
    shape(23, 4, OFFSET_FOR_LEADER_EPOCH),
    shape(21, 2, DELETE_RECORDS),
    shape(35, 2, DESCRIBE_LOG_DIRS),
    shape(3, 9, METADATA),
    shape(18, 3, API_VERSIONS),
    shape(10, 3, FIND_COORDINATOR),
    shape(60, 0, DESCRIBE_CLUSTER),
    shape(75, 0, DESCRIBE_TOPIC_PARTITIONS),
    shape(71, 0, GET_TELEMETRY_SUBSCRIPTIONS),
    shape(72, 0, PUSH_TELEMETRY),
];

const PRODUCE: &[Field] = &[
    text("transactional_id"),
    int16("acks"),
    int32("timeout_ms"),
    array(
        "topic_data",
        &[
            text("name").until(12),
            uuid("topic_id").since(13),
            array("partition_data", &[int32("index"), bytes("records")]),
        ],
    ),
];

const FETCH: &[Field] = &[
    text("cluster_id").since(12).tag(0),
    int32("replica_id").until(14),
    part("replica_state", &[int32("replica_id"), int64("replica_epoch")]).since(15).tag(1),
    int32("max_wait_ms"),
    int32("min_bytes"),
    int32("max_bytes"),
    int8("isolation_level"),
    int32("session_id").since(7),
    int32("session_epoch").since(7),
    array(
        "topics",
        &[
            text("topic").until(12),
            uuid("topic_id").since(13),
            array(
                "partitions",
                &[
                    int32("partition"),
                    int32("current_leader_epoch").since(9),
                    int64("fetch_offset"),
                    int32("last_fetched_epoch").since(12),
                    int64("log_start_offset").since(5),
                    int32("partition_max_bytes"),
                    uuid("replica_directory_id").since(17).tag(0),
                    int64("high_watermark").since(18).tag(1),
                ],
            ),
        ],
    ),
    array(
        "forgotten_topics_data",
        &[text("topic").until(12), uuid("topic_id").since(13), row("partitions", &INT32)],
    )
    .since(7),
    text("rack_id").since(11),
];

const LIST_OFFSETS: &[Field] = &[
    int32("replica_id"),
    int8("isolation_level").since(2),
    array(
        "topics",
        &[
            text("name"),
            array(
                "partitions",
                &[int32("partition_index"), int32("current_leader_epoch").since(4), int64("timestamp")],
            ),
        ],
    ),
    int32("timeout_ms").since(10),
];

const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    int32("replica_id").since(3),
    array(
        "topics",
        &[
            text("topic"),
            array("partitions", &[int32("partition"), int32("current_leader_epoch"), int32("leader_epoch")]),
        ],
    ),
];

const DELETE_RECORDS: &[Field] = &[
    array("topics", &[text("name"), array("partitions", &[int32("partition_index"), int64("offset")])]),
    int32("timeout_ms"),
];

const DESCRIBE_LOG_DIRS: &[Field] = &[array("topics", &[text("topic"), row("partitions", &INT32)])];

const METADATA: &[Field] = &[
    array("topics", &[uuid("topic_id").since(10), text("name")]),
    flag("allow_auto_topic_creation").since(4),
    flag("include_cluster_authorized_operations").since(8).until(10),
    flag("include_topic_authorized_operations").since(8),
];

const API_VERSIONS: &[Field] =
    &[text("client_software_name").since(3), text("client_software_version").since(3)];

const FIND_COORDINATOR: &[Field] =
    &[text("key").until(3), int8("key_type").since(1), row("coordinator_keys", &TEXT).since(4)];

const DESCRIBE_CLUSTER: &[Field] = &[
    flag("include_cluster_authorized_operations"),
    int8("endpoint_type").since(1),
    flag("include_fenced_brokers").since(2),
];

const DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    array("topics", &[text("name")]),
    int32("response_partition_limit"),
    maybe("cursor", &[text("topic_name"), int32("partition_index")]),
];

const GET_TELEMETRY_SUBSCRIPTIONS: &[Field] = &[uuid("client_instance_id")];

const PUSH_TELEMETRY: &[Field] = &[
    uuid("client_instance_id"),
    int32("subscription_id"),
    flag("terminating"),
    int8("compression_type"),
    bytes("metrics"),
];
