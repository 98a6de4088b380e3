//! The limits that are settings.

use std::time::Duration;

/// How much clients may take of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes of one request (`socket.request.max.bytes`).
    pub request_bytes: usize,
    /// Connections in all (`max.connections`).
    pub connections: usize,
    /// Connections from one address (`max.connections.per.ip`).
    pub connections_per_ip: usize,
    /// A connection without requests is closed after so long (`connections.max.idle.ms`).
    pub idle: Duration,
    /// How long a client may take to send the rest of a request, or to take what it asked for.
    pub stall: Duration,
    /// How long it may take to its first request, its sign-in included.
    pub setup: Duration,
    /// Memory for requests that are coming in and at work, in all connections (`queued.max.request.bytes`).
    pub request_memory_bytes: usize,
    /// Memory for answers that clients have not read yet, in all connections.
    pub answer_memory_bytes: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            request_bytes: 100 << 20,
            connections: 4_096,
            connections_per_ip: 4_096,
            idle: Duration::from_mins(10),
            stall: Duration::from_mins(1),
            setup: Duration::from_secs(30),
            request_memory_bytes: 256 << 20,
            answer_memory_bytes: 64 << 20,
        }
    }
}
