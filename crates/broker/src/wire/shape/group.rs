//! Groups and their offsets.

use super::field::{Field, INT32, Shape, TEXT, array, bytes, flag, int32, int64, row, shape, text, uuid};

pub(super) const SHAPES: &[Shape] = &[
    shape(11, 6, JOIN_GROUP),
    shape(14, 4, SYNC_GROUP),
    shape(12, 4, HEARTBEAT),
    shape(13, 4, LEAVE_GROUP),
    shape(8, 8, OFFSET_COMMIT),
    shape(9, 6, OFFSET_FETCH),
    shape(47, i16::MAX, OFFSET_DELETE),
    shape(15, 5, DESCRIBE_GROUPS),
    shape(16, 3, LIST_GROUPS),
    shape(42, 2, DELETE_GROUPS),
    shape(68, 0, CONSUMER_GROUP_HEARTBEAT),
    shape(69, 0, CONSUMER_GROUP_DESCRIBE),
];

const JOIN_GROUP: &[Field] = &[
    text("group_id"),
    int32("session_timeout_ms"),
    int32("rebalance_timeout_ms").since(1),
    text("member_id"),
    text("group_instance_id").since(5),
    text("protocol_type"),
    array("protocols", &[text("name"), bytes("metadata")]),
    text("reason").since(8),
];

const SYNC_GROUP: &[Field] = &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").since(3),
    text("protocol_type").since(5),
    text("protocol_name").since(5),
    array("assignments", &[text("member_id"), bytes("assignment")]),
];

const HEARTBEAT: &[Field] =
    &[text("group_id"), int32("generation_id"), text("member_id"), text("group_instance_id").since(3)];

const LEAVE_GROUP: &[Field] = &[
    text("group_id"),
    text("member_id").until(2),
    array("members", &[text("member_id"), text("group_instance_id"), text("reason").since(5)]).since(3),
];

const OFFSET_COMMIT: &[Field] = &[
    text("group_id"),
    int32("generation_id_or_member_epoch"),
    text("member_id"),
    text("group_instance_id").since(7),
    int64("retention_time_ms").until(4),
    array(
        "topics",
        &[
            text("name").until(9),
            uuid("topic_id").since(10),
            array(
                "partitions",
                &[
                    int32("partition_index"),
                    int64("committed_offset"),
                    int32("committed_leader_epoch").since(6),
                    text("committed_metadata"),
                ],
            ),
        ],
    ),
];

const OFFSET_FETCH: &[Field] = &[
    text("group_id").until(7),
    array("topics", &[text("name"), row("partition_indexes", &INT32)]).until(7),
    array(
        "groups",
        &[
            text("group_id"),
            text("member_id").since(9),
            int32("member_epoch").since(9),
            array(
                "topics",
                &[text("name").until(9), uuid("topic_id").since(10), row("partition_indexes", &INT32)],
            ),
        ],
    )
    .since(8),
    flag("require_stable").since(7),
];

const OFFSET_DELETE: &[Field] =
    &[text("group_id"), array("topics", &[text("name"), array("partitions", &[int32("partition_index")])])];

const DESCRIBE_GROUPS: &[Field] = &[row("groups", &TEXT), flag("include_authorized_operations").since(3)];

const LIST_GROUPS: &[Field] = &[row("states_filter", &TEXT).since(4), row("types_filter", &TEXT).since(5)];

const DELETE_GROUPS: &[Field] = &[row("groups_names", &TEXT)];

const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    text("group_id"),
    text("member_id"),
    int32("member_epoch"),
    text("instance_id"),
    text("rack_id"),
    int32("rebalance_timeout_ms"),
    row("subscribed_topic_names", &TEXT),
    text("subscribed_topic_regex").since(1),
    text("server_assignor"),
    array("topic_partitions", &[uuid("topic_id"), row("partitions", &INT32)]),
];

const CONSUMER_GROUP_DESCRIBE: &[Field] = &[row("group_ids", &TEXT), flag("include_authorized_operations")];
