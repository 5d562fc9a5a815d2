"""Log-ins of confluent-kafka (librdkafka): security_scenarios.py HOST PORT SCENARIO."""

import sys

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

SERVER = f"{sys.argv[1]}:{sys.argv[2]}"
WAIT = 20


def settings(mechanism, user, password):
    return {
        "bootstrap.servers": SERVER,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
    }


def log_in():
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        admin = AdminClient(settings(mechanism, "admin", "robustmq"))
        assert len(admin.list_topics(timeout=WAIT).brokers) == 1


def wrong_password():
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        errors = []
        more = {"error_cb": errors.append, "log_level": 0}
        producer = Producer({**settings(mechanism, "admin", "guess"), **more})
        try:
            producer.list_topics(timeout=3)
            raise AssertionError("it was let in")
        except KafkaException:
            pass
        producer.poll(1)
        assert any(error.name() == "_AUTHENTICATION" for error in errors), errors


SCENARIOS = {"log_in": log_in, "wrong_password": wrong_password}
SCENARIOS[sys.argv[3]]()
