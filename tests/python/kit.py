"""What the cases share. A case is a function that raises where the broker does not do what Apache Kafka does."""
import json
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SERVERS = sys.argv[1]
# No request answers later than this on a busy machine.
PATIENCE = 60
RUN = f"{os.getpid()}-{int(time.time())}"
CASES = []
PRINTING = threading.Lock()


def case(function):
    """Marks a function as a case."""
    CASES.append(function)
    return function


def run(wanted):
    """Runs the cases, some side by side, and prints one line of JSON for each; ends the process."""
    cases = [function for function in CASES if not wanted or function.__name__ in wanted]

    def outcome(function):
        began = time.monotonic()
        try:
            function()
            error = None
        except BaseException:
            error = traceback.format_exc(limit=-4)
        line = {"case": function.__name__, "error": error, "seconds": round(time.monotonic() - began, 1)}
        with PRINTING:
            print(json.dumps(line), flush=True)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(outcome, cases))
    sys.stdout.flush()
    # A client that a failed case left behind must not hold the process.
    os._exit(0)


def unique(name):
    return f"{name}-{RUN}"


def config(**more):
    return {"bootstrap.servers": SERVERS} | {key.replace("_", "."): value for key, value in more.items()}


ADMIN = AdminClient(config())


def new_topic(name, partitions=1, **topic_config):
    """A topic of this run alone, once it is there."""
    topic = unique(name)
    settings = {key.replace("_", "."): str(value) for key, value in topic_config.items()}
    done(ADMIN.create_topics([NewTopic(topic, partitions, 1, config=settings)]))
    eventually("the leaders", lambda: len(ADMIN.list_topics(topic, timeout=PATIENCE).topics[topic].partitions) == partitions)
    return topic


def done(futures):
    """The results of an admin call, by what was asked for."""
    return {key: future.result(PATIENCE) for key, future in futures.items()}


def refused(code, call, *arguments, **named):
    """Makes the call, which has to fail with this error code; the error."""
    try:
        result = call(*arguments, **named)
        if isinstance(result, dict):
            done(result)
    except KafkaException as exception:
        error = exception.args[0]
        assert error.code() == code, f"{error} instead of {KafkaError(code)}"
        return error
    raise AssertionError(f"not refused, although it should be with {KafkaError(code)}")


def eventually(what, found, within=PATIENCE):
    """Waits until `found` finds something."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        threading.Event().wait(0.05)
    raise AssertionError(f"no {what} within {within} s")


def producer(**more):
    return Producer(config(linger_ms=5) | {key.replace("_", "."): value for key, value in more.items()})


def produce(sender, topic, records, partition=None):
    """Produces (key, value) pairs or dicts of `Producer.produce`, flushes, and returns the acknowledged messages."""
    acknowledged = []

    def delivered(error, message):
        acknowledged.append(KafkaException(error) if error else message)

    for record in records:
        if isinstance(record, tuple):
            record = {"key": record[0], "value": record[1]}
        if partition is not None:
            record = record | {"partition": partition}
        while True:
            try:
                sender.produce(topic, on_delivery=delivered, **record)
                break
            except BufferError:
                sender.poll(0.1)
    left = sender.flush(PATIENCE)
    assert left == 0, f"{left} records were not acknowledged"
    for message in acknowledged:
        if isinstance(message, KafkaException):
            raise message
    return acknowledged


def consumer(group=None, **more):
    settings = {"group.id": group or unique("nobody"), "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    return Consumer(config() | settings | {key.replace("_", "."): value for key, value in more.items()})


def take(reader, count, within=PATIENCE, passing=()):
    """The next `count` records. Errors other than those of `passing` are raised."""
    records = []
    deadline = time.monotonic() + within
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records after {within} s"
        message = reader.poll(0.5)
        if message is None:
            continue
        if message.error():
            if message.error().code() in [KafkaError._PARTITION_EOF, *passing]:
                continue
            raise KafkaException(message.error())
        records.append(message)
    return records


def read(topic, partitions=1, isolation="read_committed", **more):
    """Every record between the ends of the partitions, partition by partition."""
    reader = consumer(isolation_level=isolation, enable_partition_eof=True, **more)
    records, open_ends = [], set(range(partitions))
    reader.assign([TopicPartition(topic, partition, 0) for partition in open_ends])
    deadline = time.monotonic() + PATIENCE
    while open_ends:
        assert time.monotonic() < deadline, f"no end of {topic} {open_ends} after {len(records)} records"
        message = reader.poll(0.5)
        if message is None:
            continue
        if message.error() is None:
            records.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_ends.discard(message.partition())
        else:
            raise KafkaException(message.error())
    reader.close()
    return sorted(records, key=lambda message: (message.partition(), message.offset()))


def values(records):
    return [message.value() for message in records]
