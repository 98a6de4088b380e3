"""What a line of presses tells, for queries that are judged: presses (a table), then parts and the checks of them.

Arguments: bootstrap servers, suffix of the topics, parts, parts per second, time of the first part in milliseconds.
An idempotent producer that outlives every restart of the broker. Ends when everything is acknowledged.
"""
import json
import sys
import time

from confluent_kafka import Producer

servers, suffix = sys.argv[1:3]
parts, rate, first = (int(argument) for argument in sys.argv[3:6])
producer = Producer({
    "bootstrap.servers": servers,
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "linger.ms": 2,
    "message.timeout.ms": 300_000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
})


def refused(error, _):
    if error is not None:
        sys.exit(f"refused: {error}")


def send(topic, press, value, at):
    producer.produce(f"{topic}_{suffix}", key=f"press{press}", value=json.dumps(value), timestamp=at, on_delivery=refused)


for press in range(5):
    send("presses", press, {"LINE": f"line{press % 2}"}, first)
producer.flush()
began = time.monotonic()
for n in range(parts):
    send("parts", n % 5, {"N": n, "WEIGHT": n % 7 + 0.5}, first + 100 * n)
    send("checks", n % 5, {"N": n, "GOOD": n % 3 != 0}, first + 100 * n + 50)
    producer.poll(0)
    ahead = began + n / rate - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
producer.flush()
print("all acknowledged")
