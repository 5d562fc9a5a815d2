"""Scenarios of confluent-kafka (librdkafka): confluent_scenarios.py HOST PORT SCENARIO."""

import os
import sys
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
WAIT = 30


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def admin():
    return AdminClient({"bootstrap.servers": SERVER})


def create(topic, partitions=1, config=None):
    new = NewTopic(topic, partitions, 1, config=config or {})
    client = admin()  # Must live until its futures are done.
    for future in client.create_topics([new]).values():
        future.result(WAIT)


def producer(**more):
    settings = {name.replace("_", "."): value for name, value in more.items()}
    return Producer({"bootstrap.servers": SERVER, **settings})


def produce(topic, bodies, **more):
    """Produces in order and returns the reports (error, message)."""
    reports = []
    client = producer(**more)
    for body in bodies:
        while True:
            try:
                client.produce(topic, body, callback=lambda *report: reports.append(report))
                break
            except BufferError:
                client.poll(0.1)
        client.poll(0)
    expect(client.flush(WAIT), 0)
    for error, _ in reports:
        expect(error, None)
    return reports


def consumer(group, **more):
    settings = {name.replace("_", "."): value for name, value in more.items()}
    return Consumer(
        {
            "bootstrap.servers": SERVER,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **settings,
        }
    )


def take(client, count, wait=WAIT):
    got = []
    until = time.monotonic() + wait
    while len(got) < count and time.monotonic() < until:
        for message in client.consume(count - len(got), timeout=1):
            expect(message.error(), None)
            got.append(message)
    expect(len(got), count)
    return got


def round_trip():
    create("ck-trip")
    client = producer()
    reports = []
    headers = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("none", None), ("empty", b"")]
    body = os.urandom(2000)
    for key, value in ((b"k", body), (None, b"no key"), (b"null", None), (b"", b"")):
        client.produce(
            "ck-trip", value, key, headers=headers, timestamp=1_700_000_000_123,
            on_delivery=lambda *report: reports.append(report),
        )
    expect(client.flush(WAIT), 0)
    expect([message.offset() for _, message in reports], [0, 1, 2, 3])
    reader = consumer("ck-trip")
    reader.assign([TopicPartition("ck-trip", 0, OFFSET_BEGINNING)])
    got = take(reader, 4)
    expect([(m.key(), m.value()) for m in got],
           [(b"k", body), (None, b"no key"), (b"null", None), (b"", b"")])
    for message in got:
        expect(message.headers(), headers)
        expect(message.timestamp(), (1, 1_700_000_000_123))


def acks():
    create("ck-acks")
    for level in ("0", "1", "all"):
        client = producer(acks=level)
        for number in range(10):
            client.produce("ck-acks", f"{level}-{number}")
        expect(client.flush(WAIT), 0)
    reader = consumer("ck-acks")
    reader.subscribe(["ck-acks"])
    got = sorted(message.value().decode() for message in take(reader, 30))
    expect(got, sorted(f"{a}-{n}" for a in ("0", "1", "all") for n in range(10)))
    reader.close()


def compression():
    create("ck-compressed")
    wanted = []
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        bodies = [f"{codec} {number} ".encode() * 50 for number in range(100)]
        produce("ck-compressed", bodies, compression_type=codec, linger_ms=50)
        wanted += bodies
    reader = consumer("ck-compressed", check_crcs=True)
    reader.subscribe(["ck-compressed"])
    expect([message.value() for message in take(reader, 500)], wanted)
    reader.close()


def idempotent():
    create("ck-idempotent", 3)
    client = producer(enable_idempotence=True, linger_ms=1)
    for number in range(5000):
        client.produce("ck-idempotent", str(number), key=str(number % 7))
        client.poll(0)
    expect(client.flush(WAIT), 0)
    reader = consumer("ck-idempotent")
    reader.subscribe(["ck-idempotent"])
    got = take(reader, 5000)
    by_key = {}
    for message in got:
        by_key.setdefault(message.key(), []).append(int(message.value()))
    for numbers in by_key.values():
        expect(numbers, sorted(set(numbers)))
    expect(sum(len(numbers) for numbers in by_key.values()), 5000)
    reader.close()


def transactions():
    create("ck-transactions", 2)
    writer = producer(transactional_id="ck-transactions")
    writer.init_transactions(WAIT)
    for turn in range(6):
        writer.begin_transaction()
        for number in range(5):
            writer.produce("ck-transactions", f"{turn}.{number}", partition=number % 2)
        if turn % 2 == 0:
            writer.commit_transaction(WAIT)
        else:
            writer.flush(WAIT)
            writer.abort_transaction(WAIT)
    wanted = sorted(f"{turn}.{number}" for turn in (0, 2, 4) for number in range(5))
    reader = consumer("ck-transactions", isolation_level="read_committed")
    reader.subscribe(["ck-transactions"])
    expect(sorted(m.value().decode() for m in take(reader, 15)), wanted)
    writer.begin_transaction()
    offsets = [TopicPartition("ck-transactions", 0, 7)]
    writer.send_offsets_to_transaction(offsets, reader.consumer_group_metadata(), WAIT)
    writer.commit_transaction(WAIT)
    expect(reader.committed([TopicPartition("ck-transactions", 0)], WAIT)[0].offset, 7)
    reader.close()
    again = producer(transactional_id="ck-transactions")
    again.init_transactions(WAIT)
    try:
        writer.begin_transaction()
        writer.produce("ck-transactions", "zombie")
        writer.commit_transaction(WAIT)
        raise AssertionError("the producer before is not fenced")
    except KafkaException as error:
        expect(error.args[0].fatal(), True)


