//! The group as a whole: what KIP-848 says step by step, and random histories in which no partition is ever read by two.

use super::heartbeat::{Heartbeat, JOIN, LEAVE, LEAVE_STATIC, Outcome, Surroundings};
use super::topology::{Shape, Topology};
use super::*;
use millstream_model::Timestamp;
use proptest::prelude::*;

/// A topic of this name; its id tells how often one was made.
fn topology(topics: &[(&str, u128, i32)]) -> Topology {
    let shape = |(name, id, partitions): &(&str, u128, i32)| {
        ((*name).into(), Shape { id: Uuid::from_u128(*id), partitions: *partitions })
    };
    topics.iter().map(shape).collect()
}

fn around(topology: &Topology) -> Surroundings<'_> {
    Surroundings { topology, recheck: true, may_see: &|_| true, now_ms: 7, members_max: 100 }
}

fn at(topic: u128, partitions: impl IntoIterator<Item = i32>) -> BTreeSet<Partition> {
    partitions.into_iter().map(|partition| (Uuid::from_u128(topic), partition)).collect()
}

/// A member that joins, reading `topics`.
fn join(id: &str, topics: &[&str]) -> Heartbeat {
    Heartbeat {
        member_id: id.into(),
        epoch: JOIN,
        rebalance_timeout_ms: Some(1_000),
        topics: Some(topics.iter().map(|topic| (*topic).into()).collect()),
        owned: Some(BTreeSet::new()),
        ..Heartbeat::default()
    }
}

/// A member with nothing new.
fn beat(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat { member_id: id.into(), epoch, ..Heartbeat::default() }
}

/// A member that says what it holds.
fn holding(id: &str, epoch: i32, owned: BTreeSet<Partition>) -> Heartbeat {
    Heartbeat { owned: Some(owned), ..beat(id, epoch) }
}

impl ConsumerGroup {
    /// Takes a heartbeat and its changes, each by way of its record.
    fn take(&mut self, beat: &Heartbeat, topology: &Topology) -> Result<Outcome, MemberError> {
        let outcome = self.heartbeat(beat, &around(topology))?;
        self.write(&outcome.changes);
        Ok(outcome)
    }

    fn write(&mut self, changes: &[Change]) {
        for change in changes {
            let written = record::encode("g", change, Timestamp(1));
            let (name, read) = record::decode(&written).expect("what is written can be read");
            assert_eq!((&*name, &read), ("g", change));
            self.apply(read);
        }
    }

    fn leaves(&mut self, beat: &Heartbeat, topology: &Topology) -> Result<(), MemberError> {
        let (changes, _) = self.leave(beat, topology)?;
        self.write(&changes);
        Ok(())
    }
}

fn assigned(outcome: &Outcome) -> BTreeSet<Partition> {
    outcome.assignment.as_ref().expect("an assignment is told").iter().copied().collect()
}

