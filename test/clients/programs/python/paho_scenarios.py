"""Scenarios of paho-mqtt, each run alone: paho_scenarios.py HOST PORT SCENARIO. Exit 0 = as expected."""

import os
import queue
import socket
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

HOST, PORT = sys.argv[1], int(sys.argv[2])
WAIT = 15


class Client:
    """One connected client; messages and acknowledgements come out of queues."""

    def __init__(self, client_id="", version=mqtt.MQTTv5, clean=True, user=None, will=None, expiry=0):
        self.messages = queue.Queue()
        self.subscribed = queue.Queue()
        self.published = queue.Queue()
        self.connected = queue.Queue()
        args = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, **args
        )
        self.paho.on_connect = lambda c, u, flags, reason, props: self.connected.put(
            (flags, reason, props)
        )
        self.paho.on_message = lambda c, u, message: self.messages.put(message)
        self.paho.on_subscribe = lambda c, u, mid, reasons, props: self.subscribed.put(reasons)
        self.paho.on_publish = lambda c, u, mid, reason, props: self.published.put(reason)
        if user is not None:
            self.paho.username_pw_set(*user)
        if will is not None:
            self.paho.will_set(*will)
        more = {}
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            more = {"clean_start": clean, "properties": properties}
        self.paho.connect(HOST, PORT, keepalive=30, **more)
        self.paho.loop_start()
        self.flags, self.reason, self.properties = self.connected.get(timeout=WAIT)

    def subscribe(self, topic, qos=0, **more):
        self.paho.subscribe(topic, qos, **more) if not more else self.paho.subscribe(topic, **more)
        return self.subscribed.get(timeout=WAIT)

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        info = self.paho.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(WAIT)
        assert info.is_published(), "no acknowledgement"

    def next(self):
        return self.messages.get(timeout=WAIT)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def die(self):
        """The connection breaks without a DISCONNECT."""
        self.paho.loop_stop()
        self.paho.socket().shutdown(socket.SHUT_RDWR)


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def qos():
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        reader, writer = Client(f"r{version}", version), Client(f"w{version}", version)
        for level in (0, 1, 2):
            topic = f"paho/qos/{version}/{level}"
            reader.subscribe(topic, level)
            body = os.urandom(300)
            writer.publish(topic, body, level)
            message = reader.next()
            expect((message.topic, message.payload, message.qos), (topic, body, level))
        reader.close()
        writer.close()


def granted_qos_limits_delivery():
    reader, writer = Client(), Client()
    reader.subscribe("paho/granted", 1)
    writer.publish("paho/granted", b"two", 2)
    expect(reader.next().qos, 1)
    writer.publish("paho/granted", b"zero", 0)
    expect(reader.next().qos, 0)


def retained():
    writer = Client()
    writer.publish("paho/retained/a", b"kept", 1, retain=True)
    reader = Client()
    reader.subscribe("paho/retained/#", 1)
    message = reader.next()
    expect((message.payload, message.retain), (b"kept", True))
    writer.publish("paho/retained/a", b"live", 1, retain=True)
    message = reader.next()
    expect((message.payload, message.retain), (b"live", False))
    writer.publish("paho/retained/a", b"", 1, retain=True)
    expect(reader.next().payload, b"")
    writer.publish("paho/retained/end", b"end", 1, retain=True)
    late = Client()
    late.subscribe("paho/retained/#", 1)
    expect(late.next().payload, b"end")


def will():
    reader = Client()
    reader.subscribe("paho/will", 2)
    mortal = Client("mortal", will=("paho/will", b"gone", 2, False))
    mortal.die()
    message = reader.next()
    expect((message.payload, message.qos), (b"gone", 2))


