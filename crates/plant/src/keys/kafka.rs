//! The keys of `[kafka]`. Each names the property of Apache Kafka that means the same.

use super::{KeySpec, TableSpec, key};

/// `[kafka]`.
pub(crate) const KAFKA: TableSpec = TableSpec { path: "kafka", title: "the Kafka listener", keys: KEYS };

#[rustfmt::skip]
const KEYS: &[KeySpec] = &[
    key("listen", "text, or list of texts: an address and a port, with a protocol in front or not", "\"127.0.0.1:9092\"",
        "listen = [\"127.0.0.1:9092\", \"SASL_SSL://0.0.0.0:9093\"]",
        "Where Kafka clients reach the embedded log. Without the table there is no such listener. The protocol is `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL` (`listeners`)."),
    key("security_protocol", "text: a protocol", "\"PLAINTEXT\"", "security_protocol = \"SASL_SSL\"",
        "The protocol of the listeners that name none (`listener.security.protocol.map`)."),
    key("advertise", "text, or list of texts: `host:port`, with a protocol in front or not", "the address a client came to",
        "advertise = \"SASL_SSL://broker.plant.local:9093\"",
        "What clients are told to connect to; with a protocol it holds for listeners of that protocol (`advertised.listeners`)."),
    key("insecure", "true or false", "false", "insecure = true",
        "Allows an address that other machines can reach, though anyone may use it or read the passwords."),
    key("tls_certificate", "text: a path, from the plant folder", "one that is made at the first start", "tls_certificate = \"tls/broker.pem\"",
        "The certificate with its chain, PEM (`ssl.keystore.certificate.chain`). Without it the data folder gets `kafka-certificate.pem`, for clients to trust."),
    key("tls_key", "text: a path, from the plant folder", "", "tls_key = \"tls/broker-key.pem\"",
        "The private key of `tls_certificate`, PEM (`ssl.keystore.key`)."),
    key("tls_names", "list of texts", "", "tls_names = [\"broker.plant.local\", \"10.0.0.5\"]",
        "Names and addresses that clients connect to, for the certificate that is made at the first start."),
    key("tls_client_authentication", "`none`, `requested` or `required`", "\"none\"", "tls_client_authentication = \"required\"",
        "Whether clients show a certificate of their own (`ssl.client.auth`)."),
    key("tls_client_authorities", "text: a path, from the plant folder", "", "tls_client_authorities = \"tls/clients-ca.pem\"",
        "The authorities that clients' certificates must come from, PEM (`ssl.truststore.certificates`)."),
    key("principal_mapping", "text", "\"DEFAULT\"", "principal_mapping = \"RULE:^CN=(.*?),.*$/$1/L, DEFAULT\"",
        "How the subject of a client's certificate becomes a user (`ssl.principal.mapping.rules`)."),
    key("sasl_mechanisms", "list of texts: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`", "[\"SCRAM-SHA-256\", \"SCRAM-SHA-512\"]",
        "sasl_mechanisms = [\"SCRAM-SHA-512\"]",
        "How clients sign in (`sasl.enabled.mechanisms`)."),
    key("users", "table of users", "", "[kafka.users.line2]",
        "Who may sign in, each under a name; more can be made at run time with `kafka-configs`."),
    key("super_users", "list of texts: `User:` and a name", "", "super_users = [\"User:admin\"]",
        "Who may do everything (`super.users`). With one or more, all others may do what ACLs allow; with none, whoever signed in may do everything."),
    key("allow_everyone_if_no_acl_found", "true or false", "false", "allow_everyone_if_no_acl_found = true",
        "Whether everyone may use what no ACL names (`allow.everyone.if.no.acl.found`)."),
    key("session_lifetime", "duration, 10s to 30d", "no limit", "session_lifetime = \"1h\"",
        "After this long a client signs in again or loses the connection (`connections.max.reauth.ms`)."),
    key("auto_create_topics", "true or false", "true", "auto_create_topics = false",
        "Whether a topic is made when a client that may make it asks for it (`auto.create.topics.enable`)."),
    key("num_partitions", "number, 1 to 1024", "1", "num_partitions = 3",
        "Partitions of a topic that is made without a number (`num.partitions`)."),
    key("max_connections", "number, 1 to 100000", "4096", "max_connections = 200",
        "Connections in all (`max.connections`)."),
    key("max_connections_per_ip", "number, 1 to 100000", "4096", "max_connections_per_ip = 50",
        "Connections from one address (`max.connections.per.ip`)."),
    key("connections_max_idle", "duration, 1s to 30d", "\"10m\"", "connections_max_idle = \"1h\"",
        "A connection without requests is closed after so long (`connections.max.idle.ms`)."),
    key("socket_request_max_size", "size, 1MiB or more", "\"100MiB\"", "socket_request_max_size = \"16MiB\"",
        "The largest request (`socket.request.max.bytes`)."),
    key("queued_max_request_size", "size, 1MiB or more", "\"256MiB\"", "queued_max_request_size = \"64MiB\"",
        "Memory for the requests of all connections together; what comes on top waits (`queued.max.request.bytes`)."),
    key("quotas", "list of tables", "", "[[kafka.quotas]]",
        "How much clients may send, fetch and ask per second."),
    key("group_max_size", "number, 1 to 1024", "1024", "group_max_size = 100",
        "Members of one group (`group.max.size`, `group.consumer.max.size`)."),
    key("group_min_session_timeout", "duration, 1s to 1d", "\"6s\"", "group_min_session_timeout = \"10s\"",
        "The shortest session that a member of a classic group may ask for (`group.min.session.timeout.ms`)."),
    key("group_max_session_timeout", "duration, 1s to 1d", "\"30m\"", "group_max_session_timeout = \"1h\"",
        "The longest one (`group.max.session.timeout.ms`)."),
    key("group_initial_rebalance_delay", "duration, 0ms to 1m", "\"0ms\"", "group_initial_rebalance_delay = \"3s\"",
        "How long the first round of a classic group waits for more members (`group.initial.rebalance.delay.ms`)."),
    key("group_consumer_session_timeout", "duration, 1s to 1d", "\"45s\"", "group_consumer_session_timeout = \"20s\"",
        "A member of a group of the newer protocol that was not heard of for so long is put out (`group.consumer.session.timeout.ms`)."),
    key("group_consumer_heartbeat_interval", "duration, 100ms to 1h", "\"5s\"", "group_consumer_heartbeat_interval = \"3s\"",
        "How often such members are told to be heard of (`group.consumer.heartbeat.interval.ms`)."),
    key("offsets_retention", "duration, 1m to 3650d", "\"7d\"", "offsets_retention = \"30d\"",
        "Offsets of a group without members are forgotten after so long (`offsets.retention.minutes`)."),
    key("transaction_max_timeout", "duration, 1s to 7d", "\"15m\"", "transaction_max_timeout = \"1h\"",
        "The longest time-out that a producer may ask for its transactions (`transaction.max.timeout.ms`)."),
    key("transactional_id_expiration", "duration, 1m to 3650d", "\"7d\"", "transactional_id_expiration = \"30d\"",
        "A transactional id that was not used for so long is forgotten (`transactional.id.expiration.ms`)."),
    key("producer_id_expiration", "duration, 1m to 3650d", "\"1d\"", "producer_id_expiration = \"7d\"",
        "A partition forgets a producer that was not heard of for so long (`producer.id.expiration.ms`)."),
];

