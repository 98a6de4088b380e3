//! A heartbeat: what the member says of itself is taken over, the target assignment is made anew where that or the topics have
//! changed, and the member goes a step towards it.

use super::assign::{Assignor, Reader};
use super::change::Change;
use super::pattern;
use super::reconcile::{Goal, Step};
use super::topology::Topology;
use super::{
    ConsumerGroup, Current, Held, Member, MemberError, MemberId, MemberState, Partition, Resolved,
    Subscription,
};
use crate::limits;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The epoch of a member that joins.
pub(crate) const JOIN: i32 = 0;
/// The epoch of a member that leaves.
pub(crate) const LEAVE: i32 = -1;
/// The epoch of a static member that leaves and comes back.
pub(crate) const LEAVE_STATIC: i32 = -2;

/// What a member sends. `None` is: as before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: MemberId,
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<Arc<str>>>,
    /// An empty one takes it back.
    pub(crate) regex: Option<Arc<str>>,
    pub(crate) assignor: Option<Arc<str>>,
    pub(crate) owned: Option<BTreeSet<Partition>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
}

/// What a group's next state depends on beside its own.
pub(crate) struct Surroundings<'a> {
    pub(crate) topology: &'a Topology,
    /// Whether the topics may have changed since the last heartbeat of the group.
    pub(crate) recheck: bool,
    /// Whether the member's client may see a topic that a regular expression matches.
    pub(crate) may_see: &'a dyn Fn(&str) -> bool,
    /// Since 1970.
    pub(crate) now_ms: i64,
    pub(crate) members_max: usize,
}

/// What a heartbeat leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// To be written, and applied then.
    pub(crate) changes: Vec<Change>,
    pub(crate) epoch: i32,
    /// What the member may read, where it needs to be told.
    pub(crate) assignment: Option<Vec<Partition>>,
    /// Where it stands now. Until it has given back what it has to, it is on the clock.
    pub(crate) state: MemberState,
}

/// A group with changes that are not written yet.
struct Draft<'a> {
    group: Cow<'a, ConsumerGroup>,
    changes: Vec<Change>,
}

impl Draft<'_> {
    fn put(&mut self, change: Change) {
        self.group.to_mut().apply(change.clone());
        self.changes.push(change);
    }
}

impl ConsumerGroup {
    /// A member is alive, and may have news. It joins with epoch [`JOIN`].
    pub(crate) fn heartbeat(
        &self,
        beat: &Heartbeat,
        around: &Surroundings<'_>,
    ) -> Result<Outcome, MemberError> {
        let is_member = self.members.contains_key(&beat.member_id);
        if !is_member && self.members.len() >= around.members_max {
            return Err(MemberError::Full);
        }
        let mut draft = Draft { group: Cow::Borrowed(self), changes: Vec::new() };
        let before = self.enter(beat, &mut draft)?;
        let said = updated(&before.said, beat);
        let topics_changed = said.topics != before.said.topics;
        let regex_changed = said.regex != before.said.regex;
        if said != before.said || !draft.group.members.contains_key(&beat.member_id) {
            draft.put(Change::Member(Arc::clone(&beat.member_id), Some(Box::new(said.clone()))));
        }
        if regex_changed {
            draft.change_regex(&before.said.regex, &said.regex, around)?;
        }
        let matches_changed = around.recheck && draft.refresh_regexes(around);
        draft.bump(self.epoch == 0 || topics_changed || regex_changed || matches_changed, around);
        if draft.group.epoch > draft.group.target_epoch {
            draft.retarget(around);
        }
        let next = draft.group.step(
            beat,
            &said,
            &before.current,
            topics_changed || regex_changed,
            around.topology,
        )?;
        let is_full = beat.rebalance_timeout_ms.is_some()
            && (beat.topics.is_some() || beat.regex.is_some())
            && beat.owned.is_some();
        let tell = beat.epoch == JOIN || is_full || next.assigned != before.current.assigned;
        let outcome = Outcome {
            epoch: next.epoch,
            assignment: tell.then(|| next.assigned.keys().copied().collect()),
            state: next.state,
            changes: Vec::new(),
        };
        if next != before.current || !is_member {
            // Nothing else is decided on this, so the draft need not know it.
            draft.changes.push(Change::Current(Arc::clone(&beat.member_id), Some(Box::new(next))));
        }
        Ok(Outcome { changes: draft.changes, ..outcome })
    }