def session():
    first = Client("sleeper", clean=True, expiry=300)
    expect(first.flags.session_present, False)
    first.subscribe("paho/session", 2)
    first.close()
    writer = Client()
    for number in range(50):
        writer.publish("paho/session", f"m{number}", 1)
    again = Client("sleeper", clean=False, expiry=300)
    expect(again.flags.session_present, True)
    expect([again.next().payload for _ in range(50)], [b"m%d" % n for n in range(50)])
    again.close()
    fresh = Client("sleeper", clean=True)
    expect(fresh.flags.session_present, False)


def takeover():
    first = Client("twin", expiry=300)
    left = threading.Event()
    first.paho.on_disconnect = lambda *facts: left.set()
    second = Client("twin", clean=False, expiry=300)
    expect(second.flags.session_present, True)
    assert left.wait(WAIT), "the first connection stayed open"
    first.paho.loop_stop()


def properties():
    reader, writer = Client(), Client()
    reader.subscribe("paho/properties", 1)
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType = "application/json"
    sent.ResponseTopic = "paho/answers"
    sent.CorrelationData = bytes(range(256))
    sent.PayloadFormatIndicator = 1
    sent.MessageExpiryInterval = 100
    sent.UserProperty = [("b", "1"), ("a", "2"), ("b", "3"), ("", "")]
    writer.publish("paho/properties", b"{}", 1, False, sent)
    got = reader.next().properties
    expect(got.ContentType, "application/json")
    expect(got.ResponseTopic, "paho/answers")
    expect(got.CorrelationData, bytes(range(256)))
    expect(got.PayloadFormatIndicator, 1)
    assert 90 <= got.MessageExpiryInterval <= 100, got.MessageExpiryInterval
    expect(got.UserProperty, [("b", "1"), ("a", "2"), ("b", "3"), ("", "")])


def subscription_options():
    client, other = Client(), Client()
    options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
    client.subscribe("paho/options", options=options)
    client.publish("paho/options", b"own", 1)
    other.publish("paho/options", b"other", 1, retain=True)
    message = client.next()
    expect((message.payload, message.retain), (b"other", True))
    identified = Properties(PacketTypes.SUBSCRIBE)
    identified.SubscriptionIdentifier = 77
    other.subscribe("paho/options/+", options=SubscribeOptions(qos=1), properties=identified)
    client.publish("paho/options/x", b"id", 1)
    while (message := other.next()).topic != "paho/options/x":
        pass
    expect(message.properties.SubscriptionIdentifier, [77])


def shared():
    members = [Client(), Client()]
    for member in members:
        member.subscribe("$share/team/paho/shared", 1)
    writer = Client()
    for number in range(100):
        writer.publish("paho/shared", str(number), 1)
    got = []
    for _ in range(100):
        for member in members:
            try:
                got.append(int(member.messages.get(timeout=0.2).payload))
            except queue.Empty:
                pass
        if len(got) >= 100:
            break
    expect(sorted(got), list(range(100)))
    assert all(member.messages.empty() for member in members)


def credentials():
    expect(Client(user=("admin", "robustmq")).reason.value, 0)
    expect(Client(user=("admin", "wrong")).reason.value, 0x86)
    expect(Client("x311", mqtt.MQTTv311, user=("admin", "robustmq")).reason.value, 0)
    assert Client("y311", mqtt.MQTTv311, user=("admin", "wrong")).reason.is_failure


def assigned_client_id():
    first, second = Client(), Client()
    one, two = first.properties.AssignedClientIdentifier, second.properties.AssignedClientIdentifier
    assert one and two and one != two, (one, two)


def many():
    """10 000 messages at QoS 1 with 20 in flight arrive complete and in order."""
    reader, writer = Client(), Client()
    reader.subscribe("paho/many", 1)
    infos = [writer.paho.publish("paho/many", str(n), 1) for n in range(10_000)]
    infos[-1].wait_for_publish(60)
    expect([int(reader.next().payload) for _ in range(10_000)], list(range(10_000)))


globals()[sys.argv[3]]()
os._exit(0)  # Connections that a scenario left open end with the process.