/// A quota of `[kafka]`. `*` is everybody without a quota of their own, each for themselves.
#[rustfmt::skip]
pub(crate) const KAFKA_QUOTA: TableSpec = TableSpec {
    path: "kafka.quotas",
    title: "a quota",
    keys: &[
        key("user", "text: a user, or `*`", "", "user = \"line2\"",
            "Whose requests count; `*` is every user that has no quota of its own, each for itself."),
        key("client_id", "text: a client id, or `*`", "", "client_id = \"dashboard\"",
            "Under which client id; `*` as for users."),
        key("produce_size_per_second", "size, 1kB or more", "no limit", "produce_size_per_second = \"2MiB\"",
            "What may be sent (`producer_byte_rate`)."),
        key("fetch_size_per_second", "size, 1kB or more", "no limit", "fetch_size_per_second = \"10MiB\"",
            "What may be fetched (`consumer_byte_rate`)."),
        key("requests_per_second", "number, 1 to 1000000", "no limit", "requests_per_second = 100",
            "Requests of any kind."),
    ],
};

/// A user of `[kafka]`.
#[rustfmt::skip]
pub(crate) const KAFKA_USER: TableSpec = TableSpec {
    path: "kafka.users.NAME",
    title: "a Kafka user",
    keys: &[key("password", "text", "", "password = \"${env:LINE2_PASSWORD}\"",
        "The password; best from the environment or a file.")],
};