#[test]
fn partitions_pass_to_a_second_member_only_when_the_first_has_given_them_up() {
    let topology = topology(&[("t", 1, 4)]);
    let mut group = ConsumerGroup::default();
    let first = group.take(&join("a", &["t"]), &topology).unwrap();
    assert_eq!((first.epoch, assigned(&first)), (1, at(1, 0..4)));
    assert_eq!(group.state(), GroupState::Stable);

    let second = group.take(&join("b", &["t"]), &topology).unwrap();
    assert_eq!((second.epoch, second.state), (2, MemberState::UnreleasedPartitions));
    assert_eq!(assigned(&second), at(1, []));
    assert_eq!(group.state(), GroupState::Reconciling);

    let told = group.take(&beat("a", 1), &topology).unwrap();
    assert_eq!((told.epoch, told.state), (1, MemberState::UnrevokedPartitions));
    assert_eq!(assigned(&told), at(1, 0..2));
    // It has not given anything up, or does not say so.
    for waiting in [beat("a", 1), holding("a", 1, at(1, 0..4)), beat("b", 2)] {
        let outcome = group.take(&waiting, &topology).unwrap();
        assert_eq!((outcome.assignment, outcome.changes), (None, vec![]));
    }
    let done = group.take(&holding("a", 1, at(1, 0..2)), &topology).unwrap();
    assert_eq!((done.epoch, done.state, done.assignment), (2, MemberState::Stable, None));
    let taken = group.take(&beat("b", 2), &topology).unwrap();
    assert_eq!((taken.epoch, taken.state, assigned(&taken)), (2, MemberState::Stable, at(1, 2..4)));
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let topology = topology(&[("t", 1, 2)]);
    let mut group = ConsumerGroup::default();
    group.take(&join("a", &["t"]), &topology).unwrap();
    let again = group.take(&join("a", &["t"]), &topology).unwrap();
    assert_eq!((again.epoch, assigned(&again)), (1, at(1, 0..2)));
    group.take(&join("b", &["t"]), &topology).unwrap();
    group.take(&holding("a", 1, at(1, 0..1)), &topology).unwrap();
    // The epoch is 2 by now; the member has not heard of that.
    let late = group.take(&holding("a", 1, at(1, 0..1)), &topology).unwrap();
    assert_eq!(late.epoch, 2);
    for fenced in [holding("a", 1, at(1, 0..2)), beat("a", 1), beat("a", 3), holding("a", 5, at(1, []))] {
        assert_eq!(group.take(&fenced, &topology), Err(MemberError::Fenced), "{fenced:?}");
    }
    assert_eq!(group.take(&beat("c", 1), &topology), Err(MemberError::Unknown));
}

#[test]
fn a_member_that_goes_leaves_its_partitions_to_the_others() {
    let topology = topology(&[("t", 1, 2)]);
    let mut group = ConsumerGroup::default();
    group.take(&join("a", &["t"]), &topology).unwrap();
    group.leaves(&beat("a", LEAVE), &topology).unwrap();
    assert_eq!((group.state(), group.epoch), (GroupState::Empty, 2));
    assert!(group.owners.is_empty() && group.target.is_empty());
    assert_eq!(group.leaves(&beat("a", LEAVE), &topology), Err(MemberError::Unknown));
    let next = group.take(&join("b", &["t"]), &topology).unwrap();
    assert_eq!((next.epoch, assigned(&next)), (3, at(1, 0..2)));
    group.leaves(&beat("b", LEAVE), &topology).unwrap();
    let deletion = group.deletion();
    group.write(&deletion);
    assert_eq!(group, ConsumerGroup::default());
}

#[test]
fn topics_that_change_change_the_assignment() {
    let mut group = ConsumerGroup::default();
    let before = topology(&[("t", 1, 1)]);
    assert_eq!(assigned(&group.take(&join("a", &["t", "later"]), &before).unwrap()), at(1, 0..1));
    let grown = topology(&[("t", 1, 3), ("other", 9, 1)]);
    let outcome = group.take(&beat("a", 1), &grown).unwrap();
    assert_eq!((outcome.epoch, assigned(&outcome)), (2, at(1, 0..3)));
    let unrelated = topology(&[("t", 1, 3), ("other", 9, 2)]);
    assert_eq!(group.take(&beat("a", 2), &unrelated).unwrap().changes, []);
    let came = topology(&[("t", 1, 3), ("later", 2, 1)]);
    let outcome = group.take(&beat("a", 2), &came).unwrap();
    assert_eq!((outcome.epoch, assigned(&outcome).len()), (3, 4));
    // Deleted, and made again: another topic.
    let again = topology(&[("t", 5, 3), ("later", 2, 1)]);
    let outcome = group.take(&beat("a", 3), &again).unwrap();
    assert_eq!((outcome.state, assigned(&outcome)), (MemberState::UnrevokedPartitions, at(2, 0..1)));
    let outcome = group.take(&holding("a", 3, at(2, 0..1)), &again).unwrap();
    assert_eq!(assigned(&outcome), at(2, 0..1).union(&at(5, 0..3)).copied().collect());
}

