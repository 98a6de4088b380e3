"""Records there and back: what a producer may say and a consumer may ask."""
import random
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from kit import PATIENCE, case, consumer, done, ADMIN, eventually, new_topic, produce, producer, read, refused, take, unique, values


@case
def keys_values_headers_and_timestamps_come_back():
    topic = new_topic("whole")
    headers = [("unit", b"bar"), ("empty", b""), ("none", None), ("unit", b"again")]
    produce(producer(), topic, [{"key": b"k", "value": b"v", "headers": headers, "timestamp": 1_700_000_000_123}])
    [record] = read(topic)
    assert (record.key(), record.value(), record.headers()) == (b"k", b"v", headers), record.headers()
    assert record.timestamp() == (TIMESTAMP_CREATE_TIME, 1_700_000_000_123), record.timestamp()


@case
def null_and_empty_are_told_apart():
    topic = new_topic("empty")
    produce(producer(), topic, [(None, b"v"), (b"", b"v"), (b"k", None), (b"k", b""), (None, None)])
    found = [(record.key(), record.value()) for record in read(topic)]
    assert found == [(None, b"v"), (b"", b"v"), (b"k", None), (b"k", b""), (None, None)], found


def codec(name):
    topic = new_topic(f"codec-{name}")
    sent = [(b"%d" % number, b"temperature %d " % number * 20) for number in range(1000)]
    produce(producer(compression_type=name, linger_ms=50), topic, sent)
    assert [(record.key(), record.value()) for record in read(topic, check_crcs=True)] == sent


for name in ["none", "gzip", "snappy", "lz4", "zstd"]:
    def of_codec(name=name):
        codec(name)

    of_codec.__name__ = f"codec_{name}"
    case(of_codec)


@case
def the_broker_compresses_where_the_topic_says_so():
    for name in ["gzip", "lz4", "zstd", "snappy", "uncompressed"]:
        topic = new_topic(f"broker-{name}", compression_type=name)
        sent = [b"pressure %d " % number * 10 for number in range(200)]
        produce(producer(compression_type="zstd"), topic, [(None, value) for value in sent])
        assert values(read(topic, check_crcs=True)) == sent, name


@case
def large_batches_keep_their_order():
    topic = new_topic("large", partitions=3)
    sender = producer(batch_size=1_000_000, linger_ms=20, compression_type="lz4", queue_buffering_max_messages=200_000)
    chance = random.Random(1)
    sent = [(b"%d" % (number % 11), chance.randbytes(chance.randrange(400)) + b"|%d" % number) for number in range(20_000)]
    acknowledged = produce(sender, topic, sent)
    assert len(acknowledged) == len(sent)
    found = read(topic, partitions=3)
    assert len(found) == len(sent)
    for key in {key for key, _ in sent}:
        of_key = [record for record in found if record.key() == key]
        assert len({record.partition() for record in of_key}) == 1
        assert values(of_key) == [value for other, value in sent if other == key]


@case
def one_record_of_nearly_the_limit():
    topic = new_topic("one-large", max_message_bytes=3_000_000)
    value = random.Random(2).randbytes(2_900_000)
    produce(producer(message_max_bytes=10_000_000), topic, [(None, value), (None, b"after")])
    # A consumer that asks for less gets it nevertheless: it has to make progress.
    assert values(read(topic, fetch_message_max_bytes=10_000)) == [value, b"after"]


@case
def a_record_above_the_limit_is_refused():
    topic = new_topic("too-large", max_message_bytes=10_000)
    sender = producer(message_max_bytes=10_000_000)
    refused(KafkaError.MSG_SIZE_TOO_LARGE, produce, sender, topic, [(None, random.Random(3).randbytes(20_000))])
    produce(sender, topic, [(None, b"small")])
    assert values(read(topic)) == [b"small"]


@case
def acks_0_1_and_all():
    topic = new_topic("acks")
    for acks in ["0", "1", "all"]:
        produce(producer(acks=acks), topic, [(None, b"%s %d" % (acks.encode(), number)) for number in range(100)])
        # Nobody answers a producer with acks=0, so its records may still be on their way.
        eventually("all records", lambda: consumer().get_watermark_offsets(TopicPartition(topic, 0), PATIENCE)[1] % 100 == 0)
    found = eventually("three hundred records", lambda: (records := values(read(topic))) and len(records) == 300 and records)
    assert found == [f"{acks} {number}".encode() for acks in ["0", "1", "all"] for number in range(100)]


@case
def offsets_of_acknowledgements_are_those_of_the_log():
    topic = new_topic("offsets")
    sender = producer(enable_idempotence=True, linger_ms=0, batch_num_messages=7)
    acknowledged = produce(sender, topic, [(None, b"%d" % number) for number in range(2000)])
    assert [message.offset() for message in acknowledged] == list(range(2000))
    assert [(record.offset(), record.value()) for record in read(topic)] == [(n, b"%d" % n) for n in range(2000)]


