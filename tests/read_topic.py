"""Reads a topic of Apache Kafka from its first record to its end with a client that is not ours, committed records only.

Arguments: bootstrap servers, topic, and how many records are enough of a topic that goes on. Prints what `millstream topic tail --json` prints: one JSON object per record.
"""
import json
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition

servers, topic = sys.argv[1:3]
left = int(sys.argv[3]) if len(sys.argv) > 3 else sys.maxsize
consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": "read_topic.py",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
    }
)
partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
for place in places:
    place.offset = consumer.get_watermark_offsets(place, timeout=20)[0]
consumer.assign(places)


def text(data):
    if data is None:
        return None
    # The keys of windows end in bytes that are no text.
    decoded = data.decode(errors="backslashreplace")
    return json.loads(decoded) if decoded[:1] in "{[" and decoded else decoded


ended = set()
while len(ended) < len(places) and left > 0:
    record = consumer.poll(20)
    if record is None:
        sys.exit("nothing came for 20 s, not even the end")
    if record.error():
        if record.error().code() != KafkaError._PARTITION_EOF:
            sys.exit(str(record.error()))
        ended.add(record.partition())
        continue
    left -= 1
    print(
        json.dumps(
            {
                "topic": topic,
                "partition": record.partition(),
                "offset": record.offset(),
                "timestamp_ms": record.timestamp()[1],
                "key": text(record.key()),
                "value": text(record.value()),
                "headers": {name: text(value) for name, value in record.headers() or []},
            }
        )
    )
consumer.close()
