"""A topic is deleted and made anew under clients that go on. Arguments: bootstrap servers, then the cases wanted (none: all)."""
import sys

from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import NewTopic

from kit import ADMIN, PATIENCE, case, consumer, done, eventually, new_topic, produce, producer, read, run, take, unique, values


def anew(topic):
    done(ADMIN.delete_topics([topic]))
    eventually("its end", lambda: topic not in ADMIN.list_topics(timeout=PATIENCE).topics)
    done(ADMIN.create_topics([NewTopic(topic, 1, 1)]))
    eventually("the new one", lambda: topic in ADMIN.list_topics(timeout=PATIENCE).topics)


@case
def an_idempotent_producer_goes_on():
    topic = new_topic("anew-producer")
    sender = producer(enable_idempotence=True, topic_metadata_refresh_interval_ms=200)
    produce(sender, topic, [(None, b"old %d" % number) for number in range(10)])
    anew(topic)
    acknowledged = produce(sender, topic, [(None, b"new %d" % number) for number in range(10)])
    assert [message.offset() for message in acknowledged] == list(range(10))
    assert values(read(topic)) == [b"new %d" % number for number in range(10)]


@case
def a_consumer_reads_the_new_one_from_its_beginning():
    topic = new_topic("anew-consumer")
    produce(producer(), topic, [(None, b"old %d" % number) for number in range(10)])
    reader = consumer(unique("anew"), topic_metadata_refresh_interval_ms=200)
    reader.subscribe([topic])
    assert values(take(reader, 10)) == [b"old %d" % number for number in range(10)]
    anew(topic)
    produce(producer(), topic, [(None, b"new %d" % number) for number in range(5)])
    # It may be told that the topic is away.
    assert values(take(reader, 5, passing=[KafkaError.UNKNOWN_TOPIC_OR_PART])) == [b"new %d" % number for number in range(5)]
    reader.close()


@case
def a_group_has_no_place_in_the_new_one():
    topic, group = new_topic("anew-group"), unique("anew-group")
    produce(producer(), topic, [(None, b"old %d" % number) for number in range(10)])
    reader = consumer(group)
    reader.subscribe([topic])
    take(reader, 10)
    reader.commit(asynchronous=False)
    reader.close()
    anew(topic)
    produce(producer(), topic, [(None, b"new %d" % number) for number in range(20)])
    reader = consumer(group)
    eventually("no place", lambda: reader.committed([TopicPartition(topic, 0)], PATIENCE)[0].offset < 0)
    reader.subscribe([topic])
    assert values(take(reader, 20)) == [b"new %d" % number for number in range(20)]
    reader.close()


@case
def a_transactional_producer_goes_on():
    topic = new_topic("anew-transaction")
    sender = producer(transactional_id=unique("anew"), topic_metadata_refresh_interval_ms=200)
    sender.init_transactions(PATIENCE)
    for name in [b"old", b"new"]:
        sender.begin_transaction()
        produce(sender, topic, [(None, name)])
        sender.commit_transaction(PATIENCE)
        if name == b"old":
            anew(topic)
    eventually("the new record alone", lambda: values(read(topic)) == [b"new"])


run(sys.argv[2:])
