"""Consumer groups: who reads what, when members come and go, and where they go on."""
from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import NewPartitions

from kit import ADMIN, PATIENCE, case, consumer, done, eventually, new_topic, produce, producer, read, refused, take, unique, values


class Member:
    """A consumer that notes what it was given, what was taken away and what it read."""

    def __init__(self, group, topics, **more):
        if more.get("group_protocol") != "consumer":
            more = {"heartbeat_interval_ms": 300} | more
        self.reader = consumer(group, **more)
        self.given, self.taken, self.lost, self.read = [], [], [], []
        self.reader.subscribe(
            topics,
            on_assign=lambda _, places: self.given.append(self.numbers(places)),
            on_revoke=lambda _, places: self.taken.append(self.numbers(places)),
            on_lost=lambda _, places: self.lost.append(self.numbers(places)),
        )

    @staticmethod
    def numbers(places):
        return sorted(place.partition for place in places)

    def partitions(self):
        return self.numbers(self.reader.assignment())

    def poll(self):
        message = self.reader.poll(0.05)
        if message is not None:
            if message.error():
                raise KafkaException(message.error())
            self.read.append(message)


def share(members, partitions):
    """Polls all members until every partition belongs to one of them."""

    def shared():
        for member in members:
            member.poll()
        return sorted(number for member in members for number in member.partitions()) == list(range(partitions))

    eventually("every partition at one member", shared)


def balanced(members, partitions):
    """Polls until every partition belongs to one of them, and nobody has more than one partition above another."""

    def even():
        share(members, partitions)
        counts = [len(member.partitions()) for member in members]
        return max(counts) - min(counts) <= 1

    eventually("an even share", even)


def drain(members, count):
    def drained():
        for member in members:
            member.poll()
        return len({(m.topic(), m.partition(), m.offset()) for member in members for m in member.read}) >= count

    eventually(f"{count} records", drained)


def close(members):
    for member in members:
        member.reader.close()


def comes_and_goes(name, **more):
    """Two members share, a third comes, one leaves; everything is read once as long as offsets are committed before."""
    topic, group = new_topic(name, partitions=6), unique(name)
    first, second = [Member(group, [topic], **more) for _ in range(2)]
    balanced([first, second], 6)
    sender = producer()
    for partition in range(6):
        produce(sender, topic, [(None, b"%d" % number) for number in range(20)], partition=partition)
    drain([first, second], 120)
    assert len(first.read) + len(second.read) == 120
    for member in [first, second]:
        member.reader.commit(asynchronous=False)
    third = Member(group, [topic], **more)
    balanced([first, second, third], 6)
    second.reader.close()
    balanced([first, third], 6)
    for partition in range(6):
        produce(sender, topic, [(None, b"late")], partition=partition)
    eventually("the late ones", lambda: (first.poll(), third.poll(), values(first.read + third.read).count(b"late") == 6)[-1])
    close([first, third])
    return first


@case
def a_group_by_range():
    comes_and_goes("by-range", partition_assignment_strategy="range")


@case
def a_group_by_round_robin():
    comes_and_goes("roundrobin", partition_assignment_strategy="roundrobin")


@case
def a_group_that_cooperates():
    first = comes_and_goes("cooperative", partition_assignment_strategy="cooperative-sticky")
    # Until it left, it never gave all of them away.
    assert all(len(taken) <= 3 for taken in first.taken[:-1]), first.taken


@case
def a_group_of_the_new_protocol():
    comes_and_goes("kip848", group_protocol="consumer")


@case
def a_group_of_the_new_protocol_by_range():
    comes_and_goes("kip848-range", group_protocol="consumer", group_remote_assignor="range")


def static(name, **more):
    """A static member that restarts gets what it had, and its neighbour is not asked."""
    topic, group = new_topic(name, partitions=4), unique(name)
    stays = Member(group, [topic], group_instance_id="stays", **more)
    restarts = Member(group, [topic], group_instance_id="restarts", **more)
    balanced([stays, restarts], 4)
    had, given = restarts.partitions(), len(stays.given)
    restarts.reader.close()
    restarts = Member(group, [topic], group_instance_id="restarts", **more)

    def back():
        stays.poll()
        restarts.poll()
        return restarts.partitions() == had

    eventually("the same partitions", back)
    assert not stays.lost and len(stays.given) == given, (stays.given, stays.taken, stays.lost)
    close([stays, restarts])


