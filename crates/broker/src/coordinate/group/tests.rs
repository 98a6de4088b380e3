//! The group's states, one rule a test.

mod histories;

use super::*;
use crate::coordinate::group_record::GroupValue;
use millstream_model::Timestamp;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);
const SETTINGS: Settings = Settings { members_max: 4, initial_delay: Duration::ZERO };

/// A group, the time, and the answers so far by the tickets of their requests.
struct Bench {
    group: Group,
    now: Instant,
    tickets: Ticket,
    joined: BTreeMap<Ticket, Result<Joined, GroupError>>,
    synced: BTreeMap<Ticket, Result<Synced, GroupError>>,
}

fn joining(id: &str) -> Joining {
    Joining {
        member: id.into(),
        has_id: false,
        instance: None,
        client: Client { id: "client".to_owned(), host: "/127.0.0.1".to_owned() },
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::copy_from_slice(id.as_bytes()))],
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        must_know_id: false,
        can_skip_assignment: true,
    }
}

fn again(id: &str) -> Joining {
    Joining { has_id: true, ..joining(id) }
}

/// A static member under a new id.
fn fixed(instance: &str, id: &str) -> Joining {
    let protocols = vec![("range".to_owned(), Bytes::copy_from_slice(instance.as_bytes()))];
    Joining { instance: Some(instance.into()), protocols, ..joining(id) }
}

impl Bench {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let group = Group::new(settings);
        let (joined, synced) = (BTreeMap::new(), BTreeMap::new());
        Self { group, now: Instant::now(), tickets: 0, joined, synced }
    }

    /// A stable group of these members, and its generation.
    fn stable(members: &[Joining]) -> (Self, i32) {
        let mut bench = Self::new();
        for member in members {
            bench.join(member.clone());
        }
        for member in &members[..members.len() - 1] {
            bench.join(Joining { has_id: true, ..member.clone() });
        }
        let generation = bench.group.generation;
        for member in members.iter().rev() {
            bench.sync_all(&member.member);
        }
        assert_eq!(bench.group.state, State::Stable);
        bench.forget_answers();
        (bench, generation)
    }

    fn settle(&mut self) {
        for answer in self.group.take_answers() {
            match answer {
                Answer::Join(ticket, result) => assert!(self.joined.insert(ticket, result).is_none()),
                Answer::Sync(ticket, result) => assert!(self.synced.insert(ticket, result).is_none()),
            }
        }
    }

    fn forget_answers(&mut self) {
        self.joined.clear();
        self.synced.clear();
        self.group.take_unsaved();
    }

    fn join(&mut self, joining: Joining) -> Ticket {
        self.tickets += 1;
        self.group.join(self.now, self.tickets, joining);
        self.settle();
        self.tickets
    }

    fn syncing(&self, id: &str) -> Syncing {
        Syncing {
            member: id.into(),
            instance: None,
            generation: self.group.generation,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        }
    }

    fn sync(&mut self, syncing: Syncing) -> Ticket {
        self.tickets += 1;
        self.group.sync(self.now, self.tickets, syncing);
        self.settle();
        self.tickets
    }

    /// A sync that assigns each member its own id, if it is the leader's.
    fn sync_all(&mut self, id: &str) -> Ticket {
        let ids = self.group.members.keys().cloned();
        let assignments = ids.map(|id| (Arc::clone(&id), Bytes::copy_from_slice(id.as_bytes()))).collect();
        self.sync(Syncing { assignments, ..self.syncing(id) })
    }

    fn beat(&mut self, id: &str) -> Result<(), GroupError> {
        let generation = self.group.generation;
        self.group.heartbeat(self.now, id, None, generation)
    }

    fn commit(&mut self, id: &str, generation: i32) -> Result<(), GroupError> {
        self.group.check_commit(self.now, id, None, generation)
    }

    fn leave(&mut self, id: &str) -> Result<(), GroupError> {
        let results = self.group.leave(self.now, &[(id.into(), None)]);
        self.settle();
        results[0]
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.expire(self.now);
        self.settle();
    }

    /// Lets time pass in which these members are alive.
    fn pass_with(&mut self, time: Duration, alive: &[&str]) {
        let end = self.now + time;
        while self.now < end {
            self.pass(Duration::from_secs(1));
            for id in alive {
                let _ = self.beat(id);
            }
        }
    }

    /// The generation of an answered join.
    fn generation(&self, ticket: Ticket) -> Option<Result<i32, GroupError>> {
        self.joined.get(&ticket).map(|result| result.clone().map(|joined| joined.generation))
    }
}

