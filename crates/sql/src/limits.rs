//! Every limit of the SQL engine, with its unit and reason.

/// The longest source text in bytes that is parsed; a query folder's file is a few kilobytes.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// How many levels an expression may have, operators in a row counted like brackets: each level costs a few stack
/// frames of the parser, the binder and the evaluators.
pub const EXPRESSION_DEPTH_MAX: usize = 150;
/// How many parts a list in a statement may have: columns, arguments, values of `IN`; each is compared with the others.
pub const LIST_MAX: usize = 10_000;
/// How many joins a query may have: each has state of its own, and the topics that come with it.
pub const JOINS_MAX: usize = 50;
/// How many mistakes one check reports before it stops.
pub const DIAGNOSTICS_MAX: usize = 100;
/// How many characters of a statement's mistake are said: expressions and types that it quotes may be long.
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// Rows read that one commit covers at most, as far as a backlog fills it.
pub const COMMIT_ROWS_MAX: usize = 65_536;
/// The longest that a backlog is gathered for one commit, in milliseconds.
pub const COMMIT_GATHER_MS_MAX: u64 = 100;
/// Rows in one micro-batch.
pub const BATCH_ROWS_MAX: usize = 4_096;
/// Bytes that one poll of one input asks for; with the records of one micro-batch this bounds what a task holds.
pub const INPUT_QUEUE_BYTES: usize = 4 << 20;
/// How often a process asks the group that divides the tasks what it decided, in milliseconds.
pub const SLOT_POLL_MS: u64 = 500;
/// From this many rows on, expressions run column by column; below, row by row.
pub const COLUMNAR_ROWS_MIN: usize = 8;
/// Keys (times open windows) that one partition of one query may hold; more is a query that will eat the machine.
pub const STATE_ENTRIES_MAX: usize = 10_000_000;
/// Rows that wait for the reader of a push query; a full queue slows the query down.
pub const PUSH_QUEUE_ROWS: usize = 8_192;
/// Bytes of a poison record's key or value that are kept in the error record.
pub const POISON_BYTES_MAX: usize = 8_192;
/// The longest result in bytes of key and value; a megabyte is what Kafka takes, with some room for the frame.
pub const RESULT_BYTES_MAX: usize = 1_000_000;
/// Bytes of records that are appended as one batch; Kafka refuses batches of more than a megabyte.
pub const APPEND_BYTES_MAX: usize = 512 << 10;
/// What a record takes beside its key and value, at most.
pub const RECORD_FRAME_BYTES: usize = 32;
/// The wait after another instance of the query has taken over, in milliseconds: long, so that two do not fight.
pub const FENCED_WAIT_MS: u64 = 15_000;
/// How long stopping waits for an open commit, in milliseconds.
pub const STOP_WAIT_MS: u64 = 4_000;
/// The text of a panic that is kept as the cause.
pub const CAUSE_CHARS_MAX: usize = 2_000;
/// Grace of windows that do not say it, in milliseconds, size included: Kafka Streams' and ksqlDB's 24 hours.
pub const DEFAULT_WINDOW_KEEP_MS: i64 = 24 * 3_600_000;
/// The wait after the first failure of a task, in milliseconds; it doubles up to [`RESTART_WAIT_MS_MAX`].
pub const RESTART_WAIT_MS_MIN: u64 = 50;
/// The longest wait between two attempts of a task, in milliseconds.
pub const RESTART_WAIT_MS_MAX: u64 = 10_000;
/// How often a running task asks the bus how far behind it is, in milliseconds.
pub const LAG_INTERVAL_MS: u64 = 1_000;
/// How often a task that gets nothing asks the bus whether there is something, in milliseconds.
pub const IDLE_LAG_INTERVAL_MS: u64 = 10_000;
/// A task that got nowhere for this long, although there is something to do, is not said to run, in milliseconds.
pub const STALLED_AFTER_MS: u64 = 30_000;
/// The longest text or bytes that an expression makes, in bytes: far above what one record takes, far below what hurts.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// The most values that an array, map or struct made by an expression holds, those inside it included; each takes 32 bytes.
pub const VALUE_ELEMENTS_MAX: usize = 200_000;
/// How long `ASSERT` waits where it does not say, in milliseconds: ksqlDB's default.
pub const ASSERT_WAIT_MS: i64 = 1_000;
/// The longest regular expression in bytes.
pub const PATTERN_BYTES_MAX: usize = 4_096;
/// How large one compiled regular expression may become, in bytes; repetitions of repetitions grow without end.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 1 << 20;
/// How often a regular expression may step back in one text before it is given up: some milliseconds.
pub const PATTERN_STEPS_MAX: usize = 100_000;
/// Compiled regular expressions that a thread keeps of those that come as values and not as constants.
pub const PATTERN_CACHE_MAX: usize = 32;
/// Values that `COLLECT_LIST` and `COLLECT_SET` keep of one group; Confluent Cloud's `ksql.functions.collect_list.limit`.
pub const COLLECTED_VALUES_MAX: usize = 1_000;
/// Texts that `HISTOGRAM` counts in one group, as in ksqlDB.
pub const HISTOGRAM_ENTRIES_MAX: usize = 1_000;
/// Values that `TOPK`, `TOPKDISTINCT`, `EARLIEST_BY_OFFSET` and `LATEST_BY_OFFSET` may be asked to keep of one group.
pub const POSITIONS_MAX: usize = 10_000;
/// Elements that `CUBE_EXPLODE` takes: a row becomes two to their power.
pub const CUBE_COLUMNS_MAX: usize = 12;
/// What the results of one expression for one batch take together, in bytes: Arrow counts the bytes of a column in 31 bits.
pub const COLUMN_BYTES_MAX: usize = 512 << 20;
/// How often the lambdas of an expression are called for one row: a second's work, so that none keeps a query from going on.
pub const LAMBDA_CALLS_MAX: usize = 10_000_000;
/// Pull queries that run at once; one more is refused.
pub const PULL_QUERIES_MAX: usize = 64;
/// Bytes that the tables may take together that are kept for pull queries; a query that needs more is refused.
pub const MATERIALIZED_BYTES_MAX: usize = 1 << 30;
/// What a row of such a table takes beside its key and value: the record, its place in the tree, two allocations.
pub const MATERIALIZED_ROW_BYTES: usize = 240;
/// How long such a table is kept after the last question, in milliseconds.
pub const MATERIALIZED_IDLE_MS: u64 = 10 * 60_000;
/// The newest chunks of a topic partition that the tasks which read it share.
pub const SHARED_CHUNKS_MAX: usize = 8;
/// How many operators an operand may have that is computed several times, those times counted: `CASE` in `CASE` in `CASE`
/// would have no end.
pub const EXPRESSION_NODES_MAX: usize = 10_000;
/// Hopping windows that a row may be in: each of them is a group of its own.
pub const WINDOWS_PER_ROW_MAX: i64 = 10_000;
/// How many types one type may hold, those inside them counted: types in types in types would have no end, and a type is
/// kept for the life of the process.
pub const TYPE_PARTS_MAX: usize = 10_000;
