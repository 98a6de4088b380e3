//! Both assignors on random groups: everything is assigned once, evenly, and no more moves than must.
#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use super::*;
use proptest::prelude::*;

/// Topic `number`.
fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number + 1)
}

#[derive(Debug, Clone)]
struct Case {
    topics: BTreeMap<Uuid, i32>,
    members: BTreeMap<MemberId, (BTreeSet<Uuid>, BTreeSet<Partition>)>,
}

impl Case {
    fn assign(&self, assignor: Assignor) -> Assignment {
        let reader =
            |(topics, before): &'_ (BTreeSet<Uuid>, BTreeSet<Partition>)| (topics.clone(), before.clone());
        let members: BTreeMap<_, _> =
            self.members.iter().map(|(id, member)| (id.clone(), reader(member))).collect();
        let members = members
            .iter()
            .map(|(id, (topics, before))| (id.clone(), Reader { topics: topics.clone(), before }))
            .collect();
        assignor.assign(&members, &self.topics)
    }

    /// Every partition that somebody reads.
    fn wanted(&self) -> BTreeSet<Partition> {
        let is_read = |topic: &Uuid| self.members.values().any(|(topics, _)| topics.contains(topic));
        let topics = self.topics.iter().filter(|(topic, _)| is_read(topic));
        topics.flat_map(|(topic, count)| (0..*count).map(|number| (*topic, number))).collect()
    }

    fn check(&self, assignment: &Assignment) {
        let mut seen = BTreeSet::new();
        for (id, partitions) in assignment {
            for at in partitions {
                assert!(self.members[id].0.contains(&at.0), "{id} does not read {at:?}");
                assert!(seen.insert(*at), "{at:?} is assigned twice");
            }
        }
        assert_eq!(seen, self.wanted());
        assert!(assignment.keys().eq(self.members.keys()));
    }

    /// The same with what was assigned as what was before.
    fn after(&self, assignment: Assignment) -> Self {
        let mut next = self.clone();
        for (id, partitions) in assignment {
            next.members.get_mut(&id).unwrap().1 = partitions;
        }
        next
    }

    fn kept(&self, assignment: &Assignment) -> usize {
        self.members.iter().map(|(id, (_, before))| before.intersection(&assignment[id]).count()).sum()
    }
}

/// Random groups; where `alike`, all members read the same topics. What was before may be of topics that are gone.
fn cases(alike: bool) -> impl Strategy<Value = Case> {
    let topics = prop::collection::vec(1..9_i32, 1..6);
    let members = prop::collection::vec(prop::collection::btree_set(0..7_u128, 0..7), 1..8);
    (topics, members, prop::collection::vec(0..9_usize, 64), prop::collection::btree_set(0..7_u128, 0..7))
        .prop_map(move |(counts, members, holders, all)| {
            let topics: BTreeMap<_, _> = (0..).map(topic).zip(counts).collect();
            let partitions =
                (0..7).flat_map(|number| (0..9).map(move |partition| (topic(number), partition)));
            let held: Vec<_> = partitions.zip(holders.into_iter().cycle()).collect();
            let member = |(index, reads): (usize, BTreeSet<u128>)| {
                let reads = if alike { &all } else { &reads };
                let before = held.iter().filter(|(_, holder)| *holder == index).map(|(at, _)| *at).collect();
                (MemberId::from(format!("m{index}")), (reads.iter().copied().map(topic).collect(), before))
            };
            Case { topics, members: members.into_iter().enumerate().map(member).collect() }
        })
}

proptest! {
    #[test]
    fn uniform_is_even_with_the_fewest_moves_where_all_read_the_same(case in cases(true)) {
        let assignment = case.assign(Assignor::Uniform);
        case.check(&assignment);
        let counts = assignment.values().map(BTreeSet::len);
        prop_assert!(counts.clone().max() <= counts.min().map(|least| least + 1));
        // Everyone keeps what is still there up to the share; those with most of it get the ones left over.
        let wanted = case.wanted();
        let mut had: Vec<_> =
            case.members.values().map(|(_, before)| before.intersection(&wanted).count()).collect();
        had.sort_unstable_by(|a, b| b.cmp(a));
        let (share, extra) = (wanted.len() / had.len(), wanted.len() % had.len());
        let most: usize =
            had.iter().enumerate().map(|(index, had)| (*had).min(share + usize::from(index < extra))).sum();
        prop_assert_eq!(case.kept(&assignment), most);
    }

    #[test]
    fn uniform_leaves_no_move_that_would_even_out(case in cases(false)) {
        let assignment = case.assign(Assignor::Uniform);
        case.check(&assignment);
        for (from, partitions) in &assignment {
            for at in partitions {
                for (to, (topics, _)) in &case.members {
                    let is_fair = partitions.len() <= assignment[to].len() + 1;
                    prop_assert!(is_fair || !topics.contains(&at.0), "{at:?} of {from} should be with {to}");
                }
            }
        }
    }

    #[test]
    fn range_gives_each_reader_a_like_share_of_each_topic(case in cases(false)) {
        let assignment = case.assign(Assignor::Range);
        case.check(&assignment);
        for topic in case.topics.keys() {
            let readers = case.members.iter().filter(|(_, (topics, _))| topics.contains(topic));
            let counts: Vec<_> = readers
                .map(|(id, _)| assignment[id].iter().filter(|at| at.0 == *topic).count())
                .collect();
            prop_assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref());
        }
    }

    #[test]
    fn nothing_moves_where_nothing_has_changed(case in cases(false), assignor in prop::sample::select(&Assignor::ALL[..])) {
        let first = case.assign(assignor);
        let second = case.after(first.clone()).assign(assignor);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn topics_alike_are_given_alike_by_range(members in 1..6_usize, partitions in 1..9_i32) {
        let topics: BTreeMap<_, _> = (0..3).map(|number| (topic(number), partitions)).collect();
        let reads: BTreeSet<_> = topics.keys().copied().collect();
        let member = |index| (MemberId::from(format!("m{index}")), (reads.clone(), BTreeSet::new()));
        let case = Case { members: (0..members).map(member).collect(), topics };
        for partitions in case.assign(Assignor::Range).values() {
            let of = |number| -> Vec<i32> {
                partitions.iter().filter(|at| at.0 == topic(number)).map(|at| at.1).collect()
            };
            prop_assert!(of(0) == of(1) && of(1) == of(2));
        }
    }
}

#[test]
fn a_third_member_takes_two_of_six_and_the_others_keep_the_rest() {
    let reads = BTreeSet::from([topic(0)]);
    let held =
        |numbers: std::ops::Range<i32>| numbers.map(|number| (topic(0), number)).collect::<BTreeSet<_>>();
    let members = BTreeMap::from([
        (MemberId::from("a"), (reads.clone(), held(0..3))),
        (MemberId::from("b"), (reads.clone(), held(3..6))),
        (MemberId::from("c"), (reads, BTreeSet::new())),
    ]);
    let case = Case { topics: BTreeMap::from([(topic(0), 6)]), members };
    for assignor in Assignor::ALL {
        let assignment = case.assign(assignor);
        assert_eq!(assignment["a"], held(0..2));
        assert_eq!(assignment["b"], held(3..5));
        assert_eq!(assignment["c"], BTreeSet::from([(topic(0), 2), (topic(0), 5)]));
    }
}
