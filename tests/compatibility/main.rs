//! Software that no one here wrote, against the embedded broker and, with the same expectations, against Apache Kafka.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod applications;
mod clients;
mod faults;
mod load;
