"""Retained messages by librdkafka: confluent_retained.py HOST PORT TOPIC.

Reads what is under x5/p/, clears it with a tombstone and sets another value.
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
TOPIC = sys.argv[3]
PATIENCE_SEC = 60

consumer = Consumer(
    {
        "bootstrap.servers": SERVER,
        "group.id": "retained-python",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "check.crcs": True,
    }
)
consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
values = {}
while True:
    message = consumer.poll(PATIENCE_SEC)
    assert message is not None, "nothing comes"
    if message.error():
        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
        break
    key = message.key().decode()
    if key.startswith("x5/p/"):
        values[key] = message.value()
consumer.close()
assert values == {"x5/p/mqtt": b"from MQTT"}, values

producer = Producer({"bootstrap.servers": SERVER, "enable.idempotence": True})
failures = []


def delivered(error, _):
    if error is not None:
        failures.append(error)


producer.produce(TOPIC, key="x5/p/mqtt", value=None, callback=delivered)
producer.produce(TOPIC, key="x5/p/python", value="from Python", callback=delivered)
assert producer.flush(PATIENCE_SEC) == 0, "not delivered"
assert failures == [], failures
