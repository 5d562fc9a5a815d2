"""A consumer on one queue: prints `ready`, then each body; acknowledges. pika_consumer.py HOST PORT QUEUE"""

import sys

import pika

host, port, queue = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = pika.BlockingConnection(pika.ConnectionParameters(host, port))
channel = connection.channel()
channel.queue_declare(queue, durable=True)


def show(channel, method, properties, body):
    print(body.decode(), flush=True)
    channel.basic_ack(method.delivery_tag)


channel.basic_consume(queue, show)
print("ready", flush=True)
channel.start_consuming()