@case
def static_members_do_not_rebalance():
    static("static", session_timeout_ms=30_000)


@case
def static_members_of_the_new_protocol_do_not_rebalance():
    static("static848", group_protocol="consumer")


@case
def a_static_member_is_fenced_by_its_successor():
    topic, group = new_topic("successor"), unique("successor")
    old = Member(group, [topic], group_instance_id="one")
    share([old], 1)
    new = Member(group, [topic], group_instance_id="one")
    # Its old self is asked first, or there is nobody who could notice.
    eventually("the successor", lambda: (new.poll(), new.partitions() == [0])[1])

    def fenced():
        try:
            old.poll()
        except KafkaException as exception:
            error = exception.args[0]
            assert error.code() in [KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID], error
            return True

    eventually("the fence", fenced)
    close([new])


@case
def topics_by_pattern():
    pattern, group = unique("pattern"), unique("pattern")
    first = new_topic("pattern")
    member = Member(group, [f"^{pattern}.*"], topic_metadata_refresh_interval_ms=500)
    produce(producer(), first, [(None, b"first")])
    drain([member], 1)
    second = f"{pattern}-second"
    from confluent_kafka.admin import NewTopic
    done(ADMIN.create_topics([NewTopic(second, 1, 1)]))
    produce(producer(), second, [(None, b"second")])
    drain([member], 2)
    close([member])


@case
def topics_by_pattern_of_the_new_protocol():
    pattern, group = unique("re2j"), unique("re2j")
    topic = new_topic("re2j")
    member = Member(group, [f"^{pattern}.*"], group_protocol="consumer")
    produce(producer(), topic, [(None, b"first")])
    drain([member], 1)
    close([member])


@case
def new_partitions_are_noticed():
    topic, group = new_topic("noticed", partitions=1), unique("noticed")
    member = Member(group, [topic], topic_metadata_refresh_interval_ms=500)
    share([member], 1)
    done(ADMIN.create_partitions([NewPartitions(topic, 3)]))
    share([member], 3)
    close([member])


@case
def new_partitions_are_noticed_by_the_new_protocol():
    topic, group = new_topic("noticed848", partitions=1), unique("noticed848")
    member = Member(group, [topic], group_protocol="consumer")
    share([member], 1)
    done(ADMIN.create_partitions([NewPartitions(topic, 3)]))
    share([member], 3)
    close([member])


@case
def a_group_goes_on_where_it_committed():
    topic, group = new_topic("goes-on"), unique("goes-on")
    produce(producer(), topic, [(None, b"%d" % number) for number in range(10)])
    reader = consumer(group)
    reader.subscribe([topic])
    take(reader, 10)
    reader.commit(offsets=[TopicPartition(topic, 0, 6, metadata="since the shift began")], asynchronous=False)
    [place] = reader.committed([TopicPartition(topic, 0)], PATIENCE)
    assert (place.offset, place.metadata) == (6, "since the shift began"), place
    reader.close()
    reader = consumer(group)
    reader.subscribe([topic])
    assert values(take(reader, 4)) == [b"6", b"7", b"8", b"9"]
    reader.close()


@case
def offsets_are_committed_on_closing():
    topic, group = new_topic("closing"), unique("closing")
    produce(producer(), topic, [(None, b"%d" % number) for number in range(10)])
    reader = consumer(group, enable_auto_commit=True)
    reader.subscribe([topic])
    take(reader, 7)
    reader.close()
    reader = consumer(group)
    assert reader.committed([TopicPartition(topic, 0)], PATIENCE)[0].offset == 7
    reader.close()