    /// The member as it was until now; a new one, or a static one's successor, where it joins.
    fn enter(&self, beat: &Heartbeat, draft: &mut Draft<'_>) -> Result<Arc<Member>, MemberError> {
        let known = self.members.get(&beat.member_id);
        let Some(instance_id) = &beat.instance_id else {
            return match known {
                Some(member) => check_epoch(member, beat).map(|()| Arc::clone(member)),
                None if beat.epoch == JOIN => Ok(Arc::default()),
                None => Err(MemberError::Unknown),
            };
        };
        let holder = self.instances.get(instance_id).and_then(|id| Some((id, self.members.get(id)?)));
        let Some((id, member)) = holder else {
            return if beat.epoch == JOIN {
                Ok(known.cloned().unwrap_or_default())
            } else {
                Err(MemberError::Unknown)
            };
        };
        match (*id == beat.member_id, beat.epoch == JOIN) {
            _ if beat.epoch == JOIN && member.current.epoch == LEAVE_STATIC => {
                Ok(self.replace(id, member, &beat.member_id, draft))
            }
            // Also where it joins again because the answer was lost, which Kafka makes it wait for its own session for.
            (true, _) => check_epoch(member, beat).map(|()| Arc::clone(member)),
            (false, true) => Err(MemberError::UnreleasedInstance),
            (false, false) => Err(MemberError::FencedInstance),
        }
    }

    /// A static member is back under another id, and takes over what it had.
    fn replace(
        &self,
        old_id: &MemberId,
        old: &Member,
        new_id: &MemberId,
        draft: &mut Draft<'_>,
    ) -> Arc<Member> {
        let current = Current { epoch: JOIN, previous_epoch: JOIN, ..old.current.clone() };
        let successor = Member { said: old.said.clone(), current };
        let target = self.target.get(old_id).cloned();
        if old_id != new_id {
            draft.put(Change::Current(Arc::clone(old_id), None));
            draft.put(Change::Target(Arc::clone(old_id), None));
            draft.put(Change::Member(Arc::clone(old_id), None));
        }
        draft.put(Change::Member(Arc::clone(new_id), Some(Box::new(successor.said.clone()))));
        draft.put(Change::Target(Arc::clone(new_id), Some(target.unwrap_or_default())));
        draft.put(Change::Current(Arc::clone(new_id), Some(Box::new(successor.current.clone()))));
        Arc::new(successor)
    }

    /// What the member holds next.
    fn step(
        &self,
        beat: &Heartbeat,
        said: &Subscription,
        current: &Current,
        subscription_changed: bool,
        topology: &Topology,
    ) -> Result<Current, MemberError> {
        let nothing = BTreeSet::new();
        let partitions = self.target.get(&beat.member_id).map_or(&nothing, |target| &**target);
        let matched = self.resolved.get(&said.regex).map_or(&said.topics, |resolved| &resolved.topics);
        let is_subscribed = |id: Uuid| {
            topology.name(id).is_some_and(|name| said.topics.contains(name) || matched.contains(name))
        };
        let is_free = |at: &Partition| self.owners.get(at).is_none_or(|owner| *owner == beat.member_id);
        let step = Step {
            goal: Goal { epoch: self.target_epoch, partitions },
            is_subscribed: &is_subscribed,
            is_free: &is_free,
            owned: beat.owned.as_ref(),
            subscription_changed,
        };
        step.take(current).ok_or(MemberError::Fenced)
    }

    /// The topics of a subscription: by name, and what its regular expression matches.
    pub(super) fn topics_of<'a>(&'a self, said: &'a Subscription) -> impl Iterator<Item = &'a Arc<str>> {
        let matched = self.resolved.get(&said.regex).map(|resolved| resolved.topics.iter());
        said.topics.iter().chain(matched.into_iter().flatten())
    }

    fn metadata_hash(&self, topology: &Topology) -> i64 {
        let subscribed: BTreeSet<_> =
            self.members.values().flat_map(|member| self.topics_of(&member.said)).collect();
        topology.hash_of(subscribed)
    }

