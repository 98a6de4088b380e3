"""What an administrator does: topics, configs, groups, offsets, rights, users."""
from confluent_kafka import (
    ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, KafkaError, OFFSET_INVALID, TopicCollection, TopicPartition)
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource,
    NewPartitions, NewTopic, OffsetSpec, ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
    UserScramCredentialDeletion, UserScramCredentialUpsertion)

from kit import ADMIN, PATIENCE, case, consumer, done, eventually, new_topic, produce, producer, read, refused, take, unique, values


@case
def topics_are_created_and_deleted():
    topic = new_topic("create", partitions=3)
    refused(KafkaError.TOPIC_ALREADY_EXISTS, ADMIN.create_topics, [NewTopic(topic, 1, 1)])
    produce(producer(), topic, [(None, b"v")])
    done(ADMIN.delete_topics([topic]))
    eventually("its end", lambda: topic not in ADMIN.list_topics(timeout=PATIENCE).topics)
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.delete_topics, [topic])
    # Of the same name, and empty.
    done(ADMIN.create_topics([NewTopic(topic, 1, 1)]))
    eventually("the new one", lambda: read(topic) == [])


@case
def wrong_topics_are_refused():
    name = unique("wrong")
    refused(KafkaError.TOPIC_EXCEPTION, ADMIN.create_topics, [NewTopic("no spaces", 1, 1)])
    refused(KafkaError.TOPIC_EXCEPTION, ADMIN.create_topics, [NewTopic("x" * 250, 1, 1)])
    refused(KafkaError.INVALID_REPLICATION_FACTOR, ADMIN.create_topics, [NewTopic(name, 1, 3)])
    refused(KafkaError.INVALID_PARTITIONS, ADMIN.create_topics, [NewTopic(name, 0, 1)])
    for key, value in [("retention.ms", "soon"), ("no.such.config", "1"), ("cleanup.policy", "keep")]:
        refused(KafkaError.INVALID_CONFIG, ADMIN.create_topics, [NewTopic(name, 1, 1, config={key: value})])
    done(ADMIN.create_topics([NewTopic(name, 1, 1)], validate_only=True))
    assert name not in ADMIN.list_topics(timeout=PATIENCE).topics


@case
def topics_have_defaults():
    name = unique("defaults")
    done(ADMIN.create_topics([NewTopic(name, -1, -1)]))
    found = eventually("it", lambda: done(ADMIN.describe_topics(TopicCollection([name])))[name])
    assert len(found.partitions) == 1 and len(found.partitions[0].replicas) == 1


@case
def partitions_are_added():
    topic = new_topic("grow", partitions=2)
    refused(KafkaError.INVALID_PARTITIONS, ADMIN.create_partitions, [NewPartitions(topic, 1)])
    refused(KafkaError.INVALID_PARTITIONS, ADMIN.create_partitions, [NewPartitions(topic, 2)])
    done(ADMIN.create_partitions([NewPartitions(topic, 5)]))
    eventually("five", lambda: len(ADMIN.list_topics(topic, timeout=PATIENCE).topics[topic].partitions) == 5)
    produce(producer(), topic, [(None, b"v")], partition=4)
    assert values(read(topic, partitions=5)) == [b"v"]
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.create_partitions, [NewPartitions(unique("none"), 5)])


@case
def topics_are_described():
    topic = new_topic("described", partitions=3)
    found = done(ADMIN.describe_topics(TopicCollection([topic]), include_authorized_operations=True))[topic]
    assert found.name == topic and not found.is_internal and str(found.topic_id) not in ["", "AAAAAAAAAAAAAAAAAAAAAA"]
    assert [partition.id for partition in found.partitions] == [0, 1, 2]
    assert AclOperation.READ in found.authorized_operations and AclOperation.DELETE in found.authorized_operations
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.describe_topics, TopicCollection([unique("none")]))


@case
def a_recreated_topic_has_another_id():
    topic = new_topic("identity")
    first = done(ADMIN.describe_topics(TopicCollection([topic])))[topic].topic_id
    done(ADMIN.delete_topics([topic]))
    eventually("its end", lambda: topic not in ADMIN.list_topics(timeout=PATIENCE).topics)
    done(ADMIN.create_topics([NewTopic(topic, 1, 1)]))
    eventually("the new one", lambda: read(topic) == [])
    assert str(done(ADMIN.describe_topics(TopicCollection([topic])))[topic].topic_id) != str(first)


def configs(kind, name):
    resource = ConfigResource(kind, name)
    return done(ADMIN.describe_configs([resource]))[resource]


