/**
 * One message to very many subscriptions: what goes out is thousands of times what came in. Memory
 * follows what the readers take, not what the publishers send, and nobody else notices.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { size } from '../clients/tier.ts';
import { overloaded } from './overloaded.ts';
import { mqttConnect, mqttPublish, mqttSubscribe, type RawClient } from './raw.ts';
import { watched } from './server.ts';

const MIB = 1 << 20;
const CONNECTIONS = 20;
const SUBSCRIPTIONS = size(500, 2000);
const PAYLOAD = Buffer.alloc(1024, 'y');
/** Each becomes CONNECTIONS x SUBSCRIPTIONS copies. */
const MESSAGES = size(40, 100);
/** Publishers stall when 4 MiB wait for one of their readers. */
const GROWTH_BYTES_MAX = 256 * MIB;
const MQTT_READERS = size(400, 2000);

describe('fan-out', () => {
  // Readers that keep up must not be taken for slow ones because this machine is busy, and
  // publishers wait for them as long as that takes.
  const besieged = overloaded({
    set: { 'nats.pending-bytes-max': 64 * MIB, 'nats.stall-time': 1000 },
  });

  it('to thousands of NATS subscriptions of a connection reaches each R41 X32', async () => {
    const lines = Array.from({ length: SUBSCRIPTIONS }, (_, sid) => `SUB fan.nats ${sid + 1}\r\n`);
    const readers: RawClient[] = [];
    for (let count = 0; count < CONNECTIONS; count++) {
      const reader = await besieged.open('nats');
      await reader.ask(`CONNECT {"verbose":false}\r\n${lines.join('')}PING\r\n`);
      reader.received = 0;
      readers.push(reader);
    }
    const publisher = await besieged.open('nats');
    await publisher.ask('CONNECT {"verbose":false}\r\nPING\r\n');
    const frame = `PUB fan.nats ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`;
    const copies = Array.from({ length: SUBSCRIPTIONS }, (_, sid) => {
      return `MSG fan.nats ${sid + 1} ${PAYLOAD.length}\r\n`.length + PAYLOAD.length + 2;
    });
    const expected = MESSAGES * copies.reduce((sum, bytes) => sum + bytes, 0);
    const { mostBytes } = await watched(besieged.server, async () => {
      for (let count = 0; count < MESSAGES; count++) {
        await publisher.send(frame);
        if (count % 20 === 0) await besieged.witness.roundTrips();
      }
      await Promise.all(readers.map((reader) => reached(reader, expected)));
    });
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    assert.equal(await besieged.server.counter('robustmq_nats_slow_consumers_total'), 0);
    besieged.dismiss();
    await besieged.witness.roundTrips();
  });

  it('to many MQTT connections encodes a message once R41 X32', async () => {
    const readers = await Promise.all(
      Array.from({ length: MQTT_READERS }, async (_, index) => {
        const reader = await besieged.open('mqtt');
        await reader.ask(mqttConnect(`fan-${index}`, true));
        await reader.ask(mqttSubscribe('fan/mqtt', 0));
        reader.received = 0;
        return reader;
      }),
    );
    const publisher = await besieged.open('mqtt');
    await publisher.ask(mqttConnect('fan-publisher', true));
    const packet = mqttPublish('fan/mqtt', Buffer.alloc(16 << 10, 'z'));
    const { mostBytes } = await watched(besieged.server, async () => {
      for (let count = 0; count < MESSAGES; count++) await publisher.send(packet);
      await besieged.witness.roundTrips();
      const whole = MESSAGES * packet.length;
      await Promise.all(readers.map((reader) => reached(reader, whole)));
    });
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    besieged.dismiss();
    await besieged.witness.roundTrips();
  });
});

/** Resolves when so many bytes have come; rejects when the connection ends before. */
async function reached(reader: RawClient, bytes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    if (reader.received >= bytes) resolve();
  };
  reader.socket.on('data', look);
  void reader.closed.then(() => reject(new Error(`closed at ${reader.received} of ${bytes}`)));
  look();
  await promise;
  reader.socket.off('data', look);
  // A PING of the server may lie between.
  const more = reader.received - bytes;
  assert.ok(more < 64, `${more} bytes more: each subscription gets each message once`);
}
