"""A member of a group that reads records, and commits after each batch what it has read.

Arguments: bootstrap servers, topic, group, then settings of the consumer as NAME=VALUE. Prints `assigned [PARTITION, …]` and
`read PARTITION FIRST LAST` (offsets, without a hole between them); the latter before the commit. Where the broker does not know
the place that was committed, or calls it out of range, it fails.
"""
import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

servers, topic, group = sys.argv[1:4]
consumer = Consumer({
    "bootstrap.servers": servers,
    "group.id": group,
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
} | dict(setting.split("=", 1) for setting in sys.argv[4:]))
stopped = False


def stop(*_):
    global stopped
    stopped = True


signal.signal(signal.SIGINT, stop)


# Where a commit fails because the broker is away or the group changes, the next one says the same and more.
PASSING = {
    KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._WAIT_COORD, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError._NO_OFFSET,
    KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError._ASSIGNMENT_LOST,
    KafkaError.STALE_MEMBER_EPOCH, KafkaError._DESTROY, KafkaError._STATE,
}


def said(places):
    print("assigned", sorted(place.partition for place in places), flush=True)


consumer.subscribe([topic], on_assign=lambda _, places: said(places), on_revoke=lambda *_: print("revoked", flush=True))
while not stopped:
    for message in (batch := consumer.consume(200, timeout=0.1)):
        if message.error():
            if message.error().code() in PASSING or message.error().retriable():
                continue
            sys.exit(f"failed: {message.error()}")
    ranges = {}
    for message in batch:
        if message.error():
            continue
        partition, offset = message.partition(), message.offset()
        if partition in ranges and ranges[partition][1] + 1 == offset:
            ranges[partition][1] = offset
            continue
        if partition in ranges:
            print("read", partition, *ranges[partition])
        ranges[partition] = [offset, offset]
    for partition, (first, last) in ranges.items():
        print("read", partition, first, last)
    sys.stdout.flush()
    if ranges:
        try:
            consumer.commit(offsets=[TopicPartition(topic, partition, last + 1) for partition, (_, last) in ranges.items()], asynchronous=False)
        except KafkaException as exception:
            if exception.args[0].code() not in PASSING and not exception.args[0].retriable():
                sys.exit(f"cannot commit: {exception}")
consumer.close()
