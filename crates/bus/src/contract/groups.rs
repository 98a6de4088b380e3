//! What holds for groups.

use super::{append, at, limit, read, topic, unique};
use crate::{Bus, BusError, CommittedOffset, GroupReader, Isolation, StartOffset, TopicPartition, limits};
use std::collections::BTreeSet;
use std::sync::Arc;

async fn join(bus: &Arc<dyn Bus>, group: &str, topic: &str) -> Box<dyn GroupReader> {
    let topics = [topic.to_owned()];
    bus.subscribe(group, &topics, StartOffset::Earliest, Isolation::ReadCommitted).await.unwrap()
}

/// Polls every member in turn until each holds the number of partitions wanted of it. Nothing may be read meanwhile.
async fn settle(members: &mut [(&mut Box<dyn GroupReader>, usize)]) {
    while !members.iter().all(|(member, wanted)| member.assignment().len() == *wanted) {
        let polls: Vec<_> = members.iter_mut().map(|(member, _)| member.poll(limit())).collect();
        for fetched in join_all(polls).await {
            let fetched = fetched.unwrap();
            assert!(fetched.iter().all(|part| part.records.is_empty()), "{fetched:?}");
        }
    }
}

/// Awaits all of them at once: members of one group wait for each other.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        let done = futures.iter().all(|(_, output)| output.is_some());
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

fn assigned(member: &dyn GroupReader) -> BTreeSet<TopicPartition> {
    member.assignment().into_iter().collect()
}

pub async fn committed_offsets_come_back_with_their_metadata(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 3).await, unique("group"));
    let with_text = CommittedOffset { offset: 7, metadata: "bis hier, ü".to_owned() };
    let offsets = [(at(&name, 0), with_text.clone()), (at(&name, 2), CommittedOffset::new(0))];
    bus.commit(&group, &offsets).await.unwrap();
    let of = [at(&name, 2), at(&name, 1), at(&name, 0)];
    let committed = bus.committed(&group, &of).await.unwrap();
    assert_eq!(committed, [Some(CommittedOffset::new(0)), None, Some(with_text)], "in the order asked");
}

pub async fn groups_do_not_see_each_others_offsets(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 1).await;
    let (one, two, of) = (unique("group"), unique("group"), [at(&name, 0)]);
    bus.commit(&one, &[(at(&name, 0), CommittedOffset::new(5))]).await.unwrap();
    assert_eq!(bus.committed(&two, &of).await.unwrap(), [None]);
    assert_eq!(bus.committed(&one, &of).await.unwrap(), [Some(CommittedOffset::new(5))]);
}

pub async fn a_later_commit_replaces_an_earlier_one(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 1).await, unique("group"));
    for offset in [5, 9, 3] {
        let offset = CommittedOffset::new(offset);
        bus.commit(&group, &[(at(&name, 0), offset.clone())]).await.unwrap();
        assert_eq!(bus.committed(&group, &[at(&name, 0)]).await.unwrap(), [Some(offset)]);
    }
}

pub async fn bad_commits_are_refused(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 1).await, unique("group"));
    let long = CommittedOffset { offset: 1, metadata: "x".repeat(limits::COMMIT_METADATA_BYTES + 1) };
    for offset in [long, CommittedOffset::new(-1)] {
        let refused = bus.commit(&group, &[(at(&name, 0), offset)]).await;
        assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");
    }
    let endless = "x".repeat(limits::ID_BYTES + 1);
    let refused = bus.commit(&endless, &[(at(&name, 0), CommittedOffset::new(1))]).await;
    assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");
    let nameless = bus.commit("", &[(at(&name, 0), CommittedOffset::new(1))]).await;
    assert!(matches!(nameless, Err(BusError::Invalid(_))), "{nameless:?}");
}

pub async fn a_member_starts_at_the_committed_offset(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 1).await, unique("group"));
    append(&bus, &at(&name, 0), &["a", "b", "c"]).await;
    bus.commit(&group, &[(at(&name, 0), CommittedOffset::new(2))]).await.unwrap();
    let mut member = join(&bus, &group, &name).await;
    assert_eq!(read(&mut *member, 1).await.of(&at(&name, 0)), ["c"]);
    assert_eq!(member.assignment(), [at(&name, 0)]);
    assert_eq!(member.positions(), [(at(&name, 0), 3)]);
    member.commit(&[(at(&name, 0), CommittedOffset::new(3))]).await.unwrap();
    assert_eq!(bus.committed(&group, &[at(&name, 0)]).await.unwrap(), [Some(CommittedOffset::new(3))]);
}

pub async fn a_member_without_offsets_starts_where_it_was_told(bus: Arc<dyn Bus>) {
    for (start, expected) in [
        (StartOffset::Earliest, &["a", "b", "c"][..]),
        (StartOffset::Offset(1), &["b", "c"]),
        (StartOffset::Latest, &["c"]),
    ] {
        let name = topic(&bus, 1).await;
        append(&bus, &at(&name, 0), &["a", "b"]).await;
        let topics = [name.clone()];
        let mut member =
            bus.subscribe(&unique("group"), &topics, start, Isolation::ReadCommitted).await.unwrap();
        let mut seen = super::Seen::default();
        while member.assignment().is_empty() {
            seen.take(member.poll(limit()).await.unwrap());
        }
        append(&bus, &at(&name, 0), &["c"]).await;
        while seen.records < expected.len() {
            seen.take(member.poll(limit()).await.unwrap());
        }
        assert_eq!(seen.of(&at(&name, 0)), expected, "{start:?}");
        member.leave().await.unwrap();
    }
}

