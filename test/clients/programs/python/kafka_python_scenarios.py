"""Scenarios of kafka-python: kafka_python_scenarios.py HOST PORT SCENARIO."""

import os
import sys
import threading
import time
import uuid

from kafka import (
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    OffsetSpec,
    TopicPartition,
)
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import ProducerFencedError, TopicAlreadyExistsError

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
WAIT = 30
TIME = 1_700_000_000_000


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def admin():
    return KafkaAdminClient(bootstrap_servers=SERVER)


def create(partitions=1, configs=None):
    topic = f"kp-{sys.argv[3]}-{uuid.uuid4().hex}"
    with_configs = {"num_partitions": partitions, "configs": configs or {}}
    client = admin()
    client.create_topics({topic: with_configs}, wait_for_metadata=True)
    client.close()
    return topic


def producer(**more):
    return KafkaProducer(bootstrap_servers=SERVER, **more)


def consumer(*topics, **more):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **more}
    return KafkaConsumer(*topics, bootstrap_servers=SERVER, **settings)


def take(client, count):
    got = []
    until = time.monotonic() + WAIT
    while len(got) < count and time.monotonic() < until:
        for records in client.poll(timeout_ms=500).values():
            got += records
    expect(len(got), count)
    return got


def fill(partitions=1, count=10):
    """A topic with records 0..count-1, one second apart, in each partition."""
    topic = create(partitions)
    client = producer()
    for number in range(count):
        for partition in range(partitions):
            client.send(topic, str(number).encode(), partition=partition,
                        timestamp_ms=TIME + number * 1000)
    client.close()
    return topic


def codecs():
    topic = create(3)
    headers = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("empty", b"")]
    wanted = {}
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        client = producer(enable_idempotence=True, compression_type=codec, linger_ms=20)
        for number in range(30):
            key = f"{codec} {number}".encode()
            wanted[key] = os.urandom(500) + key * 50
            client.send(topic, wanted[key], key=key, headers=headers, timestamp_ms=TIME + number)
        client.flush(WAIT)
        client.close()
    reader = consumer(topic, check_crcs=True)
    got = take(reader, len(wanted))
    expect({record.key: record.value for record in got}, wanted)
    expect({record.partition for record in got}, {0, 1, 2})
    for record in got:
        expect([tuple(header) for header in record.headers], headers)
        expect(record.timestamp, TIME + int(record.key.split()[1]))
    reader.close()


def nulls():
    topic = create()
    client = producer()
    pairs = [(b"key", b"value"), (None, b"value"), (b"key", None), (b"", b"")]
    for key, value in pairs:
        client.send(topic, value, key=key)
    client.close()
    reader = consumer(topic)
    expect([(record.key, record.value) for record in take(reader, len(pairs))], pairs)
    reader.close()


class Member(threading.Thread):
    """A consumer in a thread of its own. This client drops an assignment that comes between two
    polls and joins anew, so that two members whose polls alternate rebalance for ever."""

    def __init__(self, topic, changed):
        super().__init__(daemon=True)
        self.client = consumer(topic, group_id=topic)
        self.owned = set()
        self.changed = changed
        self.leaving = False
        self.failed = None

    def run(self):
        try:
            while not self.leaving:
                self.client.poll(timeout_ms=200)
                with self.changed:
                    self.owned = {each.partition for each in self.client.assignment()}
                    self.changed.notify_all()
        except Exception as error:
            with self.changed:
                self.failed = error
                self.changed.notify_all()

    def leave(self):
        self.leaving = True
        self.join()


def settled(members, sizes):
    """Waits until each of three partitions has one owner, and members own so many."""

    def so():
        for member in members:
            if member.failed is not None:
                raise member.failed
        owned = sorted(partition for member in members for partition in member.owned)
        return owned == [0, 1, 2] and sorted(len(member.owned) for member in members) == sizes

    changed = members[0].changed
    with changed:
        assert changed.wait_for(so, WAIT), f"partitions are {[m.owned for m in members]}"


def group():
    topic = fill(3)
    changed = threading.Condition()
    members = [Member(topic, changed) for _ in range(2)]
    for member in members:
        member.start()
    settled(members, [1, 2])
    members[1].leave()
    members[1].client.close()
    settled(members[:1], [3])
    members[0].leave()
    last = members[0].client
    offsets = {TopicPartition(topic, p): OffsetAndMetadata(4 + p, f"m{p}", -1) for p in range(3)}
    last.commit(offsets)
    last.close()
    again = consumer(topic, group_id=topic)
    got = sorted((r.partition, r.offset, r.value) for r in take(again, 6 + 5 + 4))
    wanted = [(p, n, str(n).encode()) for p in range(3) for n in range(4 + p, 10)]
    expect(got, wanted)
    expect(again.committed(TopicPartition(topic, 2), metadata=True).metadata, "m2")
    again.close()


