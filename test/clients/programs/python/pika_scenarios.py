"""Scenarios of pika, each run alone: pika_scenarios.py HOST PORT SCENARIO. Exit 0 = as expected."""

import datetime
import os
import sys
import time

import pika
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ProbableAuthenticationError,
    UnroutableError,
)

HOST, PORT = sys.argv[1], int(sys.argv[2])
WAIT = 15


def connect(user="guest", password="guest", **more):
    credentials = pika.PlainCredentials(user, password)
    parameters = pika.ConnectionParameters(HOST, PORT, credentials=credentials, **more)
    return pika.BlockingConnection(parameters)


def opened():
    return connect().channel()


def drain(channel, queue, count, auto_ack=True):
    """The next `count` messages of a queue, in order."""
    got = []
    for method, properties, body in channel.consume(queue, auto_ack=auto_ack, inactivity_timeout=WAIT):
        assert method is not None, f"only {len(got)} of {count} messages came"
        got.append((method, properties, body))
        if len(got) == count:
            break
    channel.cancel()
    return got


def refused(code, action):
    """The action closes its channel with this reply code."""
    try:
        action()
    except ChannelClosedByBroker as error:
        assert error.reply_code == code, (error.reply_code, error.reply_text)
        return error.reply_text
    raise AssertionError(f"expected {code}")


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def default_exchange():
    channel = opened()
    channel.queue_declare("pika.default")
    for body in (b"", b"text", os.urandom(1000), bytes(range(256)) * 2000):
        channel.basic_publish("", "pika.default", body)
        method, properties, got = drain(channel, "pika.default", 1)[0]
        expect(got, body)
        expect((method.exchange, method.routing_key), ("", "pika.default"))


def confirms():
    channel = opened()
    channel.confirm_delivery()
    channel.queue_declare("pika.confirms", durable=True)
    for number in range(200):
        persistent = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "pika.confirms", str(number), persistent, mandatory=True)
    expect([int(body) for _, _, body in drain(channel, "pika.confirms", 200)], list(range(200)))


def mandatory():
    channel = opened()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", "pika.nowhere", b"x", mandatory=True)
        raise AssertionError("an unroutable mandatory message was accepted")
    except UnroutableError as error:
        returned = error.messages[0]
        expect((returned.method.reply_code, returned.method.reply_text), (312, "NO_ROUTE"))
        expect(returned.body, b"x")
    channel.basic_publish("", "pika.nowhere", b"x", mandatory=False)


def properties():
    channel = opened()
    channel.queue_declare("pika.properties")
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    sent = pika.BasicProperties(
        content_type="text/plain",
        content_encoding="gzip",
        headers={
            "text": "äöü",
            "number": 42,
            "large": 2**40,
            "negative": -7,
            "true": True,
            "when": now,
            "nothing": None,
            "bytes": b"\x00\xff",
            "list": [1, "two", {"three": 3}],
            "table": {"inner": {"deep": "x"}},
        },
        delivery_mode=2,
        priority=7,
        correlation_id="c-1",
        reply_to="answers",
        expiration="60000",
        message_id="m-1",
        timestamp=1_700_000_000,
        type="kind",
        user_id="guest",
        app_id="app",
    )
    channel.basic_publish("", "pika.properties", b"x", sent)
    _, got, _ = drain(channel, "pika.properties", 1)[0]
    for name in (
        "content_type content_encoding headers delivery_mode priority correlation_id reply_to "
        "message_id timestamp type user_id app_id"
    ).split():
        expect((name, getattr(got, name)), (name, getattr(sent, name)))
    expect(list(got.headers), list(sent.headers))
    assert 50_000 <= int(got.expiration) <= 60_000, got.expiration


def topic_exchange():
    channel = opened()
    channel.exchange_declare("pika.topics", "topic")
    bindings = {"a.*.c": [], "a.#": [], "#": [], "*.b": [], "x.y": []}
    for key in bindings:
        channel.queue_declare(f"pika.t.{key}")
        channel.queue_bind(f"pika.t.{key}", "pika.topics", key)
    for key in ("a", "a.b", "a.b.c", "a.b.c.d", "x.y", "a..c"):
        channel.basic_publish("pika.topics", key, key)
    wanted = {
        "a.*.c": ["a.b.c", "a..c"],
        "a.#": ["a", "a.b", "a.b.c", "a.b.c.d", "a..c"],
        "#": ["a", "a.b", "a.b.c", "a.b.c.d", "x.y", "a..c"],
        "*.b": ["a.b"],
        "x.y": ["x.y"],
    }
    for key, keys in wanted.items():
        got = drain(channel, f"pika.t.{key}", len(keys))
        expect((key, [body.decode() for _, _, body in got]), (key, keys))
        expect(channel.basic_get(f"pika.t.{key}"), (None, None, None))


