"""What people do with kcat. Arguments: bootstrap servers, then the cases wanted (none: all). Needs `kcat` on the path."""
import json
import subprocess
import sys

from kit import PATIENCE, RUN, SERVERS, case, eventually, new_topic, run, unique


def kcat(*arguments, lines="", wanted=0):
    done = subprocess.run(
        ["kcat", "-b", SERVERS, *arguments], input=lines, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == wanted, f"kcat {arguments} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def consume(topic, *arguments):
    printed = kcat("-C", "-t", topic, "-e", "-q", "-J", *arguments)
    return [json.loads(line) for line in printed.splitlines()]


@case
def lists_the_cluster():
    topic = new_topic("kcat-list", partitions=2)
    found = json.loads(kcat("-L", "-J"))
    [broker] = found["brokers"]
    assert broker["name"] == SERVERS and found["controllerid"] == broker["id"]
    [described] = [entry for entry in found["topics"] if entry["topic"] == topic]
    assert [(p["partition"], p["leader"], p["isrs"]) for p in described["partitions"]] == [
        (number, broker["id"], [{"id": broker["id"]}]) for number in range(2)]
    assert f'topic "{topic}" with 2 partitions' in kcat("-L", "-t", topic)


@case
def produces_and_consumes_with_keys_and_headers():
    topic = new_topic("kcat-records")
    kcat("-P", "-t", topic, "-K:", "-H", "unit=bar", "-H", "line=2", lines="a:1\nb:2\na:3\n")
    kcat("-P", "-t", topic, "-K:", "-Z", lines="a:\n")
    records = consume(topic)
    assert [(record["key"], record["payload"]) for record in records] == [("a", "1"), ("b", "2"), ("a", "3"), ("a", None)], records
    assert records[0]["headers"] == ["unit", "bar", "line", "2"], records[0]
    assert [record["offset"] for record in consume(topic, "-o", "-2")] == [2, 3]
    assert [record["offset"] for record in consume(topic, "-o", "1", "-c", "2")] == [1, 2]


@case
def every_codec():
    topic = new_topic("kcat-codecs")
    for codec in ["gzip", "snappy", "lz4", "zstd"]:
        kcat("-P", "-t", topic, "-z", codec, lines="".join(f"{codec} {number} of a long text of words\n" for number in range(200)))
    assert len(consume(topic)) == 800


@case
def asks_for_offsets_by_time():
    topic = new_topic("kcat-times")
    kcat("-P", "-t", topic, lines="first\n")
    [first] = consume(topic)
    at = first["ts"]
    assert f"{topic} [0] offset 0" in kcat("-Q", "-t", f"{topic}:0:{at}")
    assert f"{topic} [0] offset 1" in kcat("-Q", "-t", f"{topic}:0:-1")
    assert f"{topic} [0] offset 0" in kcat("-Q", "-t", f"{topic}:0:-2")
    assert [record["payload"] for record in consume(topic, "-o", f"s@{at}")] == ["first"]
    assert consume(topic, "-o", f"s@{at + 100_000_000}") == []


@case
def reads_as_a_group():
    topic, group = new_topic("kcat-group", partitions=2), unique("kcat")
    kcat("-P", "-t", topic, "-p", "0", lines="1\n2\n")
    kcat("-P", "-t", topic, "-p", "1", lines="3\n")

    def read():
        printed = kcat("-G", group, "-X", "auto.offset.reset=earliest", "-X", "heartbeat.interval.ms=300", "-e", "-q", topic)
        return sorted(printed.split())

    assert read() == ["1", "2", "3"]
    kcat("-P", "-t", topic, "-p", "0", lines="4\n")
    assert read() == ["4"]


@case
def produces_a_transaction():
    topic = new_topic("kcat-transaction")
    kcat("-P", "-t", topic, "-X", f"transactional.id=kcat-{RUN}", lines="1\n2\n3\n")
    records = eventually("three records", lambda: (found := consume(topic, "-X", "isolation.level=read_committed")) and len(found) == 3 and found)
    assert [record["payload"] for record in records] == ["1", "2", "3"]


run(sys.argv[2:])
