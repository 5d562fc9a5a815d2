"""aiomqtt, all scenarios in one run: aiomqtt_scenarios.py HOST PORT WEBSOCKET_PORT. Prints `ok NAME`."""

import asyncio
import socket
import sys
import traceback

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

HOST, PORT, WEBSOCKET_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
WAIT = 20
V311, V5 = aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5


def client(identifier=None, port=PORT, protocol=V5, **more):
    return aiomqtt.Client(HOST, port, identifier=identifier, protocol=protocol, **more)


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


async def take(from_client, count):
    """The next messages; the iterator is aiomqtt's own way to read."""
    async with asyncio.timeout(WAIT):
        messages = []
        while len(messages) < count:
            messages.append(await anext(from_client.messages))
        return messages


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def payloads(messages):
    return [message.payload.decode() for message in messages]


async def qos():
    for protocol in (V311, V5):
        async with client(protocol=protocol) as reader, client(protocol=protocol) as writer:
            for level in (0, 1, 2):
                topic = f"aio/qos/{protocol.name}/{level}"
                await reader.subscribe(topic, level)
                wanted = [f"{level}-{number}" for number in range(20)]
                for text in wanted:
                    await writer.publish(topic, text, level)
                messages = await take(reader, 20)
                expect(payloads(messages), wanted)
                expect({message.qos for message in messages}, {level})


async def retained():
    async with client() as writer:
        await writer.publish("aio/retained", "kept", 1, True)
        async with client() as reader:
            await reader.subscribe("aio/retained", 1)
            [message] = await take(reader, 1)
            expect((message.payload, message.retain), (b"kept", True))
        await writer.publish("aio/retained", b"", 1, True)
        await writer.publish("aio/retained-too", "kept too", 1, True)
        async with client() as reader:
            await reader.subscribe([("aio/retained", 1), ("aio/retained-too", 1)])
            expect(payloads(await take(reader, 1)), ["kept too"])


async def will():
    async with client() as witness:
        await witness.subscribe("aio/will", 2)
        testament = aiomqtt.Will("aio/will", "gone", 2)
        try:
            async with client("aio-will", will=testament) as dying:
                dying._client.socket().shutdown(socket.SHUT_RDWR)
                await anext(dying.messages)  # Ends with the connection.
        except aiomqtt.MqttError:
            pass
        [message] = await take(witness, 1)
        expect((message.payload, message.qos), (b"gone", 2))


async def session():
    keep = {"clean_start": False, "properties": properties(PacketTypes.CONNECT, SessionExpiryInterval=300)}
    for protocol, more in ((V311, {"clean_session": False}), (V5, keep)):
        topic, name = f"aio/session/{protocol.name}", f"aio-{protocol.name}"
        async with client(name, protocol=protocol, **more) as reader:
            await reader.subscribe(topic, 2)
        wanted = [str(number) for number in range(30)]
        async with client() as writer:
            for number, text in enumerate(wanted):
                await writer.publish(topic, text, 1 + number % 2)
        async with client(name, protocol=protocol, **more) as reader:
            messages = await take(reader, 30)
            # Order holds for one topic at one QoS; a QoS 2 message is handed over at its PUBREL.
            for level in (1, 2):
                texts = payloads([message for message in messages if message.qos == level])
                expect(texts, wanted[level - 1 :: 2])


async def shared():
    async with client() as first, client() as second, client() as writer:
        for member in (first, second):
            await member.subscribe("$share/aio/aio/shared", 1)
        for number in range(60):
            await writer.publish("aio/shared", str(number), 1)
        counts = []

        async def read(member):
            async for message in member.messages:
                counts.append((member, int(message.payload)))
                if len(counts) == 60:
                    return

        async with asyncio.timeout(WAIT):
            readers = [asyncio.create_task(read(member)) for member in (first, second)]
            await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            for reader in readers:
                reader.cancel()
        expect(sorted(number for _, number in counts), list(range(60)))
        expect(len({member for member, _ in counts}), 2)


async def version5():
    async with client() as reader, client() as writer:
        identified = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=7)
        await reader.subscribe("aio/v5/+", 1, properties=identified)
        sent = properties(
            PacketTypes.PUBLISH,
            UserProperty=[("b", "1"), ("a", "2"), ("b", "3")],
            MessageExpiryInterval=100,
            ResponseTopic="aio/answers",
            CorrelationData=b"\x00\xff",
            ContentType="text/plain",
            PayloadFormatIndicator=1,
            TopicAlias=3,
        )
        await writer.publish("aio/v5/alias", "first", 1, properties=sent)
        alias = properties(PacketTypes.PUBLISH, TopicAlias=3)
        await writer.publish("", "by alias", 1, properties=alias)
        first, second = await take(reader, 2)
        got = first.properties
        expect(got.UserProperty, [("b", "1"), ("a", "2"), ("b", "3")])
        assert 0 < got.MessageExpiryInterval <= 100
        expect((got.ResponseTopic, got.CorrelationData), ("aio/answers", b"\x00\xff"))
        expect((got.ContentType, got.PayloadFormatIndicator), ("text/plain", 1))
        expect(got.SubscriptionIdentifier, [7])
        expect((str(second.topic), second.payload), ("aio/v5/alias", b"by alias"))


async def options():
    async with client() as both:
        [code] = await both.subscribe("aio/own", options=SubscribeOptions(qos=1, noLocal=True))
        expect(code.value, 1)
        await both.subscribe("aio/other", 1)
        await both.publish("aio/own", "not for me", 1)
        await both.publish("aio/other", "for me", 1)
        expect(payloads(await take(both, 1)), ["for me"])


async def refused():
    for protocol, code in ((V311, 5), (V5, 0x86)):
        try:
            async with client(protocol=protocol, username="admin", password="wrong"):
                raise AssertionError("a wrong password was taken")
        except aiomqtt.MqttCodeError as error:
            value = getattr(error.rc, "value", error.rc)
            assert value in (code, 0x86), error
    async with client() as plain:
        [code] = await plain.subscribe("forbidden/area", 1)
        expect(code.value, 0x87)
    async with client(protocol=V311) as plain:
        [code] = await plain.subscribe("forbidden/area", 1)
        expect(getattr(code, "value", code), 0x80)


async def websocket():
    web = {"port": WEBSOCKET_PORT, "transport": "websockets", "websocket_path": "/mqtt"}
    async with client(**web) as reader, client() as writer:
        await reader.subscribe("aio/web", 2)
        body = bytes(range(256)) * 400
        await writer.publish("aio/web", body, 2)
        [message] = await take(reader, 1)
        expect(message.payload, body)


SCENARIOS = (qos, retained, will, session, shared, version5, options, refused, websocket)


async def main():
    failures = 0
    for scenario in SCENARIOS:
        try:
            await scenario()
            print("ok", scenario.__name__)
        except Exception as error:
            failures += 1
            traceback.print_exc()
            print("failed", scenario.__name__, repr(error))
    sys.exit(1 if failures else 0)


asyncio.run(main())
