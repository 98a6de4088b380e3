"""Makes a topic, writes a record to it and reads it back: round_trip.py ADDRESS SETTING=VALUE…"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PATIENCE_SECONDS = 60


def main() -> None:
    errors = []
    settings = dict(argument.split("=", 1) for argument in sys.argv[2:])
    settings["bootstrap.servers"] = sys.argv[1]
    settings["broker.address.family"] = "v4"
    settings["error_cb"] = errors.append
    settings["socket.timeout.ms"] = 5_000

    def check() -> None:
        for error in errors:
            if error.name() in ("_AUTHENTICATION", "_SSL", "_ALL_BROKERS_DOWN"):
                sys.exit(f"{error.name()}: {errors}")

    admin = AdminClient(settings)
    deadline = time.monotonic() + PATIENCE_SECONDS
    topic = f"t{time.time_ns()}"
    made = admin.create_topics([NewTopic(topic, 1, 1)], request_timeout=10)[topic]
    while not made.done() and time.monotonic() < deadline:
        admin.poll(0.05)
        check()
    made.result(timeout=1)
    producer = Producer({**settings, "acks": "all"})
    refused = []
    # The clock of the tests' broker stands still here.
    producer.produce(
        topic, b"hello", b"key", timestamp=1_700_000_100_000,
        on_delivery=lambda error, _: refused.append(error) if error else None,
    )
    if producer.flush(PATIENCE_SECONDS) or refused:
        sys.exit(f"not written: {refused} {errors}")
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    while time.monotonic() < deadline:
        record = consumer.poll(0.2)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        assert record.value() == b"hello", record.value()
        consumer.commit(asynchronous=False)
        consumer.close()
        return
    sys.exit(f"not read: {errors}")


main()