@case
def configs_of_a_topic():
    topic = new_topic("configs", retention_ms=3_600_000)
    found = configs(ConfigResource.Type.TOPIC, topic)
    assert found["retention.ms"].value == "3600000"
    assert found["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value, found["retention.ms"].source
    assert found["cleanup.policy"].value == "delete" and found["cleanup.policy"].is_default
    named = {"cleanup.policy", "compression.type", "delete.retention.ms", "max.message.bytes", "message.timestamp.type",
             "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "retention.bytes", "segment.bytes", "segment.ms"}
    assert named <= set(found), named - set(found)

    def alter(*entries):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
            ConfigEntry(name, value, incremental_operation=operation) for name, value, operation in entries])
        return ADMIN.incremental_alter_configs([resource])

    done(alter(("retention.ms", "7200000", AlterConfigOpType.SET), ("max.message.bytes", "20000", AlterConfigOpType.SET)))
    done(alter(("cleanup.policy", "compact", AlterConfigOpType.APPEND)))
    found = eventually("the change", lambda: (now := configs(ConfigResource.Type.TOPIC, topic)) and "compact" in now["cleanup.policy"].value and now)
    assert found["retention.ms"].value == "7200000" and set(found["cleanup.policy"].value.split(",")) == {"delete", "compact"}
    refused(KafkaError.MSG_SIZE_TOO_LARGE, produce, producer(), topic, [(b"k", b"x" * 30_000)])
    done(alter(("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT), ("max.message.bytes", None, AlterConfigOpType.DELETE)))
    found = eventually("the default", lambda: (now := configs(ConfigResource.Type.TOPIC, topic)) and now["max.message.bytes"].is_default and now)
    assert found["cleanup.policy"].value == "compact", found["cleanup.policy"].value
    refused(KafkaError.INVALID_CONFIG, alter, ("retention.ms", "soon", AlterConfigOpType.SET))
    refused(KafkaError.INVALID_CONFIG, alter, ("no.such.config", "1", AlterConfigOpType.SET))
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.describe_configs, [ConfigResource(ConfigResource.Type.TOPIC, unique("none"))])


@case
def configs_of_the_broker():
    [node] = ADMIN.list_topics(timeout=PATIENCE).brokers
    found = configs(ConfigResource.Type.BROKER, str(node))
    assert found["node.id"].value == str(node), found["node.id"].value
    assert "log.retention.ms" in found and "message.max.bytes" in found


@case
def the_cluster_is_described():
    found = ADMIN.describe_cluster(include_authorized_operations=True, request_timeout=PATIENCE).result(PATIENCE)
    assert found.cluster_id == ADMIN.list_topics(timeout=PATIENCE).cluster_id
    assert len(found.nodes) == 1 and found.controller.id == found.nodes[0].id
    assert AclOperation.ALTER in found.authorized_operations


@case
def groups_are_listed_described_and_deleted():
    topic, group = new_topic("of-group", partitions=2), unique("listed")
    produce(producer(), topic, [(None, b"v")])
    reader = consumer(group, client_id="the-reader")
    reader.subscribe([topic])
    take(reader, 1)
    reader.commit(asynchronous=False)

    def listed(**filters):
        result = ADMIN.list_consumer_groups(request_timeout=PATIENCE, **filters).result(PATIENCE)
        assert not result.errors, result.errors
        return {found.group_id: found for found in result.valid}

    found = listed()[group]
    assert found.state == ConsumerGroupState.STABLE and found.type == ConsumerGroupType.CLASSIC and not found.is_simple_consumer_group
    assert group in listed(states={ConsumerGroupState.STABLE}) and group not in listed(states={ConsumerGroupState.EMPTY})
    assert group in listed(types={ConsumerGroupType.CLASSIC}) and group not in listed(types={ConsumerGroupType.CONSUMER})
    described = done(ADMIN.describe_consumer_groups([group], include_authorized_operations=True))[group]
    assert described.state == ConsumerGroupState.STABLE and described.partition_assignor == "range"
    [member] = described.members
    assert member.client_id == "the-reader" and member.member_id == reader.memberid() and "127.0.0.1" in member.host
    assert [place.partition for place in member.assignment.topic_partitions] == [0, 1]
    refused(KafkaError.NON_EMPTY_GROUP, ADMIN.delete_consumer_groups, [group])
    reader.close()
    eventually("the empty group", lambda: listed()[group].state == ConsumerGroupState.EMPTY)
    done(ADMIN.delete_consumer_groups([group]))
    assert group not in listed()
    refused(KafkaError.GROUP_ID_NOT_FOUND, ADMIN.delete_consumer_groups, [group])


@case
def an_unknown_group_is_dead():
    group = unique("unknown")
    described = done(ADMIN.describe_consumer_groups([group]))[group]
    assert described.state == ConsumerGroupState.DEAD and described.members == []


@case
def offsets_of_a_group_are_altered():
    topic, group = new_topic("altered", partitions=2), unique("altered")
    produce(producer(), topic, [(None, b"%d" % number) for number in range(10)], partition=0)

    def offsets():
        found = done(ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))[group]
        return {place.partition: place.offset for place in found.topic_partitions}

    def alter(*places):
        return ADMIN.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, list(places))])

    done(alter(TopicPartition(topic, 0, 4), TopicPartition(topic, 1, 0)))
    assert offsets() == {0: 4, 1: 0}, offsets()
    reader = consumer(group)
    reader.subscribe([topic])
    assert values(take(reader, 6)) == [b"%d" % number for number in range(4, 10)]
    # A group with a member belongs to the member.
    [place] = done(alter(TopicPartition(topic, 0, 1)))[group].topic_partitions
    assert place.error.code() == KafkaError.UNKNOWN_MEMBER_ID, place.error
    reader.close()
    named = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0), TopicPartition(topic, 1), TopicPartition(unique("none"), 0)])
    found = done(ADMIN.list_consumer_group_offsets([named]))[group]
    assert [place.offset for place in found.topic_partitions] == [4, 0, OFFSET_INVALID], found.topic_partitions


