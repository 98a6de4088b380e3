//! `[kafka]` as it was read, for whoever serves it.

use millstream_model::Span;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How Kafka clients reach the embedded log. What is `None` was not said: the broker's default holds.
#[derive(Debug, Clone, Default)]
pub struct KafkaSettings {
    /// At least one.
    pub listeners: Vec<KafkaListener>,
    /// Of all listeners that speak TLS; `None` where none does.
    pub tls: Option<KafkaTls>,
    /// Lets a door stand open to the network.
    pub insecure: bool,
    /// How clients sign in.
    pub sasl_mechanisms: Option<Vec<KafkaMechanism>>,
    /// Who may sign in.
    pub users: Vec<KafkaUser>,
    /// Who may do everything: `User:` and a name each.
    pub super_users: Vec<String>,
    /// Whether everyone may use what no ACL names.
    pub allow_everyone_if_no_acl_found: Option<bool>,
    /// After this long a client signs in again.
    pub session_lifetime: Option<Duration>,
    /// Whether a topic is made when a client asks for it.
    pub auto_create_topics: Option<bool>,
    /// Partitions of a topic that is made without a number.
    pub num_partitions: Option<i32>,
    /// What clients may take of this host.
    pub limits: KafkaLimits,
    /// How much they may send, fetch and ask.
    pub quotas: Vec<KafkaQuota>,
    /// Groups, producers and transactions.
    pub groups: KafkaGroups,
}

impl PartialEq for KafkaSettings {
    /// The settings count, not where they were said.
    fn eq(&self, other: &Self) -> bool {
        let places =
            |listener: &KafkaListener| (listener.listen, listener.protocol, listener.advertise.clone());
        let listeners = |settings: &Self| settings.listeners.iter().map(places).collect::<Vec<_>>();
        listeners(self) == listeners(other)
            && (&self.tls, self.insecure, &self.sasl_mechanisms)
                == (&other.tls, other.insecure, &other.sasl_mechanisms)
            && (&self.users, &self.super_users) == (&other.users, &other.super_users)
            && self.allow_everyone_if_no_acl_found == other.allow_everyone_if_no_acl_found
            && self.session_lifetime == other.session_lifetime
            && (self.auto_create_topics, self.num_partitions)
                == (other.auto_create_topics, other.num_partitions)
            && (&self.limits, &self.quotas, &self.groups) == (&other.limits, &other.quotas, &other.groups)
    }
}

/// One listener.
#[derive(Debug, Clone)]
pub struct KafkaListener {
    /// Where; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients are told to connect to; `None` for where they came to.
    pub advertise: Option<(String, u16)>,
    /// What is spoken.
    pub protocol: KafkaProtocol,
    /// Where it was said; `None` for the default.
    pub span: Option<Span>,
}

/// Kafka's security protocols.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KafkaProtocol {
    /// `PLAINTEXT`.
    #[default]
    Plaintext,
    /// `SSL`.
    Ssl,
    /// `SASL_PLAINTEXT`.
    SaslPlaintext,
    /// `SASL_SSL`.
    SaslSsl,
}

impl KafkaProtocol {
    /// Whether clients sign in by name and password.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether it is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KafkaClientAuthentication {
    /// They are not asked.
    #[default]
    None,
    /// They are asked.
    Requested,
    /// They must.
    Required,
}

/// How a client signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaMechanism {
    /// `PLAIN`.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

/// What a listener shows, and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTls {
    /// Files of the certificate and its key; `None` where the broker makes its own.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Names in the certificate that it makes.
    pub names: Vec<String>,
    /// Whether clients show one too.
    pub client_authentication: KafkaClientAuthentication,
    /// The authorities of clients' certificates.
    pub client_authorities: Option<PathBuf>,
    /// How a certificate's subject becomes a user, by Kafka's rules.
    pub principal_mapping: Option<String>,
}

/// Who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for KafkaUser {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Connections and requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaLimits {
    /// Connections in all.
    pub connections: Option<usize>,
    /// Connections from one address.
    pub connections_per_ip: Option<usize>,
    /// After so long without requests a connection is closed.
    pub idle: Option<Duration>,
    /// Bytes of one request.
    pub request_bytes: Option<usize>,
    /// Bytes of all requests at a time.
    pub queued_request_bytes: Option<usize>,
}

/// Quotas of some clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaQuota {
    /// Whose; `*` for everybody, each for themselves.
    pub user: Option<String>,
    /// Under which client id; `*` as for users.
    pub client_id: Option<String>,
    /// Bytes that may be sent per second.
    pub produce_bytes_per_second: Option<u64>,
    /// Bytes that may be fetched per second.
    pub fetch_bytes_per_second: Option<u64>,
    /// Requests per second.
    pub requests_per_second: Option<u64>,
}

/// Groups, producers and transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaGroups {
    /// Members of one group.
    pub members_max: Option<usize>,
    /// The shortest session of a classic member.
    pub session_timeout_min: Option<Duration>,
    /// The longest session of a classic member.
    pub session_timeout_max: Option<Duration>,
    /// How long a first round waits.
    pub initial_rebalance_delay: Option<Duration>,
    /// How long offsets of a group without members stay.
    pub offsets_retention: Option<Duration>,
    /// The session of a member of the newer protocol.
    pub consumer_session_timeout: Option<Duration>,
    /// How often such a member is to be heard of.
    pub consumer_heartbeat_interval: Option<Duration>,
    /// The longest transaction that a producer may ask for.
    pub transaction_max_timeout: Option<Duration>,
    /// When a transactional id is forgotten.
    pub transactional_id_expiration: Option<Duration>,
    /// When a partition forgets a producer.
    pub producer_id_expiration: Option<Duration>,
}