pub async fn two_members_share_the_partitions(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 4).await, unique("group"));
    let mut one = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 4)]).await;
    let mut two = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 2), (&mut two, 2)]).await;
    assert!(assigned(&*one).is_disjoint(&assigned(&*two)));
    for partition in 0..4 {
        append(&bus, &at(&name, partition), &["a"]).await;
    }
    let (first, second) = tokio::join!(read(&mut *one, 2), read(&mut *two, 2));
    let read_by = |seen: &super::Seen| seen.texts.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(read_by(&first), assigned(&*one));
    assert_eq!(read_by(&second), assigned(&*two));
}

pub async fn a_leaving_member_hands_over(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 2).await, unique("group"));
    let mut one = join(&bus, &group, &name).await;
    let mut two = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    let given = one.assignment();
    append(&bus, &given[0], &["a", "b"]).await;
    read(&mut *one, 2).await;
    one.commit(&[(given[0].clone(), CommittedOffset::new(1))]).await.unwrap();
    one.leave().await.unwrap();
    let seen = read(&mut *two, 1).await;
    assert_eq!(seen.of(&given[0]), ["b"], "the other goes on at the committed offset");
    assert_eq!(two.assignment().len(), 2);
}

pub async fn a_dropped_member_hands_over(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 2).await, unique("group"));
    let mut one = join(&bus, &group, &name).await;
    let mut two = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    drop(one);
    settle(&mut [(&mut two, 2)]).await;
}

pub async fn a_member_cannot_commit_what_it_gave_up(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 2).await, unique("group"));
    let mut one = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 2)]).await;
    let mut two = join(&bus, &group, &name).await;
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    let lost = two.assignment().remove(0);
    let refused = one.commit(&[(lost.clone(), CommittedOffset::new(1))]).await;
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    assert_eq!(bus.committed(&group, std::slice::from_ref(&lost)).await.unwrap(), [None]);
    two.commit(&[(lost.clone(), CommittedOffset::new(4))]).await.unwrap();
    assert_eq!(bus.committed(&group, &[lost]).await.unwrap(), [Some(CommittedOffset::new(4))]);
}

pub async fn an_outsider_cannot_commit_while_there_are_members(bus: Arc<dyn Bus>) {
    let (name, group) = (topic(&bus, 1).await, unique("group"));
    let offsets = [(at(&name, 0), CommittedOffset::new(1))];
    let mut member = join(&bus, &group, &name).await;
    settle(&mut [(&mut member, 1)]).await;
    let refused = bus.commit(&group, &offsets).await;
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    member.leave().await.unwrap();
    bus.commit(&group, &offsets).await.unwrap();
}

pub async fn nothing_is_lost_or_doubled_when_members_come_and_go(bus: Arc<dyn Bus>) {
    const PARTITIONS: i32 = 4;
    const EACH: usize = 30;
    let (name, group) = (topic(&bus, PARTITIONS).await, unique("group"));
    for partition in 0..PARTITIONS {
        for n in 0..EACH {
            append(&bus, &at(&name, partition), &[&format!("{partition}/{n}")]).await;
        }
    }
    let mut seen = Vec::new();
    let mut members: Vec<Box<dyn GroupReader>> = vec![join(&bus, &group, &name).await];
    let mut round = 0;
    while seen.len() < EACH * usize::try_from(PARTITIONS).unwrap() {
        round += 1;
        if round % 7 == 3 && members.len() < 3 {
            members.push(join(&bus, &group, &name).await);
        } else if round % 7 == 6 && members.len() > 1 {
            members.remove(0).leave().await.unwrap();
        }
        let few = crate::FetchLimit { records_max: 3, ..limit() };
        let polls = members.iter_mut().map(|member| member.poll(few)).collect();
        let polled = join_all(polls).await;
        for (member, fetched) in members.iter_mut().zip(polled) {
            for part in fetched.unwrap() {
                let next = CommittedOffset::new(part.next_offset);
                match member.commit(&[(part.partition.clone(), next)]).await {
                    Ok(()) => seen.extend(part.records.iter().map(super::text)),
                    // It comes again, to whoever holds the partition now.
                    Err(BusError::Fenced(_)) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }
    let count = seen.len();
    let distinct: BTreeSet<String> = seen.into_iter().collect();
    assert_eq!((distinct.len(), count), (count, EACH * usize::try_from(PARTITIONS).unwrap()));
}

pub async fn groups_are_listed_with_their_members(bus: Arc<dyn Bus>) {
    let (name, idle, busy) = (topic(&bus, 2).await, unique("idle"), unique("busy"));
    bus.commit(&idle, &[(at(&name, 0), CommittedOffset::new(1))]).await.unwrap();
    let mut one = join(&bus, &busy, &name).await;
    let mut two = join(&bus, &busy, &name).await;
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    let groups = bus.groups().await.unwrap();
    assert!(groups.is_sorted_by(|a, b| a.name < b.name), "groups are sorted by name");
    let members = |name: &str| groups.iter().find(|group| group.name == name).map(|group| group.members);
    assert_eq!(members(&idle), Some(0));
    assert_eq!(members(&busy), Some(2));
}

pub async fn an_unknown_topic_cannot_be_subscribed(bus: Arc<dyn Bus>) {
    let nowhere = unique("nowhere");
    let topics = [nowhere.clone()];
    let refused =
        bus.subscribe(&unique("group"), &topics, StartOffset::Earliest, Isolation::ReadCommitted).await;
    assert_eq!(refused.err(), Some(BusError::UnknownTopic(nowhere)));
}
