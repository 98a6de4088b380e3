"""A producer that is not ours: numbered readings until SIGINT, then how many were acknowledged (all of them, in order).

Arguments: bootstrap servers, topic, milliseconds since the epoch of the first reading, how many come at once at first.
"""
import json
import signal
import sys

from confluent_kafka import Producer

servers, topic, epoch_ms, prefill = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5})
stopped = False


def stop(*_):
    global stopped
    stopped = True


def delivered(error, message):
    if error is not None:
        sys.exit(f"not delivered: {error}")


def produce(number):
    while True:
        try:
            producer.produce(
                topic,
                key=f"k{number % 7}",
                value=json.dumps({"n": number}),
                timestamp=epoch_ms + number * 20,
                on_delivery=delivered,
            )
            return
        except BufferError:
            producer.poll(0.1)


signal.signal(signal.SIGINT, stop)
number = 0
while not stopped:
    produce(number)
    number += 1
    if number == prefill:
        producer.flush()
        print("prefilled", flush=True)
    if number > prefill:
        # A few hundred a second: a steady load, not a race.
        producer.poll(0.003)
left = producer.flush(30)
if left:
    sys.exit(f"{left} readings were not acknowledged")
print(f"acknowledged {number}", flush=True)