def direct_and_fanout():
    channel = opened()
    channel.exchange_declare("pika.direct", "direct")
    channel.exchange_declare("pika.fanout", "fanout")
    for queue in ("pika.d1", "pika.d2"):
        channel.queue_declare(queue)
        channel.queue_bind(queue, "pika.direct", queue)
        channel.queue_bind(queue, "pika.fanout")
    channel.basic_publish("pika.direct", "pika.d1", b"one")
    channel.basic_publish("pika.fanout", "ignored", b"all")
    expect([b for _, _, b in drain(channel, "pika.d1", 2)], [b"one", b"all"])
    expect([b for _, _, b in drain(channel, "pika.d2", 1)], [b"all"])
    channel.queue_unbind("pika.d2", "pika.fanout")
    channel.basic_publish("pika.fanout", "", b"again")
    drain(channel, "pika.d1", 1)
    expect(channel.basic_get("pika.d2"), (None, None, None))


def acknowledgements():
    channel = opened()
    channel.queue_declare("pika.acks")
    for number in range(5):
        channel.basic_publish("", "pika.acks", str(number))
    first, _, body = channel.basic_get("pika.acks")
    expect((body, first.redelivered, first.message_count), (b"0", False, 4))
    channel.basic_nack(first.delivery_tag, requeue=True)
    again, _, body = channel.basic_get("pika.acks")
    expect((body, again.redelivered), (b"0", True))
    channel.basic_ack(again.delivery_tag)
    dropped, _, body = channel.basic_get("pika.acks")
    expect(body, b"1")
    channel.basic_reject(dropped.delivery_tag, requeue=False)
    for wanted in (b"2", b"3", b"4"):
        method, _, body = channel.basic_get("pika.acks")
        expect(body, wanted)
    channel.basic_ack(method.delivery_tag, multiple=True)
    expect(channel.basic_get("pika.acks"), (None, None, None))
    refused(406, lambda: (channel.basic_ack(99), channel.basic_get("pika.acks")))


def unacked_come_back():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("pika.back")
    for number in range(3):
        channel.basic_publish("", "pika.back", str(number))
    for _ in range(3):
        channel.basic_get("pika.back")
    connection.close()
    got = drain(opened(), "pika.back", 3)
    expect([body for _, _, body in got], [b"0", b"1", b"2"])
    expect([method.redelivered for method, _, _ in got], [True] * 3)


def prefetch():
    channel = opened()
    channel.queue_declare("pika.prefetch")
    for number in range(10):
        channel.basic_publish("", "pika.prefetch", str(number))
    channel.basic_qos(prefetch_count=3)
    got = []
    channel.basic_consume("pika.prefetch", lambda c, method, p, body: got.append(method))
    while len(got) < 3:
        channel.connection.process_data_events(time_limit=WAIT)
    # The answer of a synchronous method comes after everything sent before it.
    state = channel.queue_declare("pika.prefetch", passive=True)
    expect((len(got), state.method.message_count), (3, 7))
    channel.basic_ack(got[0].delivery_tag)
    channel.connection.process_data_events(time_limit=WAIT)
    expect(len(got), 4)


def queue_life():
    connection = connect()
    channel = connection.channel()
    name = channel.queue_declare("", exclusive=True).method.queue
    assert name.startswith("amq.gen-"), name
    other = connect().channel()
    refused(405, lambda: other.queue_declare(name, passive=True))
    connection.close()
    refused(404, lambda: opened().queue_declare(name, passive=True))
    channel = opened()
    expect(channel.queue_declare("pika.life").method.message_count, 0)
    for _ in range(3):
        channel.basic_publish("", "pika.life", b"x")
    expect(channel.queue_purge("pika.life").method.message_count, 3)
    channel.basic_publish("", "pika.life", b"x")
    expect(channel.queue_delete("pika.life").method.message_count, 1)
    refused(404, lambda: channel.queue_declare("pika.life", passive=True))
    channel = opened()
    channel.queue_declare("pika.args", durable=True)
    refused(406, lambda: channel.queue_declare("pika.args", durable=False))