#[test]
fn a_topic_given_up_is_taken_away_at_once() {
    let topology = topology(&[("t", 1, 2), ("u", 2, 2)]);
    let mut group = ConsumerGroup::default();
    group.take(&join("a", &["t", "u"]), &topology).unwrap();
    let fewer = Heartbeat { topics: join("a", &["u"]).topics, ..beat("a", 1) };
    let outcome = group.take(&fewer, &topology).unwrap();
    assert_eq!((outcome.epoch, outcome.state), (1, MemberState::UnrevokedPartitions));
    assert_eq!(assigned(&outcome), at(2, 0..2));
    let outcome = group.take(&holding("a", 1, at(2, 0..2)), &topology).unwrap();
    assert_eq!((outcome.epoch, group.state()), (2, GroupState::Stable));
    assert!(!group.is_subscribed("t") && group.is_subscribed("u"));
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let topology = topology(&[("t", 1, 4)]);
    let fixed = |beat: Heartbeat| Heartbeat { instance_id: Some("i".into()), ..beat };
    let mut group = ConsumerGroup::default();
    group.take(&fixed(join("a", &["t"])), &topology).unwrap();
    assert_eq!(group.take(&fixed(join("b", &["t"])), &topology), Err(MemberError::UnreleasedInstance));
    assert_eq!(group.take(&fixed(beat("b", 1)), &topology), Err(MemberError::FencedInstance));
    let stranger = Heartbeat { instance_id: Some("j".into()), ..beat("a", 1) };
    assert_eq!(group.take(&stranger, &topology), Err(MemberError::Unknown));
    assert_eq!(group.leaves(&fixed(beat("b", LEAVE_STATIC)), &topology), Err(MemberError::FencedInstance));

    group.leaves(&fixed(beat("a", LEAVE_STATIC)), &topology).unwrap();
    assert_eq!((group.epoch, group.state()), (1, GroupState::Reconciling));
    let back = group.take(&fixed(join("b", &["t"])), &topology).unwrap();
    assert_eq!((back.epoch, assigned(&back)), (1, at(1, 0..4)));
    assert_eq!((group.epoch, group.members.len(), group.state()), (1, 1, GroupState::Stable));
    group.leaves(&fixed(beat("b", LEAVE)), &topology).unwrap();
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn a_regular_expression_follows_the_topics() {
    let matching =
        |beat: Heartbeat, regex: &str| Heartbeat { regex: Some(regex.into()), topics: None, ..beat };
    let mut group = ConsumerGroup::default();
    let before = topology(&[("plant.a", 1, 1), ("x", 2, 1)]);
    let outcome = group.take(&matching(join("a", &[]), "plant.*"), &before).unwrap();
    assert_eq!(assigned(&outcome), at(1, 0..1));
    let after = topology(&[("plant.a", 1, 1), ("x", 2, 1), ("plant.b", 3, 1)]);
    let outcome = group.take(&beat("a", 1), &after).unwrap();
    assert_eq!((outcome.epoch, assigned(&outcome).len()), (2, 2));
    assert!(group.is_subscribed("plant.b") && !group.is_subscribed("x"));
    let bad = group.take(&matching(beat("a", 2), "("), &after);
    assert!(matches!(bad, Err(MemberError::Regex(_))), "{bad:?}");
    // Another one: what the old one matched is forgotten with its last member.
    let outcome = group.take(&matching(beat("a", 2), "x|plant.a"), &after).unwrap();
    assert_eq!(assigned(&outcome), at(1, 0..1));
    assert_eq!(group.resolved.len(), 1);
    group.leaves(&beat("a", LEAVE), &after).unwrap();
    assert!(group.resolved.is_empty());
}

#[test]
fn a_group_has_so_many_regular_expressions_and_no_more() {
    let topics = topology(&[("t", 1, 1)]);
    let mut group = ConsumerGroup::default();
    let join = |number: usize| {
        let regex = Some(format!("t{number}?").into());
        Heartbeat { regex, topics: None, ..join(&format!("member-{number}"), &[]) }
    };
    for number in 0..crate::limits::REGEXES {
        group.take(&join(number), &topics).unwrap();
    }
    let refused = group.take(&join(crate::limits::REGEXES), &topics);
    assert!(matches!(refused, Err(MemberError::Regex(_))), "{refused:?}");
    let shared = Heartbeat { regex: Some("t0?".into()), ..join(crate::limits::REGEXES) };
    group.take(&shared, &topics).unwrap();
    group.leaves(&beat("member-5", LEAVE), &topics).unwrap();
    group.take(&join(crate::limits::REGEXES + 1), &topics).unwrap();
}

#[test]
fn topics_that_may_not_be_seen_match_no_expression() {
    let topology = topology(&[("plant.a", 1, 1), ("plant.secret", 2, 1)]);
    let beat = Heartbeat { regex: Some(".*".into()), topics: None, ..join("a", &[]) };
    let may_see = |name: &str| !name.contains("secret");
    let around = Surroundings { may_see: &may_see, ..around(&topology) };
    let outcome = ConsumerGroup::default().heartbeat(&beat, &around).unwrap();
    assert_eq!(assigned(&outcome), at(1, 0..1));
}

#[test]
fn a_full_group_takes_nobody_else() {
    let topology = topology(&[("t", 1, 1)]);
    let around = Surroundings { members_max: 1, ..around(&topology) };
    let mut group = ConsumerGroup::default();
    group.take(&join("a", &["t"]), &topology).unwrap();
    assert_eq!(group.heartbeat(&join("b", &["t"]), &around), Err(MemberError::Full));
    assert!(group.heartbeat(&beat("a", 1), &around).is_ok());
}

#[test]
fn most_members_choose_the_assignor() {
    let topology = topology(&[("t", 1, 1)]);
    let asking = |id: &str, name: &str| Heartbeat { assignor: Some(name.into()), ..join(id, &["t"]) };
    let mut group = ConsumerGroup::default();
    assert_eq!(group.assignor().name(), "uniform");
    group.take(&asking("a", "range"), &topology).unwrap();
    assert_eq!(group.assignor().name(), "range");
    group.take(&asking("b", "uniform"), &topology).unwrap();
    group.take(&asking("c", "uniform"), &topology).unwrap();
    assert_eq!(group.assignor().name(), "uniform");
}

#[test]
fn commits_count_from_members_that_hold_the_partition() {
    let topology = topology(&[("t", 1, 2)]);
    let mut group = ConsumerGroup::default();
    assert_eq!(group.check_commit("", -1, Some(9), []), Ok(()));
    group.take(&join("a", &["t"]), &topology).unwrap();
    group.take(&join("b", &["t"]), &topology).unwrap();
    group.take(&holding("a", 1, at(1, 0..1)), &topology).unwrap();
    let both = || at(1, 0..2);
    assert_eq!(group.check_commit("", -1, Some(9), both()), Err(MemberError::Unknown));
    assert_eq!(group.check_commit("", -1, None, both()), Ok(()));
    assert_eq!(group.check_commit("a", 2, Some(9), both()), Ok(()));
    assert_eq!(group.check_commit("a", 2, Some(8), both()), Err(MemberError::OldCommit));
    // Epoch 1 was before it knew of epoch 2: what it has held since then it may commit.
    assert_eq!(group.check_commit("a", 1, Some(9), at(1, 0..1)), Ok(()));
    assert_eq!(group.check_commit("a", 1, Some(9), both()), Err(MemberError::StaleEpoch));
    assert_eq!(group.check_commit("a", 1, None, []), Err(MemberError::StaleEpoch));
    assert_eq!(group.check_commit("a", 3, Some(9), both()), Err(MemberError::StaleEpoch));
    assert_eq!(group.check_commit("c", 2, Some(9), both()), Err(MemberError::Unknown));
    assert_eq!(group.check_fetch(None, -1), Ok(()));
    assert_eq!(group.check_fetch(Some("a"), 2), Ok(()));
    assert_eq!(group.check_fetch(Some("a"), 1), Err(MemberError::StaleEpoch));
    assert_eq!(group.check_fetch(Some("c"), 1), Err(MemberError::Unknown));
}

mod history;