def group_resume():
    create("ck-resume")
    produce("ck-resume", [str(n) for n in range(20)])
    reader = consumer("ck-resume")
    reader.subscribe(["ck-resume"])
    got = take(reader, 8)
    expect([int(m.value()) for m in got], list(range(8)))
    reader.commit(got[-1], asynchronous=False)
    reader.close()
    again = consumer("ck-resume")
    again.subscribe(["ck-resume"])
    expect([int(m.value()) for m in take(again, 12)], list(range(8, 20)))
    again.commit(asynchronous=False)
    expect(again.committed([TopicPartition("ck-resume", 0)], WAIT)[0].offset, 20)
    again.close()


def rebalance(strategy="range,roundrobin"):
    topic = f"ck-rebalance-{strategy[:3]}"
    create(topic, 4)
    members = [consumer(topic, partition_assignment_strategy=strategy) for _ in range(2)]
    for member in members:
        member.subscribe([topic])
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        for member in members:
            member.poll(0.1)
        sizes = [len(member.assignment()) for member in members]
        if sizes == [2, 2]:
            break
    expect(sizes, [2, 2])
    owned = {tp.partition for member in members for tp in member.assignment()}
    expect(owned, {0, 1, 2, 3})
    members[0].close()
    while time.monotonic() < until and len(members[1].assignment()) < 4:
        members[1].poll(0.1)
    expect(len(members[1].assignment()), 4)
    members[1].close()


def cooperative():
    rebalance("cooperative-sticky")


def offsets():
    create("ck-offsets")
    for number in range(5):
        client = producer()
        client.produce("ck-offsets", str(number), timestamp=1_700_000_000_000 + number * 1000)
        expect(client.flush(WAIT), 0)
    reader = consumer("ck-offsets")
    expect(reader.get_watermark_offsets(TopicPartition("ck-offsets", 0), WAIT), (0, 5))
    for time_ms, offset in ((1_700_000_002_000, 2), (1_700_000_002_001, 3), (0, 0)):
        found = reader.offsets_for_times([TopicPartition("ck-offsets", 0, time_ms)], WAIT)
        expect((time_ms, found[0].offset), (time_ms, offset))
    reader.assign([TopicPartition("ck-offsets", 0, 3)])
    expect([m.value() for m in take(reader, 2)], [b"3", b"4"])
    reader.seek(TopicPartition("ck-offsets", 0, 1))
    expect([m.offset() for m in take(reader, 4)], [1, 2, 3, 4])


def out_of_range():
    create("ck-range")
    produce("ck-range", ["x"])
    reader = consumer("ck-range", auto_offset_reset="error")
    reader.assign([TopicPartition("ck-range", 0, 100)])
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        message = reader.poll(1)
        if message is not None:
            break
    assert message is not None and message.error() is not None
    expect(message.error().code(), KafkaError._AUTO_OFFSET_RESET)


def topics():
    client = admin()
    create("ck-topics", 3, {"retention.ms": "3600000"})
    metadata = client.list_topics(timeout=WAIT)
    expect(len(metadata.topics["ck-topics"].partitions), 3)
    assert metadata.cluster_id, "no cluster id"
    resource = ConfigResource(ResourceType.TOPIC, "ck-topics")
    config = list(client.describe_configs([resource]).values())[0].result(WAIT)
    expect(config["retention.ms"].value, "3600000")
    try:
        create("ck-topics")
        raise AssertionError("a topic was created twice")
    except KafkaException as error:
        expect(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)
    try:
        create("not a valid name!")
        raise AssertionError("an invalid name was accepted")
    except KafkaException as error:
        expect(error.args[0].code(), KafkaError.TOPIC_EXCEPTION)
    list(client.delete_topics(["ck-topics"]).values())[0].result(WAIT)
    assert "ck-topics" not in client.list_topics(timeout=WAIT).topics
    try:
        list(client.delete_topics(["ck-topics"]).values())[0].result(WAIT)
        raise AssertionError("a topic was deleted twice")
    except KafkaException as error:
        expect(error.args[0].code(), KafkaError.UNKNOWN_TOPIC_OR_PART)


def groups():
    create("ck-groups")
    produce("ck-groups", ["x"])
    reader = consumer("ck-groups", client_id="the-reader")
    reader.subscribe(["ck-groups"])
    take(reader, 1)
    reader.commit(asynchronous=False)
    client = admin()
    listed = client.list_consumer_groups().result(WAIT)
    assert "ck-groups" in [group.group_id for group in listed.valid], listed.valid
    described = list(client.describe_consumer_groups(["ck-groups"]).values())[0].result(WAIT)
    expect((described.state.name, len(described.members)), ("STABLE", 1))
    expect(described.members[0].client_id, "the-reader")
    reader.close()


def auto_create():
    produce("ck-auto", ["made by its first message"])
    reader = consumer("ck-auto")
    reader.subscribe(["ck-auto"])
    expect(take(reader, 1)[0].value(), b"made by its first message")
    reader.close()


def large():
    create("ck-large", 1, {"max.message.bytes": str(16 * 1024 * 1024)})
    body = os.urandom(5 * 1024 * 1024)
    produce("ck-large", [body], message_max_bytes=10 * 1024 * 1024)
    reader = consumer("ck-large", fetch_message_max_bytes=1024 * 1024)
    reader.subscribe(["ck-large"])
    expect(take(reader, 1)[0].value(), body)
    reader.close()


def many():
    create("ck-many", 2)
    produce("ck-many", (str(n) for n in range(100_000)), queue_buffering_max_messages=10_000)
    reader = consumer("ck-many")
    reader.subscribe(["ck-many"])
    got = take(reader, 100_000, 60)
    expect(len({message.value() for message in got}), 100_000)
    reader.close()


globals()[sys.argv[3]]()