@case
def idempotent_producers_beside_each_other():
    topic = new_topic("idempotent", partitions=2)
    senders = [producer(enable_idempotence=True, linger_ms=0, batch_num_messages=10) for _ in range(4)]
    for round in range(5):
        for index, sender in enumerate(senders):
            produce(sender, topic, [(b"%d" % index, b"%d" % (round * 50 + number)) for number in range(50)])
    found = read(topic, partitions=2)
    for index in range(4):
        assert [int(record.value()) for record in found if record.key() == b"%d" % index] == list(range(250))


@case
def seek_and_position():
    topic = new_topic("seek")
    produce(producer(), topic, [(None, b"%d" % number) for number in range(20)])
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, 5)])
    assert values(take(reader, 2)) == [b"5", b"6"]
    assert reader.position([TopicPartition(topic, 0)])[0].offset == 7
    reader.seek(TopicPartition(topic, 0, 15))
    assert values(take(reader, 5)) == [b"15", b"16", b"17", b"18", b"19"]
    reader.seek(TopicPartition(topic, 0, OFFSET_BEGINNING))
    assert values(take(reader, 1)) == [b"0"]
    reader.close()


@case
def pause_and_resume():
    topic = new_topic("pause", partitions=2)
    for partition in range(2):
        produce(producer(), topic, [(None, b"%d" % partition)] * 10, partition=partition)
    reader = consumer()
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(2)])
    reader.pause([TopicPartition(topic, 0)])
    assert {record.partition() for record in take(reader, 10)} == {1}
    reader.resume([TopicPartition(topic, 0)])
    assert {record.partition() for record in take(reader, 10)} == {0}
    reader.close()


@case
def offsets_for_times():
    topic = new_topic("times", partitions=2)
    for partition in range(2):
        for number in range(10):
            record = {"value": b"%d" % number, "timestamp": 1_700_000_000_000 + number * 1000 + partition}
            produce(producer(), topic, [record], partition=partition)
    reader = consumer()

    def at(time_ms):
        return [place.offset for place in reader.offsets_for_times(
            [TopicPartition(topic, partition, time_ms) for partition in range(2)], timeout=PATIENCE)]

    assert at(1_700_000_000_000) == [0, 0]
    assert at(1_700_000_003_000) == [3, 3]
    assert at(1_700_000_003_001) == [4, 3]
    assert at(1_700_000_009_001) == [OFFSET_END, 9], at(1_700_000_009_001)
    reader.close()


@case
def watermarks_move_with_deleted_records():
    topic = new_topic("watermarks")
    reader = consumer()
    place = TopicPartition(topic, 0)
    assert reader.get_watermark_offsets(place, PATIENCE) == (0, 0)
    produce(producer(), topic, [(None, b"%d" % number) for number in range(10)])
    assert reader.get_watermark_offsets(place, PATIENCE) == (0, 10)
    deleted = done(ADMIN.delete_records([TopicPartition(topic, 0, 4)]))
    assert [result.low_watermark for result in deleted.values()] == [4]
    assert reader.get_watermark_offsets(place, PATIENCE) == (4, 10)
    reader.assign([TopicPartition(topic, 0, 0)])
    assert take(reader, 1)[0].offset() == 4
    reader.close()
    refused(KafkaError.OFFSET_OUT_OF_RANGE, ADMIN.delete_records, [TopicPartition(topic, 0, 11)])
    deleted = done(ADMIN.delete_records([TopicPartition(topic, 0, OFFSET_END)]))
    assert [result.low_watermark for result in deleted.values()] == [10]


@case
def where_a_new_consumer_begins():
    topic = new_topic("reset")
    sender = producer()
    produce(sender, topic, [(None, b"old")])
    earliest = consumer(unique("earliest"), auto_offset_reset="earliest")
    earliest.subscribe([topic])
    assert values(take(earliest, 1)) == [b"old"]
    latest = consumer(unique("latest"), auto_offset_reset="latest", enable_partition_eof=True)
    latest.subscribe([topic])
    assert eventually("the end", lambda: latest.poll(0.5)).error().code() == KafkaError._PARTITION_EOF
    produce(sender, topic, [(None, b"new")])
    assert values(take(latest, 1)) == [b"new"]
    neither = consumer(unique("error"), auto_offset_reset="error")
    neither.subscribe([topic])
    refused(KafkaError._AUTO_OFFSET_RESET, take, neither, 1)
    for reader in [earliest, latest, neither]:
        reader.close()


@case
def an_offset_out_of_range_is_said():
    topic = new_topic("range")
    produce(producer(), topic, [(None, b"only")])
    reader = consumer(auto_offset_reset="error")
    reader.assign([TopicPartition(topic, 0, 1000)])
    refused(KafkaError._AUTO_OFFSET_RESET, take, reader, 1)
    reader.close()


