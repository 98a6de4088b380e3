"""Who is let in, and what they may do. Arguments: bootstrap servers without sign-in (whoever comes there may do everything), bootstrap
servers where clients sign in (alice, password alice-secret), then the cases wanted (none: all)."""
import itertools
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic, ResourcePatternType, ResourceType,
    ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion)

from kit import ADMIN, PATIENCE, case, done, eventually, new_topic, produce, producer, read, refused, run, take, unique, values

SIGN_IN = sys.argv[2]
NUMBERS = itertools.count()


def signed_in(name="alice", password="alice-secret", mechanism="PLAIN", **more):
    return {
        "bootstrap.servers": SIGN_IN, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
        "sasl.username": name, "sasl.password": password,
    } | {key.replace("_", "."): value for key, value in more.items()}


def let_in(settings):
    """Whether somebody is let in; a list of topics is what everyone may ask for."""
    errors = []
    admin = AdminClient(settings | {"error_cb": errors.append, "reconnect.backoff.max.ms": 200})

    def settled():
        admin.poll(0.05)
        if any(error.code() == KafkaError._AUTHENTICATION for error in errors):
            return "refused"
        try:
            admin.list_topics(timeout=0.5)
            return "let in"
        except KafkaException:
            return None

    return eventually("an answer", settled) == "let in"


def allow(user, operation, kind, name, pattern=ResourcePatternType.LITERAL):
    done(ADMIN.create_acls([AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)]))


def new_user(mechanism=ScramMechanism.SCRAM_SHA_256):
    """A user of this case alone, with a password, once it is there."""
    user = unique(f"user-{next(NUMBERS)}")
    done(ADMIN.alter_user_scram_credentials([UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), b"secret")]))
    name = mechanism.name.replace("_", "-")
    settings = signed_in(user, "secret", name)
    eventually("the user", lambda: let_in(settings))
    return user, settings


@case
def by_plain():
    assert let_in(signed_in())
    assert not let_in(signed_in(password="wrong"))
    assert not let_in(signed_in(name="nobody"))


@case
def by_scram():
    for mechanism in [ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512]:
        user, settings = new_user(mechanism)
        assert not let_in(settings | {"sasl.password": "wrong"})
        done(ADMIN.alter_user_scram_credentials([UserScramCredentialDeletion(user, mechanism)]))
        eventually("the end of the user", lambda: not let_in(settings))


@case
def nobody_is_let_in_without_a_sign_in():
    admin = AdminClient({"bootstrap.servers": SIGN_IN})
    refused(KafkaError._TRANSPORT, admin.list_topics, timeout=3)


@case
def without_rights_nothing_is_there():
    topic = new_topic("hidden")
    _, settings = new_user()
    admin = AdminClient(settings)
    assert topic not in admin.list_topics(timeout=PATIENCE).topics
    refused(KafkaError.TOPIC_AUTHORIZATION_FAILED, produce, Producer(settings), topic, [(None, b"v")])
    reader = Consumer(settings | {"group.id": unique("hidden")})
    reader.subscribe([topic])
    try:
        take(reader, 1)
        raise AssertionError("read")
    except KafkaException as exception:
        assert exception.args[0].code() in [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED], exception
    reader.close()
    refused(KafkaError.TOPIC_AUTHORIZATION_FAILED, admin.create_topics, [NewTopic(unique("mine"), 1, 1)])
    refused(KafkaError.TOPIC_AUTHORIZATION_FAILED, admin.delete_topics, [topic])
    refused(KafkaError.CLUSTER_AUTHORIZATION_FAILED, admin.create_acls, [AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:alice", "*", AclOperation.ALL, AclPermissionType.ALLOW)])


@case
def rights_to_write_and_to_read():
    topic, group = new_topic("rights"), unique("rights")
    writer, writes = new_user()
    reader, reads = new_user()
    allow(writer, AclOperation.WRITE, ResourceType.TOPIC, topic)
    allow(reader, AclOperation.READ, ResourceType.TOPIC, topic[:-3], ResourcePatternType.PREFIXED)
    allow(reader, AclOperation.READ, ResourceType.GROUP, group)
    eventually("the right to write", lambda: topic in AdminClient(writes).list_topics(timeout=PATIENCE).topics)
    eventually("the right to read", lambda: topic in AdminClient(reads).list_topics(timeout=PATIENCE).topics)
    produce(Producer(writes), topic, [(None, b"v")])
    refused(KafkaError.TOPIC_AUTHORIZATION_FAILED, produce, Producer(reads), topic, [(None, b"not")])
    consumer = Consumer(reads | {"group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    assert values(take(consumer, 1)) == [b"v"]
    consumer.commit(asynchronous=False)
    consumer.close()
    consumer = Consumer(reads | {"group.id": unique("another"), "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    refused(KafkaError.GROUP_AUTHORIZATION_FAILED, take, consumer, 1)
    consumer.close()


@case
def what_is_denied_is_denied():
    topic = new_topic("denied")
    user, settings = new_user()
    allow(user, AclOperation.ALL, ResourceType.TOPIC, topic)
    eventually("the right", lambda: topic in AdminClient(settings).list_topics(timeout=PATIENCE).topics)
    produce(Producer(settings), topic, [(None, b"v")])
    denied = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*", AclOperation.WRITE, AclPermissionType.DENY)
    done(ADMIN.create_acls([denied]))

    def no_more():
        try:
            produce(Producer(settings), topic, [(None, b"v")])
        except KafkaException as exception:
            return exception.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    eventually("the denial", no_more)


@case
def a_transactional_id_needs_a_right_of_its_own():
    topic, name = new_topic("of-transactions"), unique("transactions")
    user, settings = new_user()
    allow(user, AclOperation.WRITE, ResourceType.TOPIC, topic)
    writer = Producer(settings | {"transactional.id": name})
    refused(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, writer.init_transactions, PATIENCE)
    allow(user, AclOperation.WRITE, ResourceType.TRANSACTIONAL_ID, name)

    def written():
        writer = Producer(settings | {"transactional.id": name})
        try:
            writer.init_transactions(2)
        except KafkaException:
            return False
        writer.begin_transaction()
        produce(writer, topic, [(None, b"v")])
        writer.commit_transaction(PATIENCE)
        return True

    eventually("the right", written)
    eventually("the record", lambda: values(read(topic)) == [b"v"])


run(sys.argv[3:])
