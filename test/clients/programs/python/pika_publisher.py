"""Publishes one persistent message to a queue, confirmed. pika_publisher.py HOST PORT QUEUE BODY"""

import sys

import pika

host, port, queue, body = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
connection = pika.BlockingConnection(pika.ConnectionParameters(host, port))
channel = connection.channel()
channel.confirm_delivery()
channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)
connection.close()
