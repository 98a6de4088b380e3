//! `PRINT`: the records of a topic as they are.

use super::Engine;
use super::push::poll;
use crate::limits::PUSH_QUEUE_ROWS;
use crate::parse::ast::Name;
use crate::{Print, PrintedRecord, SqlError};
use millstream_bus::{BusError, Isolation, Position, Reader, StartOffset, TopicPartition};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

impl Engine {
    /// Starts to read a topic: every `interval`-th record from its beginning or its end on, `limit` of them at most.
    pub(super) async fn print(
        &self,
        topic: &Name,
        from_beginning: bool,
        interval: u64,
        limit: Option<u64>,
    ) -> Result<Print, SqlError> {
        let partitions = match self.bus.describe_topic(&topic.text).await {
            Ok(found) => found.partitions,
            Err(BusError::UnknownTopic(_)) => return Err(self.no_topic(topic).await),
            Err(error) => return Err(SqlError::bus(format!("looking at topic `{}`", topic.text))(error)),
        };
        let start = if from_beginning { StartOffset::Earliest } else { StartOffset::Latest };
        let name: Arc<str> = topic.text.as_str().into();
        let from = (0..partitions).map(|at| Position::new(TopicPartition::new(name.clone(), at), start));
        let reader = self.bus.reader(from.collect(), Isolation::ReadCommitted).await;
        let reader = reader.map_err(SqlError::bus(format!("reading `{name}`")))?;
        let (sender, records) = mpsc::channel(PUSH_QUEUE_ROWS);
        let printing = Printing { sender, interval, seen: 0, left: limit };
        let task = tokio::spawn(printing.run(reader, self.stop.subscribe())).abort_handle();
        Ok(Print { records, task })
    }

    async fn no_topic(&self, topic: &Name) -> SqlError {
        let known = self.bus.topics().await.unwrap_or_default();
        let mistake = Diagnostic::error("sql-topic", format!("there is no topic `{}`", topic.text))
            .label("unknown topic")
            .at(topic.place.clone());
        // Names of topics count as written.
        let same = known.iter().find(|known| known.name.eq_ignore_ascii_case(&topic.text));
        let near = same.map(|same| same.name.as_str());
        let near = near.or_else(|| nearest(&topic.text, known.iter().map(|known| known.name.as_str())));
        SqlError::Mistakes(vec![match near {
            Some(near) => mistake.help(format!("did you mean '{near}'?")),
            None => mistake.help("SHOW TOPICS lists what there is"),
        }])
    }
}

struct Printing {
    sender: mpsc::Sender<Result<PrintedRecord, SqlError>>,
    interval: u64,
    seen: u64,
    left: Option<u64>,
}

impl Printing {
    async fn run(mut self, mut reader: Box<dyn Reader>, mut stop: watch::Receiver<bool>) {
        let ended = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(SqlError::Stopped),
            ended = self.records(&mut *reader) => ended,
        };
        if let Err(error) = ended {
            // Nobody waits for the error where the receiver is gone.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn records(&mut self, reader: &mut dyn Reader) -> Result<(), SqlError> {
        while self.left != Some(0) {
            let fetched = poll(reader).await.map_err(SqlError::bus("printing a topic"))?;
            let Some(fetched) = fetched else { continue };
            for fetched in fetched {
                for received in fetched.records {
                    let wanted = self.seen.is_multiple_of(self.interval.max(1));
                    self.seen += 1;
                    if !wanted {
                        continue;
                    }
                    if self.left == Some(0) {
                        return Ok(());
                    }
                    let record = PrintedRecord {
                        partition: fetched.partition.partition,
                        offset: received.offset,
                        record: received.record,
                    };
                    if self.sender.send(Ok(record)).await.is_err() {
                        return Ok(());
                    }
                    self.left = self.left.map(|left| left - 1);
                }
            }
        }
        Ok(())
    }
}
