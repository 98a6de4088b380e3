//! The group's states, one rule a test.

use super::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);

fn joining(id: &str) -> Joining {
    Joining {
        member: id.into(),
        protocol_type: "consumer",
        protocols: vec![("range".to_owned(), Bytes::copy_from_slice(id.as_bytes()))],
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
    }
}

/// The generations that the due joins were answered with.
fn joined(group: &mut Group) -> Vec<(String, Result<i32, GroupError>)> {
    let answers = group.take_answers().into_iter();
    let joins = answers.filter_map(|answer| match answer {
        Answer::Join(id, result) => Some((id.to_string(), result.map(|joined| joined.generation))),
        Answer::Sync(..) => None,
    });
    joins.collect()
}

fn stable(now: Instant, ids: &[&str]) -> (Group, i32) {
    let mut group = Group::new();
    for id in ids {
        group.join(now, joining(id));
    }
    for id in &ids[..ids.len() - 1] {
        group.join(now, joining(id));
    }
    group.take_answers();
    let generation = group.generation;
    for id in ids.iter().rev() {
        let assignments = ids.iter().map(|id| (MemberId::from(*id), Bytes::copy_from_slice(id.as_bytes())));
        group.sync(now, &MemberId::from(*id), generation, assignments.collect());
    }
    let answers = group.take_answers();
    assert_eq!(answers.len(), ids.len(), "{answers:?}");
    assert_eq!(group.state, State::Stable);
    (group, generation)
}

#[test]
fn the_first_member_leads_a_group_of_its_own() {
    let now = Instant::now();
    let mut group = Group::new();
    group.join(now, joining("a"));
    let answers = group.take_answers();
    let [Answer::Join(_, Ok(joined))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((joined.generation, &*joined.leader, joined.members.len()), (1, "a", 1));
    assert_eq!(joined.protocol, "range");
}

#[test]
fn a_second_member_waits_until_the_first_has_joined_again() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a"]);
    group.join(now, joining("b"));
    assert_eq!(joined(&mut group), []);
    let a = MemberId::from("a");
    assert_eq!(group.heartbeat(now, &a, generation), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.check_commit(&a, generation), Ok(()), "what was read before may still be committed");
    group.join(now, joining("a"));
    assert_eq!(joined(&mut group), [("a".to_owned(), Ok(2)), ("b".to_owned(), Ok(2))]);
    assert_eq!(group.check_commit(&a, 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.check_commit(&a, generation), Err(GroupError::IllegalGeneration));
}

#[test]
fn everyone_gets_what_the_leader_assigned() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a", "b"]);
    for id in ["a", "b"] {
        group.sync(now, &MemberId::from(id), generation, Vec::new());
        let expected = Answer::Sync(id.into(), Ok(Bytes::copy_from_slice(id.as_bytes())));
        assert_eq!(group.take_answers(), [expected]);
    }
}

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let now = Instant::now();
    let mut group = Group::new();
    group.join(now, joining("a"));
    group.join(now, joining("b"));
    group.join(now, joining("a"));
    group.take_answers();
    let generation = group.generation;
    group.sync(now, &MemberId::from("b"), generation, Vec::new());
    assert_eq!(group.take_answers(), []);
    group.join(now, joining("c"));
    let failed = Answer::Sync("b".into(), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.take_answers(), [failed], "a new round takes the place of the one it waits for");
}

#[test]
fn a_late_member_is_left_behind_when_time_is_up() {
    let now = Instant::now();
    let (mut group, _) = stable(now, &["a"]);
    group.join(now, joining("b"));
    let mut later = now;
    while later < now + REBALANCE {
        // It is alive, but busy.
        later += SESSION / 2;
        let generation = group.generation;
        let _ = group.heartbeat(later, &MemberId::from("a"), generation);
        group.expire(later);
    }
    assert_eq!(joined(&mut group), [("b".to_owned(), Ok(2))]);
    let late = group.heartbeat(later, &MemberId::from("a"), 1);
    assert_eq!(late, Err(GroupError::UnknownMember));
}

#[test]
fn a_silent_member_is_expired_and_the_others_join_again() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a", "b"]);
    let (a, b) = (MemberId::from("a"), MemberId::from("b"));
    assert_eq!(group.deadline(), Some(now + SESSION));
    let later = now + SESSION / 2;
    group.heartbeat(later, &b, generation).unwrap();
    group.expire(now + SESSION);
    assert_eq!(group.members(), 1);
    assert_eq!(group.check_commit(&a, generation), Err(GroupError::UnknownMember));
    assert_eq!(group.heartbeat(now + SESSION, &b, generation), Err(GroupError::RebalanceInProgress));
    group.join(now + SESSION, joining("b"));
    assert_eq!(joined(&mut group), [("b".to_owned(), Ok(3))]);
}

#[test]
fn a_member_that_waits_for_a_round_does_not_expire() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a"]);
    group.join(now, joining("b"));
    for seconds in 1..25 {
        let at = now + Duration::from_secs(seconds);
        let _ = group.heartbeat(at, &MemberId::from("a"), generation);
        group.expire(at);
    }
    assert_eq!(group.members(), 2);
}

#[test]
fn the_last_one_to_leave_empties_the_group() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a", "b"]);
    group.leave(now, &MemberId::from("a"));
    group.leave(now, &MemberId::from("b"));
    assert_eq!((group.members(), group.state), (0, State::Empty));
    assert_eq!(group.deadline(), None);
    group.join(now, joining("c"));
    let answers = joined(&mut group);
    assert!(matches!(&answers[..], [(_, Ok(next))] if *next > generation), "{answers:?}");
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let now = Instant::now();
    let (mut group, _) = stable(now, &["a"]);
    let mut other = joining("b");
    other.protocols[0].0 = "sticky".to_owned();
    group.join(now, other);
    assert_eq!(joined(&mut group), [("b".to_owned(), Err(GroupError::InconsistentProtocol))]);
    assert_eq!(group.state, State::Stable);
}

#[test]
fn a_follower_that_asks_again_disturbs_nobody() {
    let now = Instant::now();
    let (mut group, generation) = stable(now, &["a", "b"]);
    group.join(now, joining("b"));
    assert_eq!(joined(&mut group), [("b".to_owned(), Ok(generation))]);
    assert_eq!(group.state, State::Stable);
}

#[test]
fn members_that_never_sync_do_not_hold_up_the_group() {
    let now = Instant::now();
    let mut group = Group::new();
    group.join(now, joining("a"));
    group.join(now, joining("b"));
    group.join(now, joining("a"));
    let generation = group.generation;
    group.sync(now, &MemberId::from("b"), generation, Vec::new());
    group.take_answers();
    let mut at = now;
    while at < now + REBALANCE {
        at += SESSION / 2;
        for id in ["a", "b"] {
            let _ = group.heartbeat(at, &MemberId::from(id), generation);
        }
        group.expire(at);
    }
    let answers = group.take_answers();
    assert!(answers.contains(&Answer::Sync("b".into(), Err(GroupError::RebalanceInProgress))), "{answers:?}");
    assert_eq!(group.members(), 1, "the leader was the one that never brought an assignment");
}
