"""Scenarios of aiokafka: aiokafka_scenarios.py HOST PORT SCENARIO."""

import asyncio
import os
import sys
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ProducerFenced

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
WAIT = 30
TIME = 1_700_000_000_000


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def admin():
    return AIOKafkaAdminClient(bootstrap_servers=SERVER)


def producer(**more):
    return AIOKafkaProducer(bootstrap_servers=SERVER, **more)


def consumer(*topics, **more):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **more}
    return AIOKafkaConsumer(*topics, bootstrap_servers=SERVER, **settings)


async def create(partitions=1, configs=None):
    topic = f"ak-{sys.argv[3]}-{uuid.uuid4().hex}"
    async with admin_of() as client:
        made = await client.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        expect([error for _, error, *_ in made.topic_errors], [0])
    return topic


class admin_of:
    """The admin client has no context of its own."""

    async def __aenter__(self):
        self.client = admin()
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


async def take(client, count):
    async def all_of_them():
        return [await client.getone() for _ in range(count)]

    return await asyncio.wait_for(all_of_them(), WAIT)


async def fill(partitions=1, count=10):
    """A topic with records 0..count-1, one second apart, in each partition."""
    topic = await create(partitions)
    async with producer() as client:
        for number in range(count):
            for partition in range(partitions):
                await client.send_and_wait(topic, str(number).encode(), partition=partition,
                                           timestamp_ms=TIME + number * 1000)
    return topic


async def codecs():
    topic = await create(3)
    headers = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("empty", b"")]
    wanted = {}
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        settings = {"enable_idempotence": True, "compression_type": codec, "linger_ms": 20}
        async with producer(**settings) as client:
            waiting = []
            for number in range(30):
                key = f"{codec} {number}".encode()
                wanted[key] = os.urandom(500) + key * 50
                waiting.append(await client.send(topic, wanted[key], key=key, headers=headers,
                                                 timestamp_ms=TIME + number))
            await asyncio.gather(*waiting)
    async with consumer(topic, check_crcs=True) as reader:
        got = await take(reader, len(wanted))
    expect({record.key: record.value for record in got}, wanted)
    expect({record.partition for record in got}, {0, 1, 2})
    for record in got:
        expect(list(record.headers), headers)
        expect(record.timestamp, TIME + int(record.key.split()[1]))


async def nulls():
    topic = await create()
    pairs = [(b"key", b"value"), (None, b"value"), (b"key", None), (b"", b"")]
    async with producer() as client:
        for key, value in pairs:
            await client.send_and_wait(topic, value, key=key)
    async with consumer(topic) as reader:
        expect([(record.key, record.value) for record in await take(reader, 4)], pairs)


async def assigned(members, sizes):
    async def settled():
        while sorted(len(member.assignment()) for member in members) != sizes:
            await asyncio.gather(*(member.getmany(timeout_ms=100) for member in members))

    await asyncio.wait_for(settled(), WAIT)


async def group():
    topic = await fill(3)
    first, second = consumer(topic, group_id=topic), consumer(topic, group_id=topic)
    await first.start()
    await second.start()
    await assigned([first, second], [1, 2])
    owned = [part.partition for member in (first, second) for part in member.assignment()]
    expect(sorted(owned), [0, 1, 2])
    await second.stop()
    await assigned([first], [3])
    await first.commit({TopicPartition(topic, p): (4 + p, f"m{p}") for p in range(3)})
    await first.stop()
    async with consumer(topic, group_id=topic) as again:
        got = sorted((r.partition, r.offset, r.value) for r in await take(again, 6 + 5 + 4))
        expect(got, [(p, n, str(n).encode()) for p in range(3) for n in range(4 + p, 10)])
        expect(await again.committed(TopicPartition(topic, 2)), 6)


async def seek():
    topic = await fill()
    part = TopicPartition(topic, 0)
    async with consumer() as reader:
        reader.assign([part])
        expect(await reader.beginning_offsets([part]), {part: 0})
        expect(await reader.end_offsets([part]), {part: 10})
        found = (await reader.offsets_for_times({part: TIME + 2001}))[part]
        expect((found.offset, found.timestamp), (3, TIME + 3000))
        reader.seek(part, found.offset)
        expect([record.offset for record in await take(reader, 7)], list(range(3, 10)))
        await reader.seek_to_beginning(part)
        expect((await take(reader, 10))[0].value, b"0")
        await reader.seek_to_end(part)
        expect(await reader.position(part), 10)


async def admins():
    topic = await fill(2)
    async with admin_of() as client:
        assert topic in await client.list_topics()
        await client.create_partitions({topic: NewPartitions(4)})
        described = await client.describe_topics([topic])
        expect(len(described[0]["partitions"]), 4)
        part = TopicPartition(topic, 0)
        expect(await client.delete_records({part: RecordsToDelete(4)}), {part: 4})
        change = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})
        await client.alter_configs([change])
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        answers = await client.describe_configs([asked])
        values = {entry[0]: entry[1] for one in answers for entry in one.resources[0][4]}
        expect(values["retention.ms"], "7200000")
        async with consumer(topic, group_id=topic) as reader:
            await assigned([reader], [4])
            await reader.commit({part: 5})
            assert topic in [name for name, *_ in await client.list_consumer_groups()]
            group = (await client.describe_consumer_groups([topic]))[0].groups[0]
            expect((group[2], len(group[5])), ("Stable", 1))
        offsets = await client.list_consumer_group_offsets(topic)
        expect(offsets[part].offset, 5)
        await client.delete_topics([topic])
        assert topic not in await client.list_topics()


async def transactions():
    topic = await create(2)
    part = TopicPartition(topic, 0)
    async with producer(transactional_id=topic) as writer:
        for turn in range(4):
            await writer.begin_transaction()
            for number in range(6):
                await writer.send_and_wait(topic, f"{turn}.{number}".encode(), partition=number % 2)
            if turn % 2 == 0:
                await writer.send_offsets_to_transaction({part: turn + 1}, topic)
                await writer.commit_transaction()
            else:
                await writer.abort_transaction()
        async with consumer(topic, isolation_level="read_committed") as reader:
            values = sorted(record.value.decode() for record in await take(reader, 12))
            expect(values, [f"{turn}.{number}" for turn in (0, 2) for number in range(6)])
        async with consumer(topic, group_id=topic) as reader:
            expect(await reader.committed(part), 3)


async def fencing():
    topic = await create()
    try:
        async with producer(transactional_id=topic) as writer:
            async with producer(transactional_id=topic):
                await writer.begin_transaction()
                await writer.send_and_wait(topic, b"zombie", partition=0)
                await writer.commit_transaction()
    except ProducerFenced:
        return
    raise AssertionError("the producer before is not fenced")


asyncio.run(globals()[sys.argv[3]]())
