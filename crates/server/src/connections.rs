//! Who is connected: a bounded table. At the limit the connection that has been idle longest makes room.

use crate::limits::CONNECTIONS;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` while a request is being answered.
    idle_since: Option<Instant>,
    evicted: Arc<Notify>,
}

/// One place in the table; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    id: u64,
    evicted: Arc<Notify>,
}

impl Connections {
    /// A place for a new connection, at the cost of an idle one where all are taken; `None` where all are busy.
    pub(crate) fn enter(self: &Arc<Self>, now: Instant) -> Option<Place> {
        let mut table = self.table.lock();
        if table.entries.len() >= CONNECTIONS {
            let idle = table.entries.iter().filter_map(|(id, entry)| Some((entry.idle_since?, *id)));
            let (_, id) = idle.min()?;
            let entry = table.entries.remove(&id)?;
            entry.evicted.notify_one();
        }
        let id = table.next_id;
        table.next_id += 1;
        let evicted = Arc::new(Notify::new());
        table.entries.insert(id, Entry { idle_since: Some(now), evicted: evicted.clone() });
        Some(Place { connections: self.clone(), id, evicted })
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().entries.len()
    }
}

impl Place {
    /// Resolves when another connection needs the place.
    pub(crate) fn evicted(&self) -> Arc<Notify> {
        self.evicted.clone()
    }

    /// A request has come in.
    pub(crate) fn busy(&self) {
        self.set(None);
    }

    /// It is answered.
    pub(crate) fn idle(&self, now: Instant) {
        self.set(Some(now));
    }

    fn set(&self, idle_since: Option<Instant>) {
        if let Some(entry) = self.connections.table.lock().entries.get_mut(&self.id) {
            entry.idle_since = idle_since;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table.lock().entries.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_newcomer_takes_the_place_of_the_longest_idle_and_never_of_a_busy_one() {
        let connections = Arc::new(Connections::default());
        let start = Instant::now();
        let places: Vec<_> = (0..CONNECTIONS as u64)
            .map(|n| connections.enter(start + Duration::from_secs(n)).unwrap())
            .collect();
        places[0].busy();
        let newcomer = connections.enter(start + Duration::from_hours(1)).unwrap();
        assert_eq!(connections.len(), CONNECTIONS);
        let table = connections.table.lock();
        assert!(table.entries.contains_key(&places[0].id), "busy, so it stays");
        assert!(!table.entries.contains_key(&places[1].id), "idle longest, so it goes");
        drop(table);
        for place in &places {
            place.busy();
        }
        newcomer.busy();
        assert!(connections.enter(start).is_none(), "all are busy");
        drop(newcomer);
        assert!(connections.enter(start).is_some());
    }
}
