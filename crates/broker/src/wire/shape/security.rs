//! Who a client is, and what it may.

use super::field::{Field, Shape, array, bytes, int8, int32, int64, shape, text};

pub(super) const SHAPES: &[Shape] = &[
    shape(17, i16::MAX, SASL_HANDSHAKE),
    shape(36, 2, SASL_AUTHENTICATE),
    shape(50, 0, DESCRIBE_USER_SCRAM_CREDENTIALS),
    shape(51, 0, ALTER_USER_SCRAM_CREDENTIALS),
    shape(30, 2, CREATE_ACLS),
    shape(29, 2, ACL_FILTER),
    shape(31, 2, DELETE_ACLS),
    shape(38, 2, CREATE_DELEGATION_TOKEN),
    shape(39, 2, RENEW_DELEGATION_TOKEN),
    shape(40, 2, EXPIRE_DELEGATION_TOKEN),
    shape(41, 2, DESCRIBE_DELEGATION_TOKEN),
];

const SASL_HANDSHAKE: &[Field] = &[text("mechanism")];

const SASL_AUTHENTICATE: &[Field] = &[bytes("auth_bytes")];

const DESCRIBE_USER_SCRAM_CREDENTIALS: &[Field] = &[array("users", &[text("name")])];

const ALTER_USER_SCRAM_CREDENTIALS: &[Field] = &[
    array("deletions", &[text("name"), int8("mechanism")]),
    array(
        "upsertions",
        &[text("name"), int8("mechanism"), int32("iterations"), bytes("salt"), bytes("salted_password")],
    ),
];

const CREATE_ACLS: &[Field] = &[array(
    "creations",
    &[
        int8("resource_type"),
        text("resource_name"),
        int8("resource_pattern_type"),
        text("principal"),
        text("host"),
        int8("operation"),
        int8("permission_type"),
    ],
)];

/// Which ACLs are meant.
const ACL_FILTER: &[Field] = &[
    int8("resource_type_filter"),
    text("resource_name_filter"),
    int8("pattern_type_filter"),
    text("principal_filter"),
    text("host_filter"),
    int8("operation"),
    int8("permission_type"),
];

const DELETE_ACLS: &[Field] = &[array("filters", ACL_FILTER)];

const CREATE_DELEGATION_TOKEN: &[Field] = &[
    text("owner_principal_type").since(3),
    text("owner_principal_name").since(3),
    array("renewers", &[text("principal_type"), text("principal_name")]),
    int64("max_lifetime_ms"),
];

const RENEW_DELEGATION_TOKEN: &[Field] = &[bytes("hmac"), int64("renew_period_ms")];

const EXPIRE_DELEGATION_TOKEN: &[Field] = &[bytes("hmac"), int64("expiry_time_period_ms")];

const DESCRIBE_DELEGATION_TOKEN: &[Field] =
    &[array("owners", &[text("principal_type"), text("principal_name")])];
