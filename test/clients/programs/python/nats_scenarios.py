"""Scenarios of nats-py, each run alone: nats_scenarios.py HOST PORT SCENARIO. Exit 0 = as expected."""

import asyncio
import os
import sys

import nats
from nats.errors import NoRespondersError

URL = f"nats://{sys.argv[1]}:{sys.argv[2]}"
WAIT = 15


async def connect(**more):
    async def failed(error):
        errors.append(error)

    errors = []
    client = await nats.connect(URL, error_cb=failed, allow_reconnect=False, **more)
    client.seen_errors = errors
    return client


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


async def publish_subscribe():
    client, other = await connect(), await connect()
    subscription = await client.subscribe("py.data")
    await client.flush()
    for body in (b"", b"text", os.urandom(1000), bytes(1024 * 1024)):
        await other.publish("py.data", body)
        message = await subscription.next_msg(WAIT)
        expect((message.subject, message.data), ("py.data", body))


async def wildcards():
    client = await connect()
    star = await client.subscribe("py.w.*.c")
    rest = await client.subscribe("py.w.>")
    for subject in ("py.w", "py.w.b.c", "py.w.b.d", "py.w.b.c.d"):
        await client.publish(subject, subject.encode())
    await client.flush()
    expect([(await star.next_msg(WAIT)).subject], ["py.w.b.c"])
    got = [(await rest.next_msg(WAIT)).subject for _ in range(3)]
    expect(got, ["py.w.b.c", "py.w.b.d", "py.w.b.c.d"])
    expect((star.pending_msgs, rest.pending_msgs), (0, 0))


async def queue_groups():
    client = await connect()
    members = [await client.subscribe("py.q", queue="workers") for _ in range(3)]
    witness = await client.subscribe("py.q")
    await client.flush()
    publisher = await connect()
    for number in range(300):
        await publisher.publish("py.q", str(number).encode())
    await publisher.flush()
    for number in range(300):
        expect((await witness.next_msg(WAIT)).data, str(number).encode())
    await client.flush()
    counts = [member.pending_msgs for member in members]
    expect(sum(counts), 300)
    assert min(counts) > 30, f"one member is starved: {counts}"


async def request_reply():
    server, client = await connect(), await connect()

    async def answer(message):
        await message.respond(b"answer to " + message.data)

    await server.subscribe("py.service", cb=answer)
    await server.flush()
    for number in range(100):
        reply = await client.request("py.service", str(number).encode(), timeout=WAIT)
        expect(reply.data, b"answer to " + str(number).encode())


async def no_responders():
    client = await connect()
    try:
        await client.request("py.nobody", b"x", timeout=WAIT)
        raise AssertionError("an answer from nobody")
    except NoRespondersError:
        pass


async def headers():
    client = await connect()
    subscription = await client.subscribe("py.headers")
    sent = {"Content-Type": "text/plain", "x-lower": "kept", "Colon": "a:b c"}
    await client.publish("py.headers", b"body", headers=sent)
    message = await subscription.next_msg(WAIT)
    expect((message.data, message.headers), (b"body", sent))


async def unsubscribe_after():
    client = await connect()
    got = []

    async def take(message):
        got.append(message.data)

    subscription = await client.subscribe("py.max", cb=take)
    await subscription.unsubscribe(limit=5)
    end = await client.subscribe("py.max.end")
    for _ in range(10):
        await client.publish("py.max", b"x")
    await client.publish("py.max.end", b"end")
    await end.next_msg(WAIT)
    expect(len(got), 5)


async def echo():
    silent, other = await connect(no_echo=True), await connect()
    own = await silent.subscribe("py.echo")
    others = await other.subscribe("py.echo")
    await asyncio.gather(silent.flush(), other.flush())
    await silent.publish("py.echo", b"1")
    await others.next_msg(WAIT)
    await other.publish("py.echo", b"2")
    expect((await own.next_msg(WAIT)).data, b"2")


async def verbose_and_pedantic():
    client = await connect(verbose=True, pedantic=True)
    subscription = await client.subscribe("py.verbose")
    await client.publish("py.verbose", b"x")
    expect((await subscription.next_msg(WAIT)).data, b"x")
    expect(client.seen_errors, [])


async def credentials():
    client = await connect(user="admin", password="robustmq")
    await client.flush()
    try:
        await connect(user="admin", password="wrong")
        raise AssertionError("a wrong password was let in")
    except nats.errors.Error as error:
        assert "authorization" in str(error).lower(), error


async def drain():
    client, other = await connect(), await connect()
    got = []

    async def take(message):
        got.append(message.data)

    await client.subscribe("py.drain", cb=take)
    await client.flush()
    for number in range(1000):
        await other.publish("py.drain", str(number).encode())
    await other.flush()
    await client.flush()
    await client.drain()
    expect(len(got), 1000)


async def many():
    client, other = await connect(pending_size=64 * 1024 * 1024), await connect()
    subscription = await other.subscribe("py.many", pending_msgs_limit=-1, pending_bytes_limit=-1)
    await other.flush()
    for number in range(50_000):
        await client.publish("py.many", str(number).encode())
    await client.flush()
    for number in range(50_000):
        expect(int((await subscription.next_msg(WAIT)).data), number)


async def limits():
    client = await connect()
    assert client.max_payload >= 1024 * 1024, client.max_payload
    assert client.connected_server_version.major >= 2, client.connected_server_version


asyncio.run(globals()[sys.argv[3]]())