@case
def offsets_are_listed():
    topic = new_topic("listed", partitions=2)
    for number, at in enumerate([1000, 5000, 3000]):
        produce(producer(), topic, [{"value": b"%d" % number, "timestamp": 1_700_000_000_000 + at}], partition=0)
    places = [TopicPartition(topic, partition) for partition in range(2)]

    def listed(spec):
        found = done(ADMIN.list_offsets({place: spec for place in places}))
        return [(found[place].offset, found[place].timestamp) for place in places]

    assert listed(OffsetSpec.earliest()) == [(0, -1), (0, -1)], listed(OffsetSpec.earliest())
    assert listed(OffsetSpec.latest()) == [(3, -1), (0, -1)], listed(OffsetSpec.latest())
    assert listed(OffsetSpec.max_timestamp()) == [(1, 1_700_000_005_000), (-1, -1)], listed(OffsetSpec.max_timestamp())
    found = listed(OffsetSpec.for_timestamp(1_700_000_002_000))
    assert found == [(1, 1_700_000_005_000), (-1, -1)], found
    refused(KafkaError._NOENT, ADMIN.list_offsets, {TopicPartition(unique("none"), 0): OffsetSpec.latest()}, request_timeout=5)


@case
def rights_are_created_described_and_deleted():
    name = unique("rights")

    def binding(principal, operation, pattern=ResourcePatternType.LITERAL, permission=AclPermissionType.ALLOW):
        return AclBinding(ResourceType.TOPIC, name, pattern, principal, "*", operation, permission)

    def matching(principal=None, operation=AclOperation.ANY, pattern=ResourcePatternType.ANY):
        return AclBindingFilter(ResourceType.TOPIC, name, pattern, principal, None, operation, AclPermissionType.ANY)

    bindings = [
        binding("User:alice", AclOperation.READ),
        binding("User:alice", AclOperation.WRITE),
        binding("User:bob", AclOperation.READ, permission=AclPermissionType.DENY),
        binding("User:carol", AclOperation.ALL, pattern=ResourcePatternType.PREFIXED),
    ]
    done(ADMIN.create_acls(bindings))
    # Once more is no error, and makes no second one.
    done(ADMIN.create_acls(bindings[:1]))

    def described(matching):
        return ADMIN.describe_acls(matching, request_timeout=PATIENCE).result(PATIENCE)

    eventually("the rights", lambda: len(described(matching())) == 4)
    assert set(described(matching("User:alice"))) == set(bindings[:2])
    assert described(matching(pattern=ResourcePatternType.PREFIXED)) == [bindings[3]]
    deleted = done(ADMIN.delete_acls([matching("User:alice", AclOperation.READ)]))
    assert [list(result) for result in deleted.values()] == [[bindings[0]]]
    eventually("three rights", lambda: set(described(matching())) == set(bindings[1:]))
    done(ADMIN.delete_acls([matching()]))
    eventually("no rights", lambda: described(matching()) == [])
    refused(KafkaError.INVALID_REQUEST, ADMIN.create_acls, [binding("alice", AclOperation.READ)])


@case
def users_with_scram_credentials():
    user = unique("user")
    refused(KafkaError.RESOURCE_NOT_FOUND, ADMIN.describe_user_scram_credentials, [user])
    for mechanism, iterations in [(ScramMechanism.SCRAM_SHA_256, 4096), (ScramMechanism.SCRAM_SHA_512, 8192)]:
        done(ADMIN.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, iterations), b"secret")]))

    def described():
        found = done(ADMIN.describe_user_scram_credentials([user]))[user]
        return {info.mechanism: info.iterations for info in found.scram_credential_infos}

    eventually("both", lambda: described() == {ScramMechanism.SCRAM_SHA_256: 4096, ScramMechanism.SCRAM_SHA_512: 8192})
    done(ADMIN.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)]))
    eventually("one", lambda: described() == {ScramMechanism.SCRAM_SHA_512: 8192})
    refused(KafkaError.RESOURCE_NOT_FOUND, ADMIN.alter_user_scram_credentials, [UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)])
    done(ADMIN.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)]))
    for iterations in [100, 20_000]:
        refused(KafkaError.UNACCEPTABLE_CREDENTIAL, ADMIN.alter_user_scram_credentials,
                [UserScramCredentialUpsertion(user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, iterations), b"secret")])
