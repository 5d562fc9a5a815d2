"""Reads a compacted topic: confluent_compacted.py HOST PORT TOPIC EXPECTED.

EXPECTED is a JSON list of `offset key=value`; records of account 0 are passed over.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
TOPIC = sys.argv[3]
EXPECTED = json.loads(sys.argv[4])
PATIENCE_SEC = 60


def expect(actual, wanted):
    assert actual == wanted, f"expected {wanted!r}, got {actual!r}"


def consumer(group):
    return Consumer(
        {
            "bootstrap.servers": SERVER,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )


def read(client, count=None):
    """Lines up to the end of the partition, or so many; the last offset that it named."""
    lines = []
    while count is None or len(lines) < count:
        message = client.poll(PATIENCE_SEC)
        assert message is not None, "nothing comes"
        if message.error():
            expect(message.error().code(), KafkaError._PARTITION_EOF)
            return lines, message.offset()
        if message.key() == b"account 0":
            continue
        line = f"{message.offset()} {message.key().decode()}={message.value().decode()}"
        lines.append(line)
    return lines, None


end = int(EXPECTED[-1].split(" ")[0]) + 1
reader = consumer("compacted-assigned")
for start in (OFFSET_BEGINNING, 7, 391):
    reader.assign([TopicPartition(TOPIC, 0, start)])
    lines, eof = read(reader)
    expect(lines, EXPECTED)
    expect(eof, end)
expect(reader.get_watermark_offsets(TopicPartition(TOPIC, 0), cached=False), (0, end))
reader.close()

# A group commits inside the gaps and goes on behind them.
first = consumer("compacted-group")
first.subscribe([TOPIC])
lines, _ = read(first, 3)
expect(lines, EXPECTED[:3])
first.commit(asynchronous=False)
first.close()
second = consumer("compacted-group")
second.subscribe([TOPIC])
lines, _ = read(second)
expect(lines, EXPECTED[3:])
second.close()