#[test]
fn the_first_member_leads_a_group_of_its_own() {
    let mut bench = Bench::new();
    let ticket = bench.join(joining("a"));
    let joined = bench.joined[&ticket].clone().unwrap();
    assert_eq!((joined.generation, &*joined.leader, joined.members.len()), (1, "a", 1));
    assert_eq!((&*joined.protocol_type, &*joined.protocol), ("consumer", "range"));
    assert!(!joined.skip_assignment);
}

#[test]
fn a_second_member_waits_until_the_first_has_joined_again() {
    let (mut bench, generation) = Bench::stable(&[joining("a")]);
    let b = bench.join(joining("b"));
    assert_eq!(bench.generation(b), None);
    assert_eq!(bench.beat("a"), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.commit("a", generation), Ok(()), "what was read before may still be committed");
    let a = bench.join(again("a"));
    assert_eq!((bench.generation(a), bench.generation(b)), (Some(Ok(2)), Some(Ok(2))));
    assert_eq!(bench.commit("a", 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.commit("a", generation), Err(GroupError::IllegalGeneration));
    assert_eq!(bench.beat("a"), Ok(()), "heartbeats may come before the sync");
}

#[test]
fn everyone_gets_what_the_leader_assigned_and_nothing_where_it_forgot() {
    let (mut bench, _) = Bench::stable(&[joining("a"), joining("b")]);
    for id in ["a", "b"] {
        let ticket = bench.sync(bench.syncing(id));
        assert_eq!(bench.synced[&ticket].clone().unwrap().assignment, id.as_bytes());
    }
    let mut bench = Bench::new();
    bench.join(joining("a"));
    let ticket = bench.sync(bench.syncing("a"));
    assert_eq!(bench.synced[&ticket].clone().unwrap().assignment, Bytes::new());
}

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let mut bench = Bench::new();
    bench.join(joining("a"));
    bench.join(joining("b"));
    bench.join(again("a"));
    let b = bench.sync(bench.syncing("b"));
    assert!(!bench.synced.contains_key(&b));
    bench.join(joining("c"));
    let failed = Some(&Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.synced.get(&b), failed, "a new round takes the place of the one it waits for");
}

#[test]
fn a_sync_of_another_round_or_protocol_is_refused() {
    let (mut bench, generation) = Bench::stable(&[joining("a")]);
    let refused = |bench: &mut Bench, syncing: Syncing| {
        let ticket = bench.sync(syncing);
        bench.synced[&ticket].clone().unwrap_err()
    };
    let old = Syncing { generation: generation - 1, ..bench.syncing("a") };
    assert_eq!(refused(&mut bench, old), GroupError::IllegalGeneration);
    let stranger = bench.syncing("x");
    assert_eq!(refused(&mut bench, stranger), GroupError::UnknownMember);
    let other_type = Syncing { protocol_type: Some("connect".to_owned()), ..bench.syncing("a") };
    assert_eq!(refused(&mut bench, other_type), GroupError::InconsistentProtocol);
    let other = Syncing { protocol: Some("sticky".to_owned()), ..bench.syncing("a") };
    assert_eq!(refused(&mut bench, other), GroupError::InconsistentProtocol);
    bench.join(joining("b"));
    let late = bench.syncing("a");
    assert_eq!(refused(&mut bench, late), GroupError::RebalanceInProgress);
}