    /// The assignor that most members ask for; the default where they ask for none.
    pub(crate) fn assignor(&self) -> Assignor {
        let asked = |assignor: Assignor| {
            let votes = self.members.values().filter_map(|member| member.said.assignor.as_deref());
            votes.filter(|name| *name == assignor.name()).count()
        };
        let [default, ..] = Assignor::ALL;
        let better = |best, next| if asked(next) > asked(best) { next } else { best };
        Assignor::ALL.into_iter().fold(default, better)
    }

    /// What follows when members go, on their own account or not; the records of a group without them.
    pub(crate) fn removal(&self, ids: &[MemberId], topology: &Topology) -> Vec<Change> {
        let mut draft = Draft { group: Cow::Borrowed(self), changes: Vec::new() };
        for id in ids {
            let regex = self.members.get(id).map(|member| Arc::clone(&member.said.regex)).unwrap_or_default();
            draft.put(Change::Current(Arc::clone(id), None));
            draft.put(Change::Target(Arc::clone(id), None));
            draft.put(Change::Member(Arc::clone(id), None));
            draft.drop_regex(&regex);
        }
        let epoch = self.epoch.saturating_add(1);
        let hash = draft.group.metadata_hash(topology);
        draft.put(Change::Epoch(Some((epoch, hash))));
        draft.changes
    }

    /// The member that an administrator means: by its id, or by its instance id where the id is empty.
    pub(crate) fn named(&self, id: &MemberId, instance_id: Option<&str>) -> Result<MemberId, MemberError> {
        let Some(instance_id) = instance_id else {
            return self.members.contains_key(id).then(|| MemberId::clone(id)).ok_or(MemberError::Unknown);
        };
        let holder = self.instances.get(instance_id).ok_or(MemberError::Unknown)?;
        let is_meant = id.is_empty() || holder == id;
        if is_meant { Ok(MemberId::clone(holder)) } else { Err(MemberError::FencedInstance) }
    }

    /// A member leaves, for good ([`LEAVE`]) or to come back ([`LEAVE_STATIC`]). The changes, and whether it is gone.
    pub(crate) fn leave(
        &self,
        beat: &Heartbeat,
        topology: &Topology,
    ) -> Result<(Vec<Change>, bool), MemberError> {
        let member = self.members.get(&beat.member_id);
        if let Some(instance_id) = &beat.instance_id {
            let holder = self.instances.get(instance_id).ok_or(MemberError::Unknown)?;
            if *holder != beat.member_id {
                return Err(MemberError::FencedInstance);
            }
        }
        let member = member.ok_or(MemberError::Unknown)?;
        if beat.epoch != LEAVE_STATIC {
            return Ok((self.removal(std::slice::from_ref(&beat.member_id), topology), true));
        }
        // Commits of whoever it was before count no more.
        let assigned: Held = member.current.assigned.keys().map(|at| (*at, 0)).collect();
        let previous_epoch = member.current.previous_epoch;
        let left = Current {
            epoch: LEAVE_STATIC,
            previous_epoch,
            assigned,
            revoking: Held::new(),
            ..member.current.clone()
        };
        Ok((vec![Change::Current(Arc::clone(&beat.member_id), Some(Box::new(left)))], false))
    }
}

/// A member whose answer with a new epoch was lost comes with the one before, and with no more than it was told of.
fn check_epoch(member: &Member, beat: &Heartbeat) -> Result<(), MemberError> {
    let current = &member.current;
    let knows_no_more =
        || beat.owned.as_ref().is_some_and(|owned| owned.iter().all(|at| current.assigned.contains_key(at)));
    let is_good = beat.epoch == JOIN
        || beat.epoch == current.epoch
        || (beat.epoch < current.epoch && beat.epoch == current.previous_epoch && knows_no_more());
    if is_good { Ok(()) } else { Err(MemberError::Fenced) }
}

