//! Every limit of the server, with its unit and reason.

use std::time::Duration;

/// Open connections. At the limit the one that has been idle longest is closed for the newcomer.
pub const CONNECTIONS: usize = 256;
/// Responses that go on (tails, push queries) at once; fewer than [`CONNECTIONS`], so that health and metrics always answer.
pub const STREAMS: usize = 64;
/// Time for a request's head to come in, and for a kept connection to lie idle.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a request to be read whole and answered (a stream: to begin).
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Time a client may refuse to take bytes before it is dropped.
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// An idle stream gets an empty line this often, so that a client that is gone is noticed.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// Bytes of a request's head; also the read buffer of a connection.
pub const HEAD_BYTES: usize = 16 * 1024;
/// The same for HTTP/2, counted as its headers are.
pub const HEAD_LIST_BYTES: u32 = 16 * 1024;
/// Bytes of a request's body: a batch of records to produce, or a script of statements.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Lines that wait for a slow reader of a stream; then the producer of the lines waits.
pub const STREAM_LINES: usize = 256;
/// How old counters may be before a rate is taken over them, at least and at most.
pub const RATE_SPAN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How often the topics are looked at for their rates while nobody asks.
pub const SAMPLE: Duration = Duration::from_secs(5);
/// How long closing may take until open connections are cut.
pub const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Time the bus may take to tell the topics of a report before the report goes out without them.
pub const BUS_TIME: Duration = Duration::from_secs(2);
/// Requests that one HTTP/2 connection may have open at once.
pub const REQUESTS_PER_CONNECTION: u32 = 100;
/// Bytes of rows that are put into one piece of an answer.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Pieces of an answer that wait for a slow reader; then the query waits, and after [`STALL_TIME`] it ends.
pub const PIECES: usize = 8;
/// Rows of `/inserts-stream` that are appended together.
pub const INSERT_ROWS: usize = 500;
/// Commands whose outcome `/status` remembers; the oldest are forgotten.
pub const COMMANDS: usize = 1_000;
/// How long a request waits for the command that its `commandSequenceNumber` names, as in ksqlDB.
pub const COMMAND_TIME: Duration = Duration::from_secs(5);
/// Bytes of one message that a WebSocket client may send.
pub const SOCKET_MESSAGE_BYTES: usize = 64 * 1024;
