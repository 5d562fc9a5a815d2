"""MQTT over QUIC, QUIC by aioquic: quic_scenarios.py HOST PORT CA SCENARIO. Exit 0 = as expected."""

import asyncio
import ssl
import struct
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived

HOST, PORT, CA = sys.argv[1], int(sys.argv[2]), sys.argv[3]
WAIT = 40


def text(value):
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def packet(first, body):
    size, head = len(body), b""
    while True:
        digit, size = size % 128, size // 128
        head += bytes([digit | (128 if size else 0)])
        if size == 0:
            return bytes([first]) + head + body


class Client(QuicConnectionProtocol):
    """
    Packets of the first stream come out of a queue, None at its end; those of others out of one
    queue each.
    """

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.held = {}
        self.packets = asyncio.Queue()
        self.sides = {}
        self.alpn = None
        self.stream = None

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.alpn = event.alpn_protocol
        elif isinstance(event, ConnectionTerminated):
            self.packets.put_nowait(None)
        elif isinstance(event, StreamDataReceived):
            stream = event.stream_id
            packets = self.sides.get(stream, self.packets)
            self.held[stream] = self.held.get(stream, b"") + event.data
            while (found := self.take(stream)) is not None:
                packets.put_nowait(found)
            if event.end_stream:
                packets.put_nowait(None)

    def take(self, stream):
        held = self.held[stream]
        size, factor, at = 0, 1, 1
        while True:
            if at >= len(held):
                return None
            digit = held[at]
            size, factor, at = size + (digit & 127) * factor, factor * 128, at + 1
            if digit < 128:
                break
        if len(held) < at + size:
            return None
        self.held[stream] = held[at + size :]
        return held[0], held[at : at + size]

    def open_side(self):
        """Another stream: its id, and the queue of what comes on it."""
        stream = self._quic.get_next_available_stream_id()
        self.sides[stream] = asyncio.Queue()
        # The id is taken when something was sent.
        self._quic.send_stream_data(stream, b"")
        return stream

    def send_on(self, stream, data, end=False):
        self._quic.send_stream_data(stream, data, end)
        self.transmit()

    async def next_on(self, stream):
        return await asyncio.wait_for(self.sides[stream].get(), WAIT)

    def send(self, data):
        if self.stream is None:
            self.stream = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(self.stream, data)
        self.transmit()

    async def next(self):
        return await asyncio.wait_for(self.packets.get(), WAIT)

    async def hello(self, client_id):
        flags = bytes([5, 2]) + struct.pack(">H", 60) + b"\0"
        self.send(packet(0x10, text("MQTT") + flags + text(client_id)))
        kind, body = await self.next()
        assert kind == 0x20 and body[1] == 0, (kind, body)

    async def subscribe(self, topic_filter):
        self.send(packet(0x82, struct.pack(">H", 1) + b"\0" + text(topic_filter) + b"\1"))
        kind, body = await self.next()
        assert kind == 0x90 and body[-1] == 1, (kind, body)

    def publish(self, number, payload):
        self.send(packet(0x32, text("q/a") + struct.pack(">H", number) + b"\0" + payload))

    async def collect(self, count):
        """Acknowledges `count` messages and waits for as many acknowledgements."""
        payloads, acked = [], 0
        while len(payloads) < count or acked < count:
            found = await self.next()
            assert found is not None, (len(payloads), acked)
            kind, body = found
            if kind >> 4 == 3:
                end = 2 + struct.unpack(">H", body[:2])[0]
                self.send(bytes([0x40, 2]) + body[end : end + 2])
                payloads.append(body[end + 3 :])
            elif kind == 0x40:
                acked += 1
        return payloads


def dial(alpn="mqtt"):
    configuration = QuicConfiguration(alpn_protocols=[alpn], is_client=True, server_name="localhost")
    configuration.load_verify_locations(CA)
    return connect(HOST, PORT, configuration=configuration, create_protocol=Client)


async def messages():
    async with dial() as client:
        await client.hello("quic-messages")
        assert client.alpn == "mqtt", client.alpn
        await client.subscribe("q/#")
        bodies = [b"%d " % number * 500 for number in range(1, 201)]
        for number, body in enumerate(bodies, 1):
            client.publish(number, body)
        assert await client.collect(200) == bodies
        client.send(bytes([0xE0, 0]))
        assert await client.next() is None


async def large():
    async with dial() as client:
        await client.hello("quic-large")
        await client.subscribe("q/#")
        body = bytes(range(256)) * 8192
        client.publish(1, body)
        assert await client.collect(1) == [body]


async def moved(active):
    async with dial() as client:
        await client.hello("quic-moved")
        await client.subscribe("q/#")
        client.publish(1, b"before")
        assert await client.collect(1) == [b"before"]
        before = client._transport
        if active:
            client._quic.change_connection_id()
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: client, local_addr=("::", 0))
        ports = [each.get_extra_info("sockname")[1] for each in (before, client._transport)]
        assert ports[0] != ports[1], ports
        before.close()
        bodies = [b"after %d" % number for number in range(2, 52)]
        for number, body in enumerate(bodies, 2):
            client.publish(number, body)
        assert await client.collect(50) == bodies


async def migration():
    await moved(active=True)


async def rebinding():
    await moved(active=False)


def publish_packet(topic, number, payload):
    return packet(0x32, text(topic) + struct.pack(">H", number) + b"\0" + payload)