def cancel_notify():
    channel = opened()
    channel.queue_declare("pika.cancel")
    cancelled = []
    channel.add_on_cancel_callback(cancelled.append)
    channel.basic_consume("pika.cancel", lambda *message: None)
    opened().queue_delete("pika.cancel")
    until = time.monotonic() + WAIT
    while not cancelled and time.monotonic() < until:
        channel.connection.process_data_events(time_limit=1)
    assert cancelled, "no basic.cancel came"


def errors():
    refused(404, lambda: opened().basic_get("pika.missing"))
    refused(404, lambda: drain(opened(), "pika.missing", 1))
    channel = opened()

    def publish():
        channel.basic_publish("pika.no-exchange", "k", b"x")
        channel.queue_declare("pika.after")

    refused(404, publish)
    refused(403, lambda: opened().exchange_declare("amq.mine", "direct"))
    refused(406, lambda: opened().exchange_declare("amq.topic", "fanout"))


def credentials():
    connect("admin", "robustmq").close()
    for user, password in (("admin", "wrong"), ("nobody", "x")):
        try:
            connect(user, password)
            raise AssertionError(f"{user} was let in")
        except ProbableAuthenticationError as error:
            assert "403" in str(error), error
    try:
        connect(virtual_host="no-such-vhost")
        raise AssertionError("an unknown vhost was opened")
    except AMQPConnectionError as error:
        assert "530" in repr(error), repr(error)


def many():
    channel = opened()
    channel.queue_declare("pika.many", durable=True)
    for number in range(10_000):
        channel.basic_publish("", "pika.many", str(number), pika.BasicProperties(delivery_mode=2))
    channel.basic_qos(prefetch_count=200)
    wanted = iter(range(10_000))
    for method, _, body in channel.consume("pika.many", inactivity_timeout=WAIT):
        assert method is not None, "messages are missing"
        number = next(wanted)
        expect(int(body), number)
        channel.basic_ack(method.delivery_tag)
        if number == 9_999:
            break


def priorities():
    channel = opened()
    channel.queue_declare("pika.ranks", durable=True, arguments={"x-max-priority": 3})
    for number, priority in enumerate((0, 3, 1, 3, 9)):
        properties = pika.BasicProperties(delivery_mode=2, priority=priority)
        channel.basic_publish("", "pika.ranks", str(number), properties)
    got = drain(channel, "pika.ranks", 5)
    expect([int(body) for _, _, body in got], [1, 3, 4, 2, 0])


def dead_letters():
    channel = opened()
    channel.confirm_delivery()
    channel.exchange_declare("pika.dlx", "fanout", durable=True)
    channel.queue_declare("pika.dead", durable=True)
    channel.queue_bind("pika.dead", "pika.dlx")
    arguments = {
        "x-dead-letter-exchange": "pika.dlx",
        "x-message-ttl": 200,
        "x-max-length-bytes": 8,
    }
    channel.queue_declare("pika.dying", durable=True, arguments=arguments)
    for body in ("aaaa", "bbbb", "cccc"):
        channel.basic_publish("", "pika.dying", body, pika.BasicProperties(delivery_mode=2))
    got = drain(channel, "pika.dead", 3)
    deaths = {body: properties.headers["x-death"][0] for _, properties, body in got}
    expect(deaths[b"aaaa"]["reason"], "maxlen")
    expect([deaths[body]["reason"] for body in (b"bbbb", b"cccc")], ["expired", "expired"])
    for _, properties, _ in got:
        expect(properties.headers["x-first-death-queue"], "pika.dying")
        expect(properties.headers["x-death"][0]["count"], 1)


def publish_durable():
    """First half of the restart test."""
    channel = opened()
    channel.confirm_delivery()
    channel.exchange_declare("pika.kept", "direct", durable=True)
    channel.queue_declare("pika.kept", durable=True)
    channel.queue_bind("pika.kept", "pika.kept", "k")
    channel.queue_declare("pika.fleeting", durable=False)
    for number in range(20):
        channel.basic_publish("", "pika.kept", str(number), pika.BasicProperties(delivery_mode=2))
    for _ in range(5):
        method, _, _ = channel.basic_get("pika.kept")
        channel.basic_ack(method.delivery_tag)
    channel.queue_declare("pika.kept", passive=True, durable=True)
    channel.connection.close()


def consume_durable():
    """Second half, after the restart."""
    channel = opened()
    channel.basic_publish("pika.kept", "k", b"20")
    got = drain(channel, "pika.kept", 16)
    expect([int(body) for _, _, body in got], list(range(5, 21)))
    refused(404, lambda: opened().queue_declare("pika.fleeting", passive=True))


globals()[sys.argv[3]]()
