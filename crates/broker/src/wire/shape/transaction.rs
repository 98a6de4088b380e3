//! Producers and transactions.

use super::field::{
    Field, INT32, INT64, Shape, TEXT, array, flag, int8, int16, int32, int64, row, shape, text,
};

pub(super) const SHAPES: &[Shape] = &[
    shape(22, 2, INIT_PRODUCER_ID),
    shape(24, 3, ADD_PARTITIONS_TO_TXN),
    shape(25, 3, ADD_OFFSETS_TO_TXN),
    shape(28, 3, TXN_OFFSET_COMMIT),
    shape(26, 3, END_TXN),
    shape(27, 1, WRITE_TXN_MARKERS),
    shape(61, 0, DESCRIBE_PRODUCERS),
    shape(66, 0, LIST_TRANSACTIONS),
    shape(65, 0, DESCRIBE_TRANSACTIONS),
];

const INIT_PRODUCER_ID: &[Field] = &[
    text("transactional_id"),
    int32("transaction_timeout_ms"),
    int64("producer_id").since(3),
    int16("producer_epoch").since(3),
    flag("enable2_pc").since(6),
    flag("keep_prepared_txn").since(6),
];

const ADD_PARTITIONS_TO_TXN: &[Field] = &[
    array(
        "transactions",
        &[
            text("transactional_id"),
            int64("producer_id"),
            int16("producer_epoch"),
            flag("verify_only"),
            array("topics", &[text("name"), row("partitions", &INT32)]),
        ],
    )
    .since(4),
    text("v3_and_below_transactional_id").until(3),
    int64("v3_and_below_producer_id").until(3),
    int16("v3_and_below_producer_epoch").until(3),
    array("v3_and_below_topics", &[text("name"), row("partitions", &INT32)]).until(3),
];

const ADD_OFFSETS_TO_TXN: &[Field] =
    &[text("transactional_id"), int64("producer_id"), int16("producer_epoch"), text("group_id")];

const TXN_OFFSET_COMMIT: &[Field] = &[
    text("transactional_id"),
    text("group_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    int32("generation_id").since(3),
    text("member_id").since(3),
    text("group_instance_id").since(3),
    array(
        "topics",
        &[
            text("name"),
            array(
                "partitions",
                &[
                    int32("partition_index"),
                    int64("committed_offset"),
                    int32("committed_leader_epoch").since(2),
                    text("committed_metadata"),
                ],
            ),
        ],
    ),
];

const END_TXN: &[Field] =
    &[text("transactional_id"), int64("producer_id"), int16("producer_epoch"), flag("committed")];

const WRITE_TXN_MARKERS: &[Field] = &[array(
    "markers",
    &[
        int64("producer_id"),
        int16("producer_epoch"),
        flag("transaction_result"),
        array("topics", &[text("name"), row("partition_indexes", &INT32)]),
        int32("coordinator_epoch"),
        int8("transaction_version").since(2),
    ],
)];

const DESCRIBE_PRODUCERS: &[Field] = &[array("topics", &[text("name"), row("partition_indexes", &INT32)])];

const LIST_TRANSACTIONS: &[Field] = &[
    row("state_filters", &TEXT),
    row("producer_id_filters", &INT64),
    int64("duration_filter").since(1),
    text("transactional_id_pattern").since(2),
];

const DESCRIBE_TRANSACTIONS: &[Field] = &[row("transactional_ids", &TEXT)];