#[test]
fn a_late_member_is_left_behind_when_time_is_up() {
    let (mut bench, generation) = Bench::stable(&[joining("a")]);
    let b = bench.join(joining("b"));
    // It is alive, but busy.
    bench.pass_with(REBALANCE, &["a"]);
    assert_eq!(bench.generation(b), Some(Ok(2)));
    let late = bench.group.heartbeat(bench.now, "a", None, generation);
    assert_eq!(late, Err(GroupError::UnknownMember));
}

#[test]
fn a_silent_member_is_expired_and_the_others_join_again() {
    let (mut bench, generation) = Bench::stable(&[joining("a"), joining("b")]);
    assert_eq!(bench.group.deadline(), Some(bench.now + SESSION));
    bench.pass(SESSION / 2);
    bench.beat("b").unwrap();
    bench.pass(SESSION / 2);
    assert_eq!(bench.group.members(), 1);
    assert_eq!(bench.commit("a", generation), Err(GroupError::UnknownMember));
    assert_eq!(bench.beat("b"), Err(GroupError::RebalanceInProgress));
    let b = bench.join(again("b"));
    assert_eq!(bench.generation(b), Some(Ok(generation + 1)));
}

#[test]
fn a_commit_keeps_a_member_alive() {
    let (mut bench, generation) = Bench::stable(&[joining("a")]);
    for _ in 0..5 {
        bench.pass(Duration::from_secs(9));
        bench.commit("a", generation).unwrap();
    }
    assert_eq!(bench.beat("a"), Ok(()));
}

#[test]
fn a_member_that_waits_for_a_round_does_not_expire() {
    let (mut bench, _) = Bench::stable(&[joining("a")]);
    bench.join(joining("b"));
    bench.pass_with(Duration::from_secs(28), &["a"]);
    assert_eq!(bench.group.members(), 2);
}

#[test]
fn a_new_member_whose_client_went_is_not_waited_for_ever() {
    let settings = Settings { initial_delay: Duration::from_hours(1), ..SETTINGS };
    let mut bench = Bench::with(settings);
    let a = bench.join(joining("a"));
    bench.pass(limits::NEW_MEMBER_TIMEOUT);
    assert_eq!(bench.generation(a), Some(Err(GroupError::UnknownMember)));
    assert_eq!(bench.group.members(), 0);
}

#[test]
fn the_last_one_to_leave_empties_the_group() {
    let (mut bench, generation) = Bench::stable(&[joining("a"), joining("b")]);
    bench.leave("a").unwrap();
    bench.leave("b").unwrap();
    assert_eq!((bench.group.members(), bench.group.state), (0, State::Empty));
    assert_eq!(bench.group.deadline(), None);
    assert!(bench.group.take_unsaved(), "that it is empty is recorded");
    let c = bench.join(joining("c"));
    let next = bench.generation(c).unwrap().unwrap();
    assert!(next > generation);
    assert_eq!(bench.leave("nobody"), Err(GroupError::UnknownMember));
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let (mut bench, _) = Bench::stable(&[joining("a")]);
    let mut other = joining("b");
    other.protocols[0].0 = "sticky".to_owned();
    let b = bench.join(other);
    assert_eq!(bench.generation(b), Some(Err(GroupError::InconsistentProtocol)));
    let c = bench.join(Joining { protocol_type: "connect".to_owned(), ..joining("c") });
    assert_eq!(bench.generation(c), Some(Err(GroupError::InconsistentProtocol)));
    assert_eq!(bench.group.state, State::Stable);
    let mut bench = Bench::new();
    let nothing = bench.join(Joining { protocols: Vec::new(), ..joining("a") });
    assert_eq!(bench.generation(nothing), Some(Err(GroupError::InconsistentProtocol)));
}

