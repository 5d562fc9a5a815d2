"""A bank on exactly-once: transfers are consumed, each becomes two entries of a ledger.

bank.py SERVER open TRANSFERS      makes the topics and writes down the transfers
bank.py SERVER work PARTITION      consume, transform, produce, in transactions, until all is done
bank.py SERVER audit               ends what is open, then reads the whole ledger
"""

import json
import random
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

server, command = sys.argv[1], sys.argv[2]
COMMON = {"bootstrap.servers": server, "reconnect.backoff.max.ms": 200}
ORDERS, LEDGER, GROUP = "bank.orders", "bank.ledger", "bank"
WORKERS, ACCOUNTS, LEDGERS = 2, 10, 3
WAIT = 15


def teller(partition):
    return Producer(
        {
            **COMMON,
            "transactional.id": f"teller-{partition}",
            "transaction.timeout.ms": 30000,
            "linger.ms": 1,
        }
    )


def reader(isolation):
    return Consumer(
        {
            **COMMON,
            "group.id": GROUP,
            "isolation.level": isolation,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )


def transfer(order):
    dice = random.Random(order)
    source, target = dice.sample(range(ACCOUNTS), 2)
    return {"order": order, "source": source, "target": target, "amount": dice.randint(1, 100)}


def open_bank(count):
    admin = AdminClient(COMMON)
    topics = [NewTopic(ORDERS, WORKERS, 1), NewTopic(LEDGER, LEDGERS, 1)]
    for future in admin.create_topics(topics).values():
        future.result()
    producer = Producer({**COMMON, "enable.idempotence": True})
    for order in range(count):
        text = json.dumps(transfer(order))
        producer.produce(ORDERS, text, partition=order % WORKERS)
    producer.flush(WAIT)


def place_of(consumer, partition):
    """Where the group stands, once nothing is open any more."""
    known = consumer.committed([TopicPartition(ORDERS, partition)], WAIT)[0]
    return max(0, known.offset)


def work_once(partition):
    """Until all is done (True), or something went wrong and everything begins anew."""
    producer, consumer = teller(partition), reader("read_committed")
    dice = random.Random()
    try:
        producer.init_transactions(WAIT)
        place = place_of(consumer, partition)
        end = consumer.get_watermark_offsets(TopicPartition(ORDERS, partition), WAIT)[1]
        consumer.assign([TopicPartition(ORDERS, partition, place)])
        while place < end:
            producer.begin_transaction()
            taken = 0
            wanted = dice.randint(1, 5)
            while taken < wanted and place < end:
                message = consumer.poll(WAIT)
                if message is None:
                    return False
                if message.error() is not None:
                    continue
                order = json.loads(message.value())
                for account, sign in ((order["source"], -1), (order["target"], 1)):
                    entry = {"order": order["order"], "amount": sign * order["amount"]}
                    entry["account"] = account
                    ledger = account % LEDGERS
                    producer.produce(LEDGER, json.dumps(entry), partition=ledger)
                place = message.offset() + 1
                taken += 1
            offsets = [TopicPartition(ORDERS, partition, place)]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), WAIT)
            if dice.random() < 0.1:
                producer.abort_transaction(WAIT)
                return False
            producer.commit_transaction(WAIT)
        return True
    except KafkaException as error:
        print("again:", error, flush=True)
        return False
    finally:
        consumer.close()


def work(partition):
    print("working", flush=True)
    while not work_once(partition):
        time.sleep(0.02)
    print("done", flush=True)


def audit():
    for partition in range(WORKERS):
        teller(partition).init_transactions(WAIT)
    consumer = reader("read_committed")
    done = sum(place_of(consumer, partition) for partition in range(WORKERS))
    entries = {}
    balances = [0] * ACCOUNTS
    consumer.assign([TopicPartition(LEDGER, ledger, 0) for ledger in range(LEDGERS)])
    ended = set()
    while len(ended) < LEDGERS:
        message = consumer.poll(WAIT)
        if message is None:
            raise SystemExit("the ledger cannot be read")
        if message.error() is not None:
            ended.add(message.partition())
            continue
        entry = json.loads(message.value())
        entries.setdefault(entry["order"], []).append((entry["account"], entry["amount"]))
        balances[entry["account"]] += entry["amount"]
    consumer.close()
    wrong = []
    for order, booked in entries.items():
        wanted = transfer(order)
        pair = [(wanted["source"], -wanted["amount"]), (wanted["target"], wanted["amount"])]
        if sorted(booked) != sorted(pair):
            wrong.append([order, booked])
    print(
        json.dumps(
            {"done": done, "booked": len(entries), "sum": sum(balances), "wrong": wrong[:10]}
        )
    )


if command == "open":
    open_bank(int(sys.argv[3]))
elif command == "work":
    work(int(sys.argv[3]))
elif command == "audit":
    audit()
