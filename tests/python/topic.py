"""Makes a topic. Arguments: bootstrap servers, topic, partitions."""
import sys

from confluent_kafka.admin import AdminClient, NewTopic

servers, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
admin = AdminClient({"bootstrap.servers": servers})
admin.create_topics([NewTopic(topic, partitions, 1, config={"retention.ms": "-1"})])[topic].result(60)
