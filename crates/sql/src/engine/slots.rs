//! Which of several processes runs which task.
//!
//! Processes that share a Kafka cluster and an application id are members of one consumer group over [`SLOTS_TOPIC`], a
//! topic without records: the slots that a member is assigned are the tasks that it runs. When a process dies, the group
//! gives its slots to the others after the session timeout; transactional ids per task keep what it had not committed out.
//! Over an engine that only this process uses, every slot is its own.

use crate::limits::{RESTART_WAIT_MS_MAX, SLOT_POLL_MS};
use millstream_bus::{Bus, BusError, FetchLimit, Isolation, StartOffset, TopicSpec, murmur2};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The topic whose partitions are the slots.
pub(super) const SLOTS_TOPIC: &str = "_millstream-slots";
/// How many slots there are: enough that they can be divided evenly, few enough that a rebalance is quick.
const SLOTS: i32 = 64;

/// The slots that this process holds; `None` for all.
type Held = Option<BTreeSet<i32>>;

/// This process' share of the tasks.
#[derive(Debug, Clone)]
pub(super) struct Slots(watch::Receiver<Held>);

impl Slots {
    /// Every slot, for ever: nobody else is there.
    pub(super) fn all() -> Self {
        Self(watch::Sender::new(None).subscribe())
    }

    /// Joins the processes of `application`, until `stop`. Until the group has decided, no slot is held.
    pub(super) fn shared(bus: Arc<dyn Bus>, application: &str, stop: watch::Receiver<bool>) -> Self {
        let held = watch::Sender::new(Some(BTreeSet::new()));
        let slots = Self(held.subscribe());
        let group = format!("_millstream-{application}");
        tokio::spawn(async move {
            let mut stopped = stop.clone();
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => {}
                () = stay(&*bus, &group, &held) => {}
            }
        });
        slots
    }

    /// Whether the group has given this process nothing: it has not decided yet, or cannot be reached.
    pub(super) fn is_undecided(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Waits until the group has given this process something, or nobody decides any more.
    pub(super) async fn decided(&mut self) {
        let _ = self.0.wait_for(|held| held.as_ref().is_none_or(|held| !held.is_empty())).await;
    }

    /// Waits until this process holds the slot of a task. `false` where nobody decides any more.
    pub(super) async fn held(&mut self, slot: i32) -> bool {
        let holds = |held: &Held| held.as_ref().is_none_or(|held| held.contains(&slot));
        self.0.wait_for(holds).await.is_ok() || holds(&self.0.borrow())
    }

    /// Waits until this process does not hold the slot of a task any more.
    pub(super) async fn lost(&mut self, slot: i32) {
        let lost = |held: &Held| held.as_ref().is_some_and(|held| !held.contains(&slot));
        if self.0.wait_for(lost).await.is_err() && !lost(&self.0.borrow()) {
            // Nobody decides any more: what is held stays.
            std::future::pending::<()>().await;
        }
    }
}

/// The slot of a task: the same in every process.
pub(super) fn slot(query_id: &str, partition: i32) -> i32 {
    let hash = murmur2(format!("{query_id}-{partition}").as_bytes());
    i32::try_from(hash % SLOTS.unsigned_abs()).unwrap_or(0)
}

/// Stays a member of the group; whatever fails is tried again.
async fn stay(bus: &dyn Bus, group: &str, held: &watch::Sender<Held>) {
    loop {
        if let Err(error) = member(bus, group, held).await {
            tracing::warn!(group, %error, "this process has left the group that divides the tasks; it joins again");
        }
        held.send_replace(Some(BTreeSet::new()));
        tokio::time::sleep(Duration::from_millis(RESTART_WAIT_MS_MAX)).await;
    }
}

async fn member(bus: &dyn Bus, group: &str, held: &watch::Sender<Held>) -> Result<(), BusError> {
    let topic = TopicSpec::new(SLOTS_TOPIC, SLOTS);
    match bus.create_topic(&topic).await {
        Ok(()) | Err(BusError::TopicExists(_)) => {}
        Err(error) => return Err(error),
    }
    let topics = [SLOTS_TOPIC.to_owned()];
    let mut reader = bus.subscribe(group, &topics, StartOffset::Latest, Isolation::ReadCommitted).await?;
    let limit = FetchLimit { wait_max: Duration::from_millis(SLOT_POLL_MS), ..FetchLimit::default() };
    loop {
        // There is nothing to read: the poll takes up what the group decides.
        reader.poll(limit).await?;
        let now: Held = Some(reader.assignment().into_iter().map(|of| of.partition).collect());
        held.send_if_modified(|held| {
            let changed = *held != now;
            if changed {
                tracing::info!(
                    group,
                    slots = now.as_ref().map_or(0, BTreeSet::len),
                    "the tasks were divided anew"
                );
                held.clone_from(&now);
            }
            changed
        });
    }
}
