//! The layouts, byte by byte, and every record there and back.

use super::*;
use proptest::prelude::*;

fn partitions() -> impl Strategy<Value = Held> {
    let partition = ((0..4_u128).prop_map(Uuid::from_u128), 0..9_i32);
    prop::collection::btree_map(partition, 0..99_i32, 0..8)
}

fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,200}".prop_map(Arc::from)
}

fn subscriptions() -> impl Strategy<Value = Subscription> {
    let optional = || prop::option::of(text());
    let topics = prop::collection::btree_set(text(), 0..5);
    (optional(), optional(), text(), text(), topics, text(), any::<i32>(), optional()).prop_map(
        |(instance_id, rack_id, client_id, client_host, topics, regex, rebalance_timeout_ms, assignor)| {
            let who = (instance_id, rack_id, client_id, client_host);
            let (instance_id, rack_id, client_id, client_host) = who;
            Subscription {
                instance_id,
                rack_id,
                client_id,
                client_host,
                topics,
                regex,
                rebalance_timeout_ms,
                assignor,
            }
        },
    )
}

fn changes() -> impl Strategy<Value = Change> {
    let state = prop::sample::select(vec![
        MemberState::Stable,
        MemberState::UnrevokedPartitions,
        MemberState::UnreleasedPartitions,
        MemberState::Unknown,
    ]);
    let current = (any::<i32>(), any::<i32>(), state, partitions(), partitions()).prop_map(
        |(epoch, previous_epoch, state, assigned, revoking)| {
            Box::new(Current { epoch, previous_epoch, state, assigned, revoking })
        },
    );
    let resolved = (prop::collection::btree_set(text(), 0..5), any::<i64>(), any::<i64>())
        .prop_map(|(topics, version, at_ms)| Resolved { topics, version, at_ms });
    let target = partitions().prop_map(|held| Arc::new(held.into_keys().collect()));
    prop_oneof![
        prop::option::of(any::<(i32, i64)>()).prop_map(Change::Epoch),
        prop::option::of(any::<(i32, i64)>()).prop_map(Change::TargetEpoch),
        (text(), prop::option::of(subscriptions().prop_map(Box::new)))
            .prop_map(|(id, said)| Change::Member(id, said)),
        (text(), prop::option::of(target)).prop_map(|(id, target)| Change::Target(id, target)),
        (text(), prop::option::of(current)).prop_map(|(id, current)| Change::Current(id, current)),
        (text(), prop::option::of(resolved)).prop_map(|(regex, resolved)| Change::Regex(regex, resolved)),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(group in text(), change in changes()) {
        let record = encode(&group, &change, Timestamp(1));
        prop_assert_eq!(decode(&record), Some((group, change)));
    }

    #[test]
    fn any_bytes_are_taken(
        kind in 0..20_i16, rest in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..80)),
    ) {
        let key = [&kind.to_be_bytes()[..], &[0, 1, b'g'], &rest].concat();
        let value = value.map(|value| [&[0, 0][..], &value].concat().into());
        let _ = decode(&Record::new(Some(key.into()), value, Timestamp(0)));
    }

    #[test]
    fn a_record_that_is_cut_is_no_record(change in changes(), cut in 1..64_usize) {
        let mut record = encode("g", &change, Timestamp(1));
        if let Some(value) = &mut record.value {
            value.truncate(value.len().saturating_sub(cut));
            prop_assert_eq!(decode(&record), None);
        }
    }
}

/// As Kafka 4.3's own serializer writes it.
#[test]
fn the_layout_is_kafkas() {
    let bytes = |change| {
        let record = encode("g", &change, Timestamp(1));
        (record.key.unwrap_or_default().to_vec(), record.value.unwrap_or_default().to_vec())
    };
    let epoch = bytes(Change::Epoch(Some((7, 0))));
    assert_eq!(epoch, (vec![0, 3, 0, 1, b'g'], vec![0, 0, 0, 0, 0, 7, 0]));
    let hashed = bytes(Change::Epoch(Some((7, 5))));
    assert_eq!(hashed.1, [0, 0, 0, 0, 0, 7, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5]);
    let id = Uuid::from_u128(1);
    let target = bytes(Change::Target("m".into(), Some(Arc::new(BTreeSet::from([(id, 2)])))));
    assert_eq!(target.0, [0, 7, 0, 1, b'g', 0, 1, b'm']);
    let of_topic = [&id.as_bytes()[..], &[2, 0, 0, 0, 2]].concat();
    assert_eq!(target.1, [&[0, 0, 2][..], &of_topic, &[0, 0]].concat());
    let current =
        Current { epoch: 3, previous_epoch: 2, assigned: Held::from([((id, 2), 3)]), ..Current::default() };
    let held = bytes(Change::Current("m".into(), Some(Box::new(current))));
    let epochs = [1, 0, 5, 2, 0, 0, 0, 3];
    assert_eq!(held.1, [&[0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 2][..], &of_topic, &epochs, &[1, 0]].concat());
    let said = Subscription {
        topics: BTreeSet::from(["t".into()]),
        rebalance_timeout_ms: 9,
        ..Subscription::default()
    };
    let member = bytes(Change::Member("m".into(), Some(Box::new(said))));
    assert_eq!(member.1, [0, 0, 0, 0, 1, 1, 2, 2, b't', 0, 0, 0, 0, 9, 0, 0]);
}
