"""nats-py on a server whose disk is full: nats_full_disk.py HOST PORT SUBJECT.

Publishes to SUBJECT what comes on `control`, and says what the server answers.
"""

import asyncio
import sys

import nats

SERVER = f"nats://{sys.argv[1]}:{sys.argv[2]}"
SUBJECT = sys.argv[3]


def say(*words):
    print(*words, flush=True)


async def main():
    over = asyncio.Event()

    async def error(problem):
        say("error", type(problem).__name__, problem)

    async def disconnected():
        say("disconnected")

    client = await nats.connect(
        SERVER, error_cb=error, disconnected_cb=disconnected, allow_reconnect=False
    )

    async def control(message):
        if message.data == b"end":
            over.set()
            return
        await client.publish(SUBJECT, message.data)
        await client.flush()
        say("published", message.data.decode())

    await client.subscribe("control", cb=control)
    await client.flush()
    say("ready")
    await over.wait()
    await client.drain()
    say("drained")


asyncio.run(main())
