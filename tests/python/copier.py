"""Copies one topic into another exactly once: the copies and the offsets of what was copied are one transaction. Prints how many it
has copied, until it is killed.

Arguments: bootstrap servers, source topic, target topic, a name for its group and its transactions.
"""
import sys

from confluent_kafka import Consumer, KafkaException, Producer

servers, source, target, name = sys.argv[1:5]
consumer = Consumer({
    "bootstrap.servers": servers,
    "group.id": name,
    # Its successor takes its place at once.
    "group.instance.id": "copier",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
})
producer = Producer({"bootstrap.servers": servers, "transactional.id": name, "linger.ms": 2})
producer.init_transactions(60)
consumer.subscribe([source])
copied = 0
while True:
    batch = consumer.consume(20, timeout=0.1)
    if not batch:
        continue
    producer.begin_transaction()
    for message in batch:
        if message.error():
            raise KafkaException(message.error())
        producer.produce(target, message.value(), message.key(), partition=message.partition(), timestamp=message.timestamp()[1])
    producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 60)
    producer.commit_transaction(60)
    copied += len(batch)
    print("copied", copied, flush=True)