async def streams():
    """A stream for each topic: messages come on the stream of their subscription, in its order."""
    async with dial() as client:
        await client.hello("quic-streams")
        topics = ["m/a", "m/b", "m/c"]
        readers, writers = {}, {}
        for number, topic in enumerate(topics, 1):
            readers[topic] = client.open_side()
            subscribe = struct.pack(">H", number) + b"\0" + text(topic) + b"\1"
            client.send_on(readers[topic], packet(0x82, subscribe))
            kind, body = await client.next_on(readers[topic])
            assert kind == 0x90 and body[-1] == 1, (kind, body)
            writers[topic] = client.open_side()
        count = 100
        for turn in range(count):
            for place, topic in enumerate(topics):
                number = 1 + turn * len(topics) + place
                client.send_on(writers[topic], publish_packet(topic, number, b"%d" % turn * 200))
        for place, topic in enumerate(topics):
            for turn in range(count):
                kind, body = await client.next_on(writers[topic])
                answered = struct.unpack(">H", body[:2])[0]
                assert (kind, answered) == (0x40, 1 + turn * len(topics) + place), (kind, answered)
                kind, body = await client.next_on(readers[topic])
                end = 2 + struct.unpack(">H", body[:2])[0]
                assert kind >> 4 == 3 and body[2:end] == topic.encode(), (kind, body[:20])
                assert body[end + 3 :] == b"%d" % turn * 200, (topic, turn, body[end:])
                client.send_on(readers[topic], bytes([0x40, 2]) + body[end : end + 2])
        # The end of a stream: what was subscribed there comes on the first one.
        client.send_on(readers["m/a"], b"", end=True)
        assert await client.next_on(readers["m/a"]) is None
        client.send_on(writers["m/a"], publish_packet("m/a", 999, b"late"))
        kind, body = await client.next()
        assert kind >> 4 == 3 and body.endswith(b"late"), (kind, body)
        end = 2 + struct.unpack(">H", body[:2])[0]
        client.send(bytes([0x40, 2]) + body[end : end + 2])
        client.send(bytes([0xE0, 0]))
        assert await client.next() is None


async def stream_per_message():
    """Each message on a stream of its own that ends behind it; more than may be open at a time."""
    async with dial() as client:
        await client.hello("quic-each")
        await client.subscribe("e/#")
        count = 300
        streams = [client.open_side() for _ in range(count)]
        for number, stream in enumerate(streams, 1):
            client.send_on(stream, publish_packet("e/a", number, b"%d" % number), end=True)
        for number, stream in enumerate(streams, 1):
            kind, body = await client.next_on(stream)
            assert (kind, struct.unpack(">H", body[:2])[0]) == (0x40, number), (kind, body)
            assert await client.next_on(stream) is None
        got = set()
        while len(got) < count:
            kind, body = await client.next()
            assert kind >> 4 == 3, kind
            end = 2 + struct.unpack(">H", body[:2])[0]
            client.send(bytes([0x40, 2]) + body[end : end + 2])
            got.add(int(body[end + 3 :]))
        assert got == set(range(1, count + 1))


async def moved_streams():
    """Streams go on where the client has moved to."""
    async with dial() as client:
        await client.hello("quic-moved-streams")
        side = client.open_side()
        client.send_on(side, packet(0x82, struct.pack(">H", 1) + b"\0" + text("w/#") + b"\1"))
        assert (await client.next_on(side))[0] == 0x90
        before = client._transport
        client._quic.change_connection_id()
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: client, local_addr=("::", 0))
        before.close()
        for number in range(2, 52):
            client.send_on(side, publish_packet("w/a", number, b"%d" % number))
        got = []
        while len(got) < 50:
            kind, body = await client.next_on(side)
            if kind >> 4 != 3:
                continue
            end = 2 + struct.unpack(">H", body[:2])[0]
            client.send_on(side, bytes([0x40, 2]) + body[end : end + 2])
            got.append(body[end + 3 :])
        assert got == [b"%d" % number for number in range(2, 52)], got


async def broken_stream():
    """A stream that breaks with unacknowledged messages ends the connection, which says why."""
    async with dial() as client:
        await client.hello("quic-broken")
        quiet = client.open_side()
        client.send_on(quiet, packet(0x30, text("b/x") + b"\0" + b"hello"))
        client._quic.reset_stream(quiet, 7)
        client.transmit()
        client.send(bytes([0xC0, 0]))
        kind, _ = await client.next()
        assert kind == 0xD0, kind
        side = client.open_side()
        client.send_on(side, packet(0x82, struct.pack(">H", 1) + b"\0" + text("b/#") + b"\1"))
        assert (await client.next_on(side))[0] == 0x90
        client.send(packet(0x32, text("b/a") + struct.pack(">H", 2) + b"\0" + b"unanswered"))
        assert (await client.next_on(side))[0] >> 4 == 3
        client._quic.reset_stream(side, 7)
        client.transmit()
        while (found := await client.next()) is not None and found[0] != 0xE0:
            pass
        assert found is not None and found[1][0] == 0x80, found


async def too_many_streams():
    """A client may not open more than it was told; one that waits gets its place later."""
    async with dial() as client:
        await client.hello("quic-many")
        streams = [client.open_side() for _ in range(5)]
        for stream in streams:
            client.send_on(stream, packet(0x30, text("n/a") + b"\0" + b"x"))
        client.send(bytes([0xC0, 0]))
        assert (await client.next())[0] == 0xD0
        blocked = [each for each in streams if client._quic._streams[each].is_blocked]
        assert len(blocked) == 1, blocked
        client.send_on(streams[0], b"", end=True)
        assert await client.next_on(streams[0]) is None
        client.send_on(blocked[0], packet(0x82, struct.pack(">H", 1) + b"\0" + text("n/#") + b"\0"))
        assert (await client.next_on(blocked[0]))[0] == 0x90


async def foreign():
    """Another protocol by ALPN does not get in."""
    try:
        async with dial("h3"):
            raise SystemExit("let in")
    except ConnectionError:
        pass


asyncio.run(globals()[sys.argv[4]]())
