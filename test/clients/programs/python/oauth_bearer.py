"""Log-ins of confluent-kafka (librdkafka) with a token: oauth_bearer.py HOST PORT TOKEN EXPIRY."""

import sys

from confluent_kafka import Consumer, KafkaException, Producer

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
TOKEN, EXPIRY = sys.argv[3], float(sys.argv[4])
WAIT = 20


def settings(token):
    return {
        "bootstrap.servers": SERVER,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": lambda _: (token, EXPIRY),
    }


producer = Producer(settings(TOKEN))
producer.produce("tokens", b"by a token")
assert producer.flush(WAIT) == 0
more = {"group.id": "g", "auto.offset.reset": "earliest"}
consumer = Consumer({**settings(TOKEN), **more})
consumer.subscribe(["tokens"])
message = consumer.poll(WAIT)
assert message is not None and message.value() == b"by a token", message
consumer.close()

errors = []
wrong = Producer({**settings(TOKEN[:-8] + "AAAAAAAA"), "error_cb": errors.append, "log_level": 0})
wrong.poll(0)
try:
    wrong.list_topics(timeout=3)
    raise AssertionError("it was let in")
except KafkaException:
    pass
for _ in range(WAIT):
    wrong.poll(1)
    if any(error.name() == "_AUTHENTICATION" for error in errors):
        break
else:
    raise AssertionError(errors)
