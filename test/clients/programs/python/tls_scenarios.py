"""One round trip over TLS each: tls_scenarios.py MQTT_PORT KAFKA_PORT AMQP_PORT CA."""

import queue
import ssl
import sys

import paho.mqtt.client as mqtt
import pika
from confluent_kafka import Consumer, Producer

MQTT, KAFKA, AMQP, CA = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
WAIT = 30

messages = queue.Queue()
subscribed = queue.Queue()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.tls_set(CA)
client.on_message = lambda c, u, message: messages.put(message.payload)
client.on_subscribe = lambda *args: subscribed.put(True)
client.on_connect = lambda c, *args: c.subscribe("tls/#", 1)
client.connect("localhost", MQTT)
client.loop_start()
subscribed.get(timeout=WAIT)
client.publish("tls/a", b"over TLS", 1)
assert messages.get(timeout=WAIT) == b"over TLS"
client.disconnect()

secure = {"bootstrap.servers": f"localhost:{KAFKA}", "security.protocol": "SSL", "ssl.ca.location": CA}
producer = Producer(secure)
producer.produce("tls-topic", b"over TLS")
assert producer.flush(WAIT) == 0
consumer = Consumer({**secure, "group.id": "tls", "auto.offset.reset": "earliest"})
consumer.subscribe(["tls-topic"])
record = consumer.poll(WAIT)
assert record is not None and record.error() is None and record.value() == b"over TLS"
consumer.close()

context = ssl.create_default_context(cafile=CA)
parameters = pika.ConnectionParameters(
    "localhost", AMQP, ssl_options=pika.SSLOptions(context, "localhost")
)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
channel.queue_declare("tls")
channel.basic_publish("", "tls", b"over TLS")
_, _, body = next(channel.consume("tls", inactivity_timeout=WAIT))
assert body == b"over TLS", body
connection.close()
