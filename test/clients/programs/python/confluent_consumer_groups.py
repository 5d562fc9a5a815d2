"""Scenarios of KIP-848 with confluent-kafka: confluent_consumer_groups.py HOST PORT SCENARIO."""

import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
WAIT = 30


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def admin():
    return AdminClient({"bootstrap.servers": SERVER})


def create(topic, partitions):
    client = admin()
    for future in client.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(WAIT)


def produce(topic, partitions, count):
    client = Producer({"bootstrap.servers": SERVER})
    for number in range(count):
        client.produce(topic, str(number), partition=number % partitions)
    expect(client.flush(WAIT), 0)


def consumer(group, protocol="consumer", **more):
    settings = {
        "bootstrap.servers": SERVER,
        "group.id": group,
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **{name.replace("_", "."): value for name, value in more.items()},
    }
    if protocol == "classic":
        settings["partition.assignment.strategy"] = "cooperative-sticky"
        settings["heartbeat.interval.ms"] = 200
    return Consumer(settings)


def until(condition, members, what):
    """Polls all members until the condition holds; returns the values that came."""
    values = []
    end = time.monotonic() + WAIT
    while not condition(values):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: {[len(one.assignment()) for one in members]}")
        for one in members:
            message = one.poll(0.1)
            if message is not None and message.error() is None:
                values.append(message.value().decode())
                one.commit(message, asynchronous=False)
    return values


def counts(members):
    return sorted(len(one.assignment()) for one in members)


def share():
    """Two members share, the last one gets all; committed offsets hold."""
    create("cg-share", 4)
    produce("cg-share", 4, 20)
    first, second = consumer("share"), consumer("share")
    first.subscribe(["cg-share"])
    seen = until(lambda values: len(values) == 20, [first], "all records")
    second.subscribe(["cg-share"])
    until(lambda _: counts([first, second]) == [2, 2], [first, second], "two each")
    produce("cg-share", 4, 8)
    more = until(lambda values: len(values) == 8, [first, second], "new records")
    expect(len(seen + more), 28)
    second.close()
    until(lambda _: counts([first]) == [4], [first], "all partitions again")
    first.close()
    committed = consumer("share").committed([TopicPartition("cg-share", n) for n in range(4)])
    expect([one.offset for one in committed], [7, 7, 7, 7])


def ranges():
    """The range assignor is the server's too."""
    create("cg-range", 4)
    members = [consumer("range", group_remote_assignor="range") for _ in range(2)]
    for one in members:
        one.subscribe(["cg-range"])
    until(lambda _: counts(members) == [2, 2], members, "two each")
    parts = sorted(sorted(one.partition for one in member.assignment()) for member in members)
    expect(parts, [[0, 1], [2, 3]])
    for one in members:
        one.close()


def pattern():
    """A regular expression is matched by the server, later topics too."""
    create("cg-pattern-1", 1)
    member = consumer("pattern")
    member.subscribe(["^cg-pattern-[0-9]+"])
    until(lambda _: counts([member]) == [1], [member], "one topic")
    create("cg-pattern-22", 2)
    create("cg-pattern-x", 2)
    until(lambda _: counts([member]) == [3], [member], "two topics")
    member.close()


def static():
    """A static member that starts again finds its partitions, and nobody else moves."""
    create("cg-static", 4)
    stays = consumer("static", group_instance_id="stays")
    goes = consumer("static", group_instance_id="goes")
    for one in (stays, goes):
        one.subscribe(["cg-static"])
    until(lambda _: counts([stays, goes]) == [2, 2], [stays, goes], "two each")
    before = sorted(one.partition for one in goes.assignment())
    goes.close()
    again = consumer("static", group_instance_id="goes")
    again.subscribe(["cg-static"])
    until(lambda _: counts([again, stays]) == [2, 2], [again, stays], "two each again")
    expect(sorted(one.partition for one in again.assignment()), before)
    again.close()
    stays.close()


def migrate():
    """A group with members goes over to the newer protocol and back."""
    create("cg-migrate", 4)
    old = consumer("migrate", protocol="classic")
    old.subscribe(["cg-migrate"])
    until(lambda _: counts([old]) == [4], [old], "all for the old member")
    new = consumer("migrate")
    new.subscribe(["cg-migrate"])
    until(lambda _: counts([old, new]) == [2, 2], [old, new], "two each")
    produce("cg-migrate", 4, 8)
    until(lambda values: len(values) == 8, [old, new], "records for both")
    new.close()
    until(lambda _: counts([old]) == [4], [old], "all for the old member again")
    old.close()


def describe():
    """The group is listed and described with its type; its configs are kept and enforced."""
    create("cg-describe", 2)
    member = consumer("describe")
    member.subscribe(["cg-describe"])
    until(lambda _: counts([member]) == [2], [member], "both partitions")
    client = admin()  # Must live until its futures are done.
    listed = client.list_consumer_groups().result(WAIT)
    mine = [group for group in listed.valid if group.group_id == "describe"]
    expect([(group.type.name, group.state.name) for group in mine], [("CONSUMER", "STABLE")])
    group = client.describe_consumer_groups(["describe"])["describe"].result(WAIT)
    expect(group.type.name, "CONSUMER")
    expect(len(group.members[0].assignment.topic_partitions), 2)
    member.close()


globals()[sys.argv[3]]()
