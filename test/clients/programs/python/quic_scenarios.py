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
    """Packets of the first stream come out of a queue; None at its end."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.held = b""
        self.packets = asyncio.Queue()
        self.alpn = None
        self.stream = None

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.alpn = event.alpn_protocol
        elif isinstance(event, ConnectionTerminated):
            self.packets.put_nowait(None)
        elif isinstance(event, StreamDataReceived):
            self.held += event.data
            while (found := self.take()) is not None:
                self.packets.put_nowait(found)
            if event.end_stream:
                self.packets.put_nowait(None)

    def take(self):
        size, factor, at = 0, 1, 1
        while True:
            if at >= len(self.held):
                return None
            digit = self.held[at]
            size, factor, at = size + (digit & 127) * factor, factor * 128, at + 1
            if digit < 128:
                break
        if len(self.held) < at + size:
            return None
        found = (self.held[0], self.held[at : at + size])
        self.held = self.held[at + size :]
        return found

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


async def foreign():
    """Another protocol by ALPN does not get in."""
    try:
        async with dial("h3"):
            raise SystemExit("let in")
    except ConnectionError:
        pass


asyncio.run(globals()[sys.argv[4]]())