def seek():
    topic = fill()
    part = TopicPartition(topic, 0)
    reader = consumer()
    reader.assign([part])
    expect((reader.beginning_offsets([part]), reader.end_offsets([part])), ({part: 0}, {part: 10}))
    found = reader.offsets_for_times({part: TIME + 2001})[part]
    expect((found.offset, found.timestamp), (3, TIME + 3000))
    reader.seek(part, found.offset)
    expect([record.offset for record in take(reader, 7)], list(range(3, 10)))
    reader.seek_to_beginning(part)
    expect(take(reader, 10)[0].value, b"0")
    reader.seek_to_end(part)
    expect(reader.position(part), 10)
    reader.close()


def offsets():
    topic = fill(2)
    client = admin()
    first, second = (TopicPartition(topic, partition) for partition in range(2))
    client.delete_records({first: 4})
    reader = consumer()
    expect(reader.beginning_offsets([first, second]), {first: 4, second: 0})
    listed = client.list_partition_offsets(
        {first: OffsetSpec.EARLIEST, second: OffsetSpec.MAX_TIMESTAMP}
    )
    expect([(listed[part].offset) for part in (first, second)], [4, 9])
    reader.assign([first])
    expect([record.offset for record in take(reader, 6)], list(range(4, 10)))
    reader.close()
    client.close()


def configs():
    topic = create(1, {"retention.ms": "3600000"})
    client = admin()
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def modified():
        found = client.describe_configs([resource])["topic"][topic]
        return {name: entry["value"] for name, entry in found.items()}

    expect(modified(), {"retention.ms": "3600000"})
    change = {"retention.ms": "7200000", "cleanup.policy": "compact"}
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, change)])
    expect(modified(), change)
    client.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, ["retention.ms"])])
    expect(modified(), {"cleanup.policy": "compact"})
    client.close()


def admins():
    topic = create(3)
    client = admin()
    assert topic in client.list_topics()
    expect(len(client.describe_topics([topic])[0]["partitions"]), 3)
    try:
        client.create_topics({topic: {"num_partitions": 1}})
        raise AssertionError("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    client.create_partitions({topic: 5})
    expect(len(client.describe_topics([topic])[0]["partitions"]), 5)
    reader = consumer(topic, group_id=topic)
    until = time.monotonic() + WAIT
    while time.monotonic() < until and len(reader.assignment()) < 5:
        reader.poll(timeout_ms=100)
    assert topic in [group["group_id"] for group in client.list_groups()]
    described = client.describe_groups([topic])[topic]
    expect((str(described["group_state"]).rpartition(".")[2].lower(), len(described["members"])),
           ("stable", 1))
    reader.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)})
    reader.close()
    client.delete_groups([topic])
    assert topic not in [group["group_id"] for group in client.list_groups()]
    client.delete_topics([topic])
    assert topic not in client.list_topics()
    client.close()


def transactions():
    topic = create(2)
    part = TopicPartition(topic, 0)
    writer = producer(transactional_id=topic)
    writer.init_transactions()
    for turn in range(4):
        writer.begin_transaction()
        for number in range(6):
            writer.send(topic, f"{turn}.{number}".encode(), partition=number % 2)
        if turn % 2 == 0:
            reader = consumer(group_id=topic)
            done = {part: OffsetAndMetadata(turn + 1, "", -1)}
            writer.send_offsets_to_transaction(done, reader.group_metadata())
            reader.close()
            writer.commit_transaction()
        else:
            writer.flush(WAIT)
            writer.abort_transaction()
    reader = consumer(topic, group_id=topic, isolation_level="read_committed")
    expect(reader.committed(part), 3)
    reader.close()
    reader = consumer(topic, isolation_level="read_committed")
    values = sorted(record.value.decode() for record in take(reader, 12))
    expect(values, [f"{turn}.{number}" for turn in (0, 2) for number in range(6)])
    reader.close()
    fresh = producer(transactional_id=topic)
    fresh.init_transactions()
    try:
        writer.begin_transaction()
        writer.send(topic, b"zombie", partition=0).get(WAIT)
        writer.commit_transaction()
        raise AssertionError("the producer before is not fenced")
    except ProducerFencedError:
        pass
    fresh.close()


globals()[sys.argv[3]]()
