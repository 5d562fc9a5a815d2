"""A member of a group that works through restarts:

    confluent_restart.py HOST PORT [classic | consumer] [INSTANCE]

Produces and consumes numbers until a line comes on standard output for each; says when its
assignment changes. Ends when it was killed.
"""

import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
TOPIC = "restarts"


def say(*words):
    print(*words, flush=True)


admin = AdminClient({"bootstrap.servers": SERVER})
for future in admin.create_topics([NewTopic(TOPIC, 2, 1)]).values():
    try:
        future.result(30)
    except Exception as error:  # Another member has made it.
        say("topic", error)

settings = {
    "bootstrap.servers": SERVER,
    "group.id": "restarts",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "reconnect.backoff.max.ms": 500,
}
if sys.argv[3:4] == ["consumer"]:
    settings["group.protocol"] = "consumer"
else:
    settings |= {"session.timeout.ms": 45_000, "heartbeat.interval.ms": 300}
if len(sys.argv) > 4:
    settings["group.instance.id"] = sys.argv[4]
reader = Consumer(settings)
reader.subscribe(
    [TOPIC],
    on_assign=lambda _, partitions: say("assigned", len(partitions)),
    on_revoke=lambda _, partitions: say("revoked", len(partitions)),
    on_lost=lambda _, partitions: say("lost", len(partitions)),
)
writer = Producer(
    {"bootstrap.servers": SERVER, "enable.idempotence": True, "reconnect.backoff.max.ms": 500}
)
sent = 0
seen = 0
while True:
    if sent == seen:
        writer.produce(TOPIC, str(sent), partition=sent % 2)
        sent += 1
    writer.poll(0)
    message = reader.poll(0.2)
    if message is None or message.error():
        continue
    number = int(message.value())
    if number < seen:
        continue  # Given again, because a commit was lost.
    seen = number + 1
    try:
        reader.commit(message, asynchronous=False)
    except Exception as error:
        say("commit", error)
        continue
    say("got", number)
    time.sleep(0.05)
