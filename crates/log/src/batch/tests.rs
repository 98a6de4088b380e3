//! What batches look like on disk, and that damaged ones are refused.
