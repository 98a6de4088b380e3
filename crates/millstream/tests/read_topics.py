"""Reads topics from the beginning to the end with confluent-kafka; prints one JSON object per record."""

import json
import sys

from confluent_kafka import Consumer, TopicPartition

servers, since_ms, *topics = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": servers,
    "group.id": "read-topics",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
})
for topic in topics:
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    left = len(partitions)
    while left:
        message = consumer.poll(20)
        if message is None:
            sys.exit(f"{topic}: nothing came for 20 s")
        if message.error():
            left -= 1
            continue
        _, timestamp_ms = message.timestamp()
        if timestamp_ms >= int(since_ms) and message.value() is not None:
            print(json.dumps({"topic": topic, "value": json.loads(message.value())}))
consumer.close()
