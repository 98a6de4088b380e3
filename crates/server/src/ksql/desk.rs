//! What the API remembers from request to request: the outcome of commands, and the push queries that are open.

use super::entity::{CommandStatus, EntityKind, KsqlEntity};
use crate::limits::COMMANDS;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// The desk: commands and open queries.
#[derive(Debug)]
pub(crate) struct Desk {
    commands: Mutex<Commands>,
    /// The number of the newest command.
    newest: watch::Sender<i64>,
    open: Mutex<BTreeMap<String, Arc<Notify>>>,
}

#[derive(Debug, Default)]
struct Commands {
    /// Oldest first; an id that comes again replaces the older one.
    order: VecDeque<String>,
    outcomes: BTreeMap<String, CommandStatus>,
}

/// A query that `/close-query` can end. Dropping it takes it off the desk.
#[derive(Debug)]
pub(crate) struct Open<'d> {
    desk: &'d Desk,
    id: String,
    closing: Arc<Notify>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { commands: Mutex::default(), newest: watch::Sender::new(-1), open: Mutex::default() }
    }
}

impl Desk {
    /// Gives the commands among `entities` their numbers, and remembers how they went.
    pub(crate) fn note(&self, entities: &mut [KsqlEntity]) {
        for entity in entities {
            let EntityKind::CurrentStatus { command_id, command_status, command_sequence_number } =
                &mut entity.kind
            else {
                continue;
            };
            let mut commands = self.commands.lock();
            if commands.outcomes.insert(command_id.clone(), command_status.clone()).is_some() {
                commands.order.retain(|known| known != command_id);
            }
            commands.order.push_back(command_id.clone());
            if commands.order.len() > COMMANDS
                && let Some(oldest) = commands.order.pop_front()
            {
                commands.outcomes.remove(&oldest);
            }
            self.newest.send_modify(|newest| {
                *newest += 1;
                *command_sequence_number = *newest;
            });
        }
    }

    /// Returns once a command of this number was done.
    pub(crate) async fn reached(&self, number: i64) {
        // The sender lives as long as the desk.
        let _ = self.newest.subscribe().wait_for(|newest| *newest >= number).await;
    }

    /// How a command went.
    pub(crate) fn outcome(&self, id: &str) -> Option<CommandStatus> {
        self.commands.lock().outcomes.get(id).cloned()
    }

    /// How all went that are remembered.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, String> {
        let commands = self.commands.lock();
        commands.outcomes.iter().map(|(id, outcome)| (id.clone(), outcome.status.clone())).collect()
    }

    /// Puts a query on the desk.
    pub(crate) fn open(&self, id: &str) -> Open<'_> {
        let closing = Arc::new(Notify::new());
        self.open.lock().insert(id.to_owned(), closing.clone());
        Open { desk: self, id: id.to_owned(), closing }
    }

    /// Ends a query; `false` where there is none of that id.
    pub(crate) fn close(&self, id: &str) -> bool {
        let closing = self.open.lock().remove(id);
        closing.inspect(|closing| closing.notify_one()).is_some()
    }
}

impl Open<'_> {
    /// Resolves when the query is to end.
    pub(crate) async fn closed(&self) {
        self.closing.notified().await;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.desk.open.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(id: &str) -> KsqlEntity {
        let command_status =
            CommandStatus { status: "SUCCESS".into(), message: String::new(), query_id: None };
        let kind = EntityKind::CurrentStatus {
            command_id: id.to_owned(),
            command_status,
            command_sequence_number: -1,
        };
        KsqlEntity { kind, statement_text: String::new(), warnings: Vec::new() }
    }

    #[tokio::test]
    async fn commands_are_numbered_and_the_oldest_forgotten() {
        let desk = Desk::default();
        let mut first = [command("stream/A/create"), command("stream/A/create")];
        desk.note(&mut first);
        let numbers = first.iter().map(|entity| match entity.kind {
            EntityKind::CurrentStatus { command_sequence_number, .. } => command_sequence_number,
            _ => -2,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1]);
        desk.reached(1).await;
        for index in 0..COMMANDS {
            desk.note(&mut [command(&format!("stream/{index}/create"))]);
        }
        assert_eq!(desk.outcome("stream/A/create"), None);
        assert_eq!(desk.outcomes().len(), COMMANDS);
    }
}
