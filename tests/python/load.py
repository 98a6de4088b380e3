"""An idempotent producer that never stops: each partition gets 0, 1, 2, … as values, so that a value is its offset.

Arguments: bootstrap servers, topic, partitions. Prints `acked PARTITION NUMBER` as acknowledgements come, the newest of each
partition; fails where one is not in order, is refused, or has another offset than its number. Ends on SIGINT, when all is acknowledged.
"""
import signal
import sys
import time

from confluent_kafka import Producer

servers, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
producer = Producer({
    "bootstrap.servers": servers,
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 2,
    # It outlives every restart of the broker.
    "message.timeout.ms": 300_000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
    "queue.buffering.max.messages": 2000,
})
acked, printed = [-1] * partitions, [-1] * partitions
stopped = False


def stop(*_):
    global stopped
    stopped = True


def delivered(error, message):
    if error is not None:
        sys.exit(f"refused: {error}")
    partition, number = message.partition(), int(message.value())
    if number != acked[partition] + 1 or message.offset() != number:
        sys.exit(f"number {number} of partition {partition} came to offset {message.offset()} after {acked[partition]}")
    acked[partition] = number


def tell():
    for partition in range(partitions):
        if acked[partition] > printed[partition]:
            print("acked", partition, acked[partition])
            printed[partition] = acked[partition]
    sys.stdout.flush()


signal.signal(signal.SIGINT, stop)
number, told = 0, time.monotonic()
while not stopped:
    for partition in range(partitions):
        while True:
            try:
                producer.produce(topic, value=str(number), partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
    number += 1
    # A steady load of some thousands a second.
    producer.poll(0.001)
    if time.monotonic() > told + 0.02:
        tell()
        told = time.monotonic()
left = producer.flush(120)
tell()
if left:
    sys.exit(f"{left} records were not acknowledged")