fn updated(before: &Subscription, beat: &Heartbeat) -> Subscription {
    let or_before =
        |new: &Option<Arc<str>>, before: &Option<Arc<str>>| new.clone().or_else(|| before.clone());
    Subscription {
        instance_id: or_before(&beat.instance_id, &before.instance_id),
        rack_id: or_before(&beat.rack_id, &before.rack_id),
        client_id: Arc::clone(&beat.client_id),
        client_host: Arc::clone(&beat.client_host),
        topics: beat.topics.clone().unwrap_or_else(|| before.topics.clone()),
        regex: beat.regex.clone().unwrap_or_else(|| Arc::clone(&before.regex)),
        rebalance_timeout_ms: beat.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
        assignor: or_before(&beat.assignor, &before.assignor),
    }
}

impl Draft<'_> {
    fn change_regex(
        &mut self,
        old: &str,
        new: &Arc<str>,
        around: &Surroundings<'_>,
    ) -> Result<(), MemberError> {
        self.drop_regex(old);
        if !new.is_empty() && !self.group.resolved.contains_key(new) {
            if self.group.resolved.len() >= limits::REGEXES {
                let max = limits::REGEXES;
                let message = format!("a group has at most {max} different regular expressions");
                return Err(MemberError::Regex(message));
            }
            let topics =
                pattern::resolve(new, around.topology, around.may_see).map_err(MemberError::Regex)?;
            self.put_regex(new, topics, around);
        }
        Ok(())
    }

    fn put_regex(&mut self, regex: &Arc<str>, topics: BTreeSet<Arc<str>>, around: &Surroundings<'_>) {
        let resolved = Resolved { topics, version: around.topology.version(), at_ms: around.now_ms };
        self.put(Change::Regex(Arc::clone(regex), Some(resolved)));
    }

    /// Forgets a regular expression that no member has any more.
    fn drop_regex(&mut self, regex: &str) {
        let is_used = self.group.members.values().any(|member| *member.said.regex == *regex);
        if !is_used && let Some((regex, _)) = self.group.resolved.get_key_value(regex) {
            let regex = Arc::clone(regex);
            self.put(Change::Regex(regex, None));
        }
    }

    /// Topics may have come or gone. Whether any regular expression matches others than before.
    fn refresh_regexes(&mut self, around: &Surroundings<'_>) -> bool {
        let mut changed = false;
        let subscribed: BTreeSet<_> =
            self.group.members.values().map(|member| Arc::clone(&member.said.regex)).collect();
        for regex in subscribed.iter().filter(|regex| !regex.is_empty()) {
            let known = self.group.resolved.get(regex).map(|resolved| &resolved.topics);
            // It was good when its member came with it.
            let Ok(topics) = pattern::resolve(regex, around.topology, around.may_see) else { continue };
            if known != Some(&topics) {
                self.put_regex(regex, topics, around);
                changed = true;
            }
        }
        changed
    }

    /// Raises the group epoch, where the members' subscriptions or the topics have changed.
    fn bump(&mut self, changed: bool, around: &Surroundings<'_>) {
        if !changed && !around.recheck {
            return;
        }
        let hash = self.group.metadata_hash(around.topology);
        if changed || hash != self.group.metadata_hash {
            let epoch = self.group.epoch.saturating_add(1);
            self.put(Change::Epoch(Some((epoch, hash))));
        }
    }

    /// Computes the target assignment for the group epoch.
    fn retarget(&mut self, around: &Surroundings<'_>) {
        let nothing = Arc::default();
        let group = &*self.group;
        let shape = |name: &Arc<str>| around.topology.shape(name);
        let mut topics = BTreeMap::new();
        let mut readers = BTreeMap::new();
        for (id, member) in &group.members {
            let shapes: Vec<_> = group.topics_of(&member.said).filter_map(shape).collect();
            topics.extend(shapes.iter().map(|shape| (shape.id, shape.partitions)));
            let before = group.target.get(id).unwrap_or(&nothing);
            let topics = shapes.iter().map(|shape| shape.id).collect();
            readers.insert(Arc::clone(id), Reader { topics, before });
        }
        let mut assignment = group.assignor().assign(&readers, &topics);
        assignment.retain(|id, target| group.target.get(id).is_none_or(|before| **before != *target));
        let epoch = group.epoch;
        for (id, target) in assignment {
            self.put(Change::Target(id, Some(Arc::new(target))));
        }
        self.put(Change::TargetEpoch(Some((epoch, around.now_ms))));
    }
}
