"""Commits 0 for every partition of a topic, so that a group has a place from the first. Arguments: bootstrap servers, topic, partitions, group."""
import sys

from confluent_kafka import Consumer, TopicPartition

servers, topic, partitions, group = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
consumer.commit(offsets=[TopicPartition(topic, partition, 0) for partition in range(partitions)], asynchronous=False)
consumer.close()