#[test]
fn members_vote_for_the_first_protocol_that_everyone_can() {
    let with = |id: &str, names: &[&str]| {
        let protocols = names.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"x"))).collect();
        Joining { protocols, ..joining(id) }
    };
    let mut bench = Bench::new();
    // The rolling change to cooperative rebalancing: both, until the last one can.
    bench.join(with("a", &["cooperative-sticky", "range"]));
    bench.join(with("b", &["cooperative-sticky", "range"]));
    bench.join(with("c", &["range"]));
    for id in ["a", "b"] {
        bench.join(Joining { has_id: true, ..with(id, &["cooperative-sticky", "range"]) });
    }
    assert_eq!(bench.group.protocol.as_deref(), Some("range"));
    bench.leave("c").unwrap();
    bench.join(Joining { has_id: true, ..with("a", &["cooperative-sticky", "range"]) });
    bench.join(Joining { has_id: true, ..with("b", &["range", "cooperative-sticky"]) });
    bench.join(with("d", &["cooperative-sticky", "range"]));
    bench.join(Joining { has_id: true, ..with("a", &["cooperative-sticky", "range"]) });
    bench.join(Joining { has_id: true, ..with("b", &["range", "cooperative-sticky"]) });
    assert_eq!(bench.group.protocol.as_deref(), Some("cooperative-sticky"), "two against one");
}

