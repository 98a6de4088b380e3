"""Transactions: all or nothing, across partitions and with the offsets of what was read."""
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from kit import ADMIN, PATIENCE, case, consumer, done, eventually, new_topic, produce, producer, read, refused, take, unique, values


def transactional(name, **more):
    sender = producer(transactional_id=unique(name), transaction_timeout_ms=more.pop("timeout_ms", 60_000), **more)
    sender.init_transactions(PATIENCE)
    return sender


@case
def a_committed_transaction_is_seen_whole():
    topic = new_topic("commit", partitions=3)
    sender = transactional("commit")
    sender.begin_transaction()
    for partition in range(3):
        produce(sender, topic, [(None, b"%d" % number) for number in range(20)], partition=partition)
    assert read(topic, partitions=3) == []
    assert len(read(topic, partitions=3, isolation="read_uncommitted")) == 60
    sender.commit_transaction(PATIENCE)
    found = eventually("60 records", lambda: (records := read(topic, partitions=3)) and len(records) == 60 and records)
    assert [record.value() for record in found if record.partition() == 1] == [b"%d" % number for number in range(20)]


@case
def an_aborted_transaction_is_never_seen():
    topic = new_topic("abort", partitions=2)
    sender = transactional("abort")
    for round in range(6):
        sender.begin_transaction()
        for partition in range(2):
            produce(sender, topic, [(None, b"%d" % round)] * 5, partition=partition)
        if round % 2:
            sender.abort_transaction(PATIENCE)
        else:
            sender.commit_transaction(PATIENCE)
    seen = eventually("what was committed", lambda: (records := read(topic, partitions=2)) and len(records) == 30 and records)
    assert {record.value() for record in seen} == {b"0", b"2", b"4"}
    everything = read(topic, partitions=2, isolation="read_uncommitted")
    assert {record.value() for record in everything} == {b"%d" % round for round in range(6)}


@case
def nobody_reads_past_an_open_transaction():
    topic = new_topic("stable")
    sender = transactional("stable")
    sender.begin_transaction()
    produce(sender, topic, [(None, b"open")])
    produce(producer(), topic, [(None, b"plain")])
    assert values(read(topic)) == []
    assert values(read(topic, isolation="read_uncommitted")) == [b"open", b"plain"]

    def end(isolation):
        place = TopicPartition(topic, 0)
        return done(ADMIN.list_offsets({place: OffsetSpec.latest()}, isolation_level=isolation))[place].offset

    assert (end(IsolationLevel.READ_COMMITTED), end(IsolationLevel.READ_UNCOMMITTED)) == (0, 2)
    sender.abort_transaction(PATIENCE)
    eventually("the plain record", lambda: values(read(topic)) == [b"plain"])


@case
def transactions_of_two_producers_on_one_partition():
    topic = new_topic("interleaved")
    good, bad = transactional("good"), transactional("bad")
    for round in range(5):
        for sender, name in [(good, b"good"), (bad, b"bad")]:
            sender.begin_transaction()
            produce(sender, topic, [(None, name)])
        for sender, name in [(bad, b"bad"), (good, b"good")]:
            produce(sender, topic, [(None, name)])
        bad.abort_transaction(PATIENCE)
        good.commit_transaction(PATIENCE)
    eventually("the good ones alone", lambda: values(read(topic)) == [b"good"] * 10)


@case
def an_older_producer_of_the_same_name_is_fenced():
    topic = new_topic("fenced")
    old = transactional("fenced")
    old.begin_transaction()
    produce(old, topic, [(None, b"old")])
    new = transactional("fenced")
    new.begin_transaction()
    produce(new, topic, [(None, b"new")])
    try:
        old.commit_transaction(PATIENCE)
        raise AssertionError("the older producer was not fenced")
    except KafkaException as exception:
        error = exception.args[0]
        assert error.fatal() and error.code() == KafkaError._FENCED, error
    new.commit_transaction(PATIENCE)
    eventually("the record of the new one", lambda: values(read(topic)) == [b"new"])


@case
def a_producer_of_the_same_name_goes_on():
    topic = new_topic("again")
    for round in range(3):
        sender = transactional("again")
        sender.begin_transaction()
        produce(sender, topic, [(None, b"%d" % round)])
        sender.commit_transaction(PATIENCE)
    eventually("all three", lambda: values(read(topic)) == [b"0", b"1", b"2"])


@case
def offsets_are_part_of_the_transaction():
    source, target, group = new_topic("source"), new_topic("target"), unique("copy")
    produce(producer(), source, [(None, b"%d" % number) for number in range(10)])
    reader = consumer(group)
    reader.subscribe([source])
    sender = transactional("offsets")

    def committed():
        return reader.committed([TopicPartition(source, 0)], PATIENCE)[0].offset

    for end in ["abort", "commit"]:
        sender.begin_transaction()
        taken = take(reader, 4)
        produce(sender, target, [(None, record.value()) for record in taken])
        sender.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), PATIENCE)
        if end == "abort":
            sender.abort_transaction(PATIENCE)
            assert committed() < 0, committed()
            reader.seek(TopicPartition(source, 0, 0))
        else:
            sender.commit_transaction(PATIENCE)
    eventually("the offset", lambda: committed() == 4)
    eventually("the copy", lambda: values(read(target)) == [b"0", b"1", b"2", b"3"])
    reader.close()


@case
def an_empty_transaction_ends():
    sender = transactional("nothing")
    for _ in range(3):
        sender.begin_transaction()
        sender.commit_transaction(PATIENCE)
        sender.begin_transaction()
        sender.abort_transaction(PATIENCE)


@case
def an_abandoned_transaction_times_out():
    topic = new_topic("abandoned")
    sender = transactional("abandoned", timeout_ms=1000)
    sender.begin_transaction()
    produce(sender, topic, [(None, b"abandoned")])
    produce(producer(), topic, [(None, b"plain")])
    # Kafka looks for such transactions every ten seconds.
    eventually("the record behind it", lambda: values(read(topic)) == [b"plain"])
    try:
        sender.commit_transaction(PATIENCE)
        raise AssertionError("a transaction that had timed out was committed")
    except KafkaException as exception:
        error = exception.args[0]
        assert error.fatal() or error.txn_requires_abort(), error


@case
def many_transactions_in_a_row():
    topic = new_topic("row", partitions=2)
    sender = transactional("row", linger_ms=0)
    kept = []
    for round in range(40):
        sender.begin_transaction()
        produce(sender, topic, [(None, b"%d" % round)], partition=round % 2)
        if round % 5 == 4:
            sender.abort_transaction(PATIENCE)
        else:
            sender.commit_transaction(PATIENCE)
            kept.append(b"%d" % round)
    found = eventually("what was committed", lambda: (records := values(read(topic, partitions=2))) and len(records) == len(kept) and records)
    assert sorted(found) == sorted(kept)


@case
def a_transaction_must_have_begun():
    sender = transactional("early")
    refused(KafkaError._STATE, produce, sender, new_topic("early"), [(None, b"v")])


@case
def a_transaction_timeout_above_the_limit_is_refused():
    sender = producer(transactional_id=unique("long"), transaction_timeout_ms=2_000_000_000)
    refused(KafkaError.INVALID_TRANSACTION_TIMEOUT, sender.init_transactions, PATIENCE)
