//! An engine that keeps everything in memory, for tests.