#[test]
fn a_follower_that_asks_again_disturbs_nobody_and_a_leader_begins_a_round() {
    let (mut bench, generation) = Bench::stable(&[joining("a"), joining("b")]);
    let b = bench.join(again("b"));
    assert_eq!(bench.generation(b), Some(Ok(generation)));
    assert_eq!(bench.group.state, State::Stable);
    let a = bench.join(again("a"));
    assert_eq!(bench.generation(a), None);
    assert_eq!(bench.beat("b"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_follower_with_another_subscription_begins_a_round() {
    let (mut bench, _) = Bench::stable(&[joining("a"), joining("b")]);
    let mut changed = again("b");
    changed.protocols[0].1 = Bytes::from_static(b"other topics");
    let b = bench.join(changed);
    assert_eq!(bench.generation(b), None);
    assert_eq!(bench.beat("a"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn another_leader_is_found_where_the_leader_does_not_join() {
    let (mut bench, _) = Bench::stable(&[joining("a"), joining("b")]);
    let c = bench.join(joining("c"));
    let b = bench.join(again("b"));
    bench.pass_with(REBALANCE, &[]);
    let leader = |ticket| bench.joined[&ticket].clone().unwrap();
    assert_eq!(&*leader(b).leader, "b");
    assert_eq!((leader(b).members.len(), leader(c).members.len()), (2, 0));
}

#[test]
fn members_that_never_sync_do_not_hold_up_the_group() {
    let mut bench = Bench::new();
    bench.join(joining("a"));
    bench.join(joining("b"));
    bench.join(again("a"));
    let b = bench.sync(bench.syncing("b"));
    bench.pass_with(REBALANCE, &["a", "b"]);
    assert_eq!(bench.synced[&b], Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.group.members(), 1, "the leader was the one that never brought an assignment");
    // A follower that never asks for its assignment is left behind too, though the group is stable.
    let mut bench = Bench::new();
    bench.join(joining("a"));
    bench.join(joining("b"));
    bench.join(again("a"));
    bench.sync_all("a");
    assert_eq!(bench.group.state, State::Stable);
    bench.pass_with(REBALANCE, &["a", "b"]);
    assert!(!bench.group.members.contains_key("b"));
}

#[test]
fn a_new_member_is_told_its_id_first() {
    let ask = |id: &str| Joining { must_know_id: true, ..joining(id) };
    let mut bench = Bench::new();
    let told = bench.join(ask("a"));
    assert_eq!(bench.generation(told), Some(Err(GroupError::MemberIdRequired)));
    assert_eq!((bench.group.members(), bench.group.is_deserted()), (0, false));
    assert_eq!(bench.beat("a"), Err(GroupError::UnknownMember));
    let a = bench.join(Joining { has_id: true, ..ask("a") });
    assert_eq!(bench.generation(a), Some(Ok(1)));
    // One that was told an id is waited for, until its session would have ended.
    bench.sync_all("a");
    bench.join(ask("b"));
    let c = bench.join(joining("c"));
    bench.join(again("a"));
    assert_eq!(bench.generation(c), None);
    bench.pass(SESSION);
    assert_eq!(bench.generation(c), Some(Ok(2)));
    let b = bench.join(again("b"));
    assert_eq!(bench.generation(b), Some(Err(GroupError::UnknownMember)));
}

#[test]
fn a_group_takes_no_more_members_than_it_may() {
    let ids = ["a", "b", "c", "d"];
    let (mut bench, generation) = Bench::stable(&ids.map(joining));
    let e = bench.join(joining("e"));
    assert_eq!(bench.generation(e), Some(Err(GroupError::Full)));
    assert_eq!(bench.group.state, State::Stable);
    let b = bench.join(again("b"));
    assert_eq!(bench.generation(b), Some(Ok(generation)));
    // Nor does it give out more ids than that.
    let mut bench = Bench::new();
    for id in ids {
        bench.join(Joining { must_know_id: true, ..joining(id) });
    }
    let e = bench.join(Joining { must_know_id: true, ..joining("e") });
    assert_eq!(bench.generation(e), Some(Err(GroupError::Full)));
}

#[test]
fn the_first_round_waits_for_more_members_and_is_drawn_out_by_them() {
    let delay = Duration::from_secs(3);
    let mut bench = Bench::with(Settings { initial_delay: delay, ..SETTINGS });
    let a = bench.join(joining("a"));
    bench.pass(Duration::from_secs(2));
    let b = bench.join(joining("b"));
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.generation(a), None, "b has drawn it out");
    bench.pass(delay);
    assert_eq!((bench.generation(a), bench.generation(b)), (Some(Ok(1)), Some(Ok(1))));
}

#[test]
fn a_static_member_that_comes_back_disturbs_nobody() {
    let (mut bench, generation) = Bench::stable(&[joining("a"), fixed("i", "i-1")]);
    let back = bench.join(fixed("i", "i-2"));
    let joined = bench.joined[&back].clone().unwrap();
    assert_eq!((joined.generation, &*joined.member, &*joined.leader), (generation, "i-2", "a"));
    assert!(bench.group.take_unsaved(), "its new id is recorded");
    assert_eq!(bench.group.state, State::Stable);
    let ticket = bench.sync(bench.syncing("i-2"));
    assert_eq!(bench.synced[&ticket].clone().unwrap().assignment, "i-1", "it has what it had");
    assert_eq!(bench.beat("a"), Ok(()));
    // Who still runs under the old id is fenced wherever it names itself.
    let generation = bench.group.generation;
    let fenced = Err(GroupError::FencedInstance);
    assert_eq!(bench.group.heartbeat(bench.now, "i-1", Some("i"), generation), fenced);
    assert_eq!(bench.group.check_commit(bench.now, "i-1", Some("i"), generation), fenced);
    assert_eq!(bench.group.check_transaction("i-1", Some("i"), generation), fenced);
    let old = bench.join(Joining { has_id: true, ..fixed("i", "i-1") });
    assert_eq!(bench.generation(old), Some(Err(GroupError::FencedInstance)));
    assert_eq!(
        bench.group.check_commit(bench.now, "i-2", Some("x"), generation),
        Err(GroupError::UnknownMember)
    );
}

#[test]
fn a_static_leader_that_comes_back_does_not_assign_anew() {
    let (mut bench, _) = Bench::stable(&[fixed("i", "i-1"), joining("z")]);
    let back = bench.join(fixed("i", "i-2"));
    let joined = bench.joined[&back].clone().unwrap();
    assert_eq!((&*joined.leader, joined.skip_assignment, joined.members.len()), ("i-2", true, 2));
    // A client that does not know of skipping is not told that it leads.
    let back = bench.join(Joining { can_skip_assignment: false, ..fixed("i", "i-3") });
    let joined = bench.joined[&back].clone().unwrap();
    assert_eq!((&*joined.leader, joined.skip_assignment, joined.members.len()), ("i-2", false, 0));
    assert_eq!(bench.group.leader.as_deref(), Some("i-3"));
}

#[test]
fn a_static_member_that_comes_back_during_a_round_takes_part_in_it() {
    let (mut bench, _) = Bench::stable(&[joining("a"), fixed("i", "i-1")]);
    let waits = bench.join(joining("b"));
    let before = bench.join(Joining { has_id: true, ..fixed("i", "i-1") });
    let back = bench.join(fixed("i", "i-2"));
    assert_eq!(bench.generation(before), Some(Err(GroupError::FencedInstance)));
    assert_eq!(bench.generation(back), None);
    bench.join(again("a"));
    assert_eq!(bench.generation(back), bench.generation(waits));
    // Between the round and the assignment, the leader would assign to the old id: a new round.
    let generation = bench.group.generation;
    let next = bench.join(fixed("i", "i-3"));
    assert_eq!(bench.generation(next), None);
    for id in ["a", "b"] {
        bench.join(again(id));
    }
    assert_eq!(bench.generation(next), Some(Ok(generation + 1)));
}

#[test]
fn a_static_member_with_another_protocol_begins_a_round() {
    let (mut bench, _) = Bench::stable(&[fixed("i", "i-1")]);
    let mut other = fixed("i", "i-2");
    other.protocols.insert(0, ("sticky".to_owned(), Bytes::new()));
    let back = bench.join(other);
    assert_eq!(bench.generation(back), Some(Ok(2)), "alone in its group, at once");
    assert_eq!(bench.group.protocol.as_deref(), Some("sticky"));
}

#[test]
fn a_static_member_stays_until_its_session_ends() {
    let (mut bench, generation) = Bench::stable(&[joining("a"), fixed("i", "i-1")]);
    // It does not leave when it closes; a round goes on without it, and it keeps its place.
    bench.join(joining("b"));
    bench.join(again("a"));
    bench.pass_with(Duration::from_secs(9), &["a", "b"]);
    assert_eq!(bench.group.generation, generation, "it is waited for");
    bench.pass_with(Duration::from_secs(2), &["a", "b"]);
    assert_eq!((bench.group.generation, bench.group.members()), (generation + 1, 2));
}

#[test]
fn an_administrator_removes_static_members() {
    let (mut bench, _) = Bench::stable(&[joining("a"), fixed("i", "i-1"), fixed("k", "k-1")]);
    let instance = |name: &str| Some(Arc::<str>::from(name));
    let leaving = [
        ("".into(), instance("i")),
        ("".into(), instance("nobody")),
        ("".into(), None),
        ("other".into(), instance("k")),
        ("k-1".into(), instance("k")),
    ];
    let results = bench.group.leave(bench.now, &leaving);
    let unknown = Err(GroupError::UnknownMember);
    assert_eq!(results, [Ok(()), unknown, unknown, Err(GroupError::FencedInstance), Ok(())]);
    assert_eq!(bench.group.members(), 1);
    assert_eq!(bench.beat("a"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn who_names_no_member_may_commit_only_where_the_group_is_empty() {
    let mut bench = Bench::new();
    assert_eq!(bench.commit("", -1), Ok(()));
    let (mut bench, generation) = Bench::stable(&[joining("a")]);
    assert_eq!(bench.commit("", -1), Err(GroupError::UnknownMember));
    assert_eq!(bench.commit("a", -1), Err(GroupError::IllegalGeneration));
    assert_eq!(bench.group.check_transaction("", None, -1), Ok(()), "producers that tell no member");
    assert_eq!(bench.group.check_transaction("a", None, generation), Ok(()));
    assert_eq!(bench.group.check_transaction("x", None, generation), Err(GroupError::UnknownMember));
    bench.leave("a").unwrap();
    assert_eq!(bench.commit("", -1), Ok(()));
    assert_eq!(bench.commit("a", generation), Err(GroupError::UnknownMember));
}

/// What a restart makes of a group.
fn restarted(bench: &Bench) -> Bench {
    let value: GroupValue = bench.group.value(Timestamp(7));
    let group = Group::restore(SETTINGS, bench.now, value);
    Bench { group, now: bench.now, ..Bench::new() }
}

#[test]
fn members_go_on_after_a_restart_without_a_round() {
    let (bench, generation) = Bench::stable(&[joining("a"), fixed("i", "i-1")]);
    let mut bench = restarted(&bench);
    assert_eq!((bench.beat("a"), bench.beat("i-1")), (Ok(()), Ok(())));
    assert_eq!(bench.commit("a", generation), Ok(()));
    let ticket = bench.sync(bench.syncing("a"));
    assert_eq!(bench.synced[&ticket].clone().unwrap().assignment, "a");
    let back = bench.join(fixed("i", "i-2"));
    assert_eq!(bench.generation(back), Some(Ok(generation)));
    bench.pass_with(SESSION, &["a"]);
    assert_eq!(bench.group.members(), 1, "who is not heard of within its session is gone");
}

#[test]
fn members_of_the_process_that_is_gone_are_not_waited_for() {
    let local = |id: &str| {
        let client = Client { id: "millstream".to_owned(), host: LOCAL_HOST.to_owned() };
        Joining { client, ..joining(id) }
    };
    let (bench, _) = Bench::stable(&[local("a")]);
    let mut bench = restarted(&bench);
    assert_eq!(bench.group.state, State::Empty);
    let next = bench.join(local("b"));
    assert_eq!(bench.generation(next), Some(Ok(2)));
    let (bench, _) = Bench::stable(&[local("a"), joining("w")]);
    let mut bench = restarted(&bench);
    assert_eq!(bench.beat("w"), Err(GroupError::RebalanceInProgress), "the others share anew");
    let w = bench.join(again("w"));
    assert_eq!(bench.generation(w), Some(Ok(2 + 1)));
}

#[test]
fn a_stable_group_is_shown_with_what_its_members_have() {
    let (mut bench, _) = Bench::stable(&[joining("a"), fixed("i", "i-1")]);
    let view = bench.group.view();
    assert_eq!((view.state.name(), &*view.protocol_type, &*view.protocol), ("Stable", "consumer", "range"));
    assert_eq!((&view.members[0].assignment[..], &view.members[1].metadata[..]), (&b"a"[..], &b"i"[..]));
    assert_eq!(view.members[1].instance.as_deref(), Some("i"));
    assert_eq!(view.members[0].client.host, "/127.0.0.1");
    bench.join(joining("b"));
    let view = bench.group.view();
    assert_eq!((view.state.name(), &*view.protocol), ("PreparingRebalance", ""));
    assert!(view.members.iter().all(|member| member.assignment.is_empty() && member.metadata.is_empty()));
}

#[test]
fn what_members_read_is_known_of_consumers() {
    let subscription = crate::coordinate::assign::encode_subscription(&["t".to_owned()]);
    let protocols = vec![("range".to_owned(), subscription)];
    let (bench, _) = Bench::stable(&[Joining { protocols, ..joining("a") }]);
    assert_eq!((bench.group.reads("t"), bench.group.reads("u")), (Some(true), Some(false)));
    let (bench, _) = Bench::stable(&[Joining { protocol_type: "connect".to_owned(), ..joining("a") }]);
    assert_eq!(bench.group.reads("t"), None);
}