@case
def compaction_keeps_the_newest_of_each_key():
    topic = new_topic(
        "compacted", cleanup_policy="compact", segment_bytes=1_048_576, min_cleanable_dirty_ratio="0.01",
        delete_retention_ms=60_000, max_compaction_lag_ms=1000, segment_ms=1000)
    sender = producer()
    newest = {}
    for round in range(12):
        records = [(b"%d" % (number % 30), b"%d-%d|" % (round, number) + b"x" * 400) for number in range(300)]
        produce(sender, topic, records)
        newest.update(records)
    produce(sender, topic, [(b"7", None)])
    newest[b"7"] = None

    def compacted():
        # A new record lets the active segment be rolled once it is old enough.
        produce(sender, topic, [(b"tick", b"%f" % time.time())])
        records = [record for record in read(topic) if record.key() != b"tick"]
        offsets = [record.offset() for record in records]
        assert offsets == sorted(set(offsets)), "offsets stay in order"
        assert {record.key(): record.value() for record in records} == newest, "the newest of each key stays"
        return len(records) < 1200

    eventually("compaction", compacted)


@case
def time_of_the_append_where_the_topic_says_so():
    topic = new_topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    produce(producer(compression_type="gzip"), topic, [{"value": b"v", "timestamp": 1000}] * 10)
    for record in read(topic):
        kind, at = record.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME and before <= at <= time.time() * 1000, (kind, at, before)


@case
def records_of_a_wrong_time_are_refused_where_the_topic_says_so():
    topic = new_topic("old", message_timestamp_before_max_ms=60_000)
    sender = producer()
    refused(KafkaError.INVALID_TIMESTAMP, produce, sender, topic, [{"value": b"v", "timestamp": 1000}])
    produce(sender, topic, [(None, b"now")])
    assert values(read(topic)) == [b"now"]


@case
def the_ends_of_partitions_are_said():
    topic = new_topic("ends", partitions=3)
    assert read(topic, partitions=3) == []


@case
def a_consumer_that_waits_gets_a_record_as_it_comes():
    topic = new_topic("waiting")
    reader = consumer(fetch_wait_max_ms=30_000)
    reader.assign([TopicPartition(topic, 0, 0)])
    sender = producer()
    for number in range(5):
        produce(sender, topic, [(None, b"%d" % number)])
        # Far sooner than fetch.wait.max.ms: the fetch has to be woken.
        assert values(take(reader, 1, within=20)) == [b"%d" % number]
    reader.close()


@case
def a_fetch_waits_for_its_fewest_bytes():
    topic = new_topic("fewest")
    reader = consumer(fetch_min_bytes=5000, fetch_wait_max_ms=500)
    reader.assign([TopicPartition(topic, 0, 0)])
    produce(producer(), topic, [(None, b"x" * 100)])
    # Fewer bytes than asked for come when the wait is over.
    assert len(take(reader, 1)) == 1
    produce(producer(), topic, [(None, b"x" * 6000)])
    assert len(take(reader, 1)) == 1
    reader.close()


@case
def many_partitions_by_key():
    topic = new_topic("many", partitions=40)
    sent = [(b"machine %d" % (number % 300), b"%d" % number) for number in range(3000)]
    produce(producer(partitioner="murmur2_random"), topic, sent)
    found = read(topic, partitions=40)
    assert sorted(values(found)) == sorted(value for _, value in sent)
    assert len({record.partition() for record in found}) > 30
    places = {record.key(): record.partition() for record in found}
    assert all(places[record.key()] == record.partition() for record in found)


@case
def an_unknown_topic_is_unknown():
    topic = unique("unknown")
    # A consumer does not ask for the topic to be made, as a producer does.
    reader = consumer(allow_auto_create_topics=False)
    found = reader.list_topics(topic, timeout=PATIENCE).topics[topic]
    assert found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART, found.error
    reader.subscribe([topic])
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, take, reader, 1)
    reader.close()


@case
def an_unknown_partition_is_unknown():
    topic = new_topic("few")
    refused(KafkaError._UNKNOWN_PARTITION, produce, producer(), topic, [(None, b"v")], partition=7)


@case
def metadata_tells_the_cluster():
    topic = new_topic("metadata", partitions=2)
    found = ADMIN.list_topics(timeout=PATIENCE)
    assert found.cluster_id and found.controller_id in found.brokers, (found.cluster_id, found.controller_id)
    assert len(found.brokers) == 1
    [node] = found.brokers
    partitions = found.topics[topic].partitions
    assert sorted(partitions) == [0, 1]
    for partition in partitions.values():
        assert (partition.leader, partition.replicas, partition.isrs) == (node, [node], [node])
        assert partition.error is None