@case
def offsets_without_a_membership():
    topic, group = new_topic("standalone", partitions=2), unique("standalone")
    reader = consumer(group)
    reader.assign([TopicPartition(topic, 0, 0)])
    reader.commit(offsets=[TopicPartition(topic, 0, 3), TopicPartition(topic, 1, 5)], asynchronous=False)
    assert [place.offset for place in reader.committed([TopicPartition(topic, 0), TopicPartition(topic, 1)], PATIENCE)] == [3, 5]
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, reader.commit, offsets=[TopicPartition(unique("none"), 0, 3)], asynchronous=False)
    reader.close()


@case
def a_group_moves_to_the_new_protocol_and_back():
    topic, group = new_topic("moves"), unique("moves")
    produce(producer(), topic, [(None, b"%d" % number) for number in range(9)])
    read = []
    for more in [{}, {"group_protocol": "consumer"}, {}]:
        reader = consumer(group, **more)
        reader.subscribe([topic])
        read += values(take(reader, 3))
        reader.commit(offsets=[TopicPartition(topic, 0, len(read))], asynchronous=False)
        reader.close()
    assert read == [b"%d" % number for number in range(9)]


@case
def a_group_of_the_new_protocol_is_described():
    topic, group = new_topic("described848", partitions=2), unique("described848")
    member = Member(group, [topic], group_protocol="consumer", client_id="the-new-reader")
    share([member], 2)
    listed = ADMIN.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(PATIENCE)
    assert group in [found.group_id for found in listed.valid]

    def stable():
        member.poll()
        found = done(ADMIN.describe_consumer_groups([group]))[group]
        return found.state == ConsumerGroupState.STABLE and found

    found = eventually("the stable group", stable)
    assert found.type == ConsumerGroupType.CONSUMER and found.partition_assignor == "uniform", found.partition_assignor
    [described] = found.members
    assert described.client_id == "the-new-reader"
    assert sorted(place.partition for place in described.assignment.topic_partitions) == [0, 1]
    refused(KafkaError.NON_EMPTY_GROUP, ADMIN.delete_consumer_groups, [group])
    close([member])
    eventually("its end", lambda: done(ADMIN.describe_consumer_groups([group]))[group].members == [])
    done(ADMIN.delete_consumer_groups([group]))


@case
def committed_offsets_are_records_of_an_internal_topic():
    topic, group = new_topic("internal"), unique("internal")
    reader = consumer(group)
    reader.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    reader.close()
    found = ADMIN.list_topics("__consumer_offsets", timeout=PATIENCE).topics["__consumer_offsets"]
    described = done(ADMIN.describe_topics(TopicCollection(["__consumer_offsets"])))["__consumer_offsets"]
    assert described.is_internal
    records = read("__consumer_offsets", partitions=len(found.partitions), isolation="read_uncommitted")
    assert any(record.key() and group.encode() in record.key() and topic.encode() in record.key() for record in records)
    refused(KafkaError.TOPIC_EXCEPTION, produce, producer(), "__consumer_offsets", [(b"k", b"v")])


@case
def more_members_than_partitions():
    topic, group = new_topic("idle", partitions=2), unique("idle")
    members = [Member(group, [topic]) for _ in range(4)]

    def two_each():
        share(members, 2)
        described = done(ADMIN.describe_consumer_groups([group]))[group]
        return len(described.members) == 4 and described.state == ConsumerGroupState.STABLE

    eventually("four members", two_each)
    assert sorted(len(member.partitions()) for member in members) == [0, 0, 1, 1]
    close(members)


@case
def a_member_that_does_not_poll_loses_its_partitions():
    topic, group = new_topic("slow"), unique("slow")
    slow = Member(group, [topic], max_poll_interval_ms=6000, session_timeout_ms=6000)
    share([slow], 1)
    other = Member(group, [topic])
    eventually("the partition at the other", lambda: (other.poll(), other.partitions() == [0])[1])
    # It is told so, and takes part again.
    try:
        eventually("the error", lambda: slow.poll())
        raise AssertionError("never told")
    except KafkaException as exception:
        assert exception.args[0].code() == KafkaError._MAX_POLL_EXCEEDED, exception
    close([slow, other])
