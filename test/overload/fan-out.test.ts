/**
 * One message to very many subscriptions: what goes out is thousands of times what came in. Memory
 * follows what the readers take, not what the publishers send, and nobody else notices.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Witness } from '../bad-input/witness.ts';
import { size } from '../clients/tier.ts';
import { mqttConnect, mqttPublish, mqttSubscribe, RawClient } from './raw.ts';
import { OverloadedServer, watched } from './server.ts';

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
  let server: OverloadedServer;
  let witness: Witness;
  const clients: RawClient[] = [];

  const open = async (listener: string): Promise<RawClient> => {
    const client = await RawClient.open(server.port(listener));
    clients.push(client);
    return client;
  };

  before(async () => {
    // Readers that keep up must not be taken for slow ones because this machine is busy.
    server = await OverloadedServer.start({ set: { 'nats.pending-bytes-max': 64 * MIB } });
    witness = await Witness.connect(server);
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await witness?.close().catch(() => {});
    await server[Symbol.asyncDispose]();
  });

  it('to thousands of NATS subscriptions of a connection reaches each R41 X32', async () => {
    const lines = Array.from({ length: SUBSCRIPTIONS }, (_, sid) => `SUB fan.nats ${sid + 1}\r\n`);
    const readers: RawClient[] = [];
    for (let count = 0; count < CONNECTIONS; count++) {
      const reader = await open('nats');
      await reader.ask(`CONNECT {"verbose":false}\r\n${lines.join('')}PING\r\n`);
      reader.received = 0;
      readers.push(reader);
    }
    const publisher = await open('nats');
    await publisher.ask('CONNECT {"verbose":false}\r\nPING\r\n');
    const frame = `PUB fan.nats ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`;
    const copies = Array.from({ length: SUBSCRIPTIONS }, (_, sid) => {
      return `MSG fan.nats ${sid + 1} ${PAYLOAD.length}\r\n`.length + PAYLOAD.length + 2;
    });
    const expected = MESSAGES * copies.reduce((sum, bytes) => sum + bytes, 0);
    const { mostBytes } = await watched(server, async () => {
      for (let count = 0; count < MESSAGES; count++) {
        await publisher.send(frame);
        if (count % 20 === 0) await witness.roundTrips();
      }
      await Promise.all(readers.map((reader) => reached(reader, expected)));
    });
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    assert.equal(await server.counter('robustmq_nats_slow_consumers_total'), 0);
    for (const client of clients.splice(0)) client.destroy();
    await witness.roundTrips();
  });

  it('to many MQTT connections encodes a message once R41 X32', async () => {
    const readers = await Promise.all(
      Array.from({ length: MQTT_READERS }, async (_, index) => {
        const reader = await open('mqtt');
        await reader.ask(mqttConnect(`fan-${index}`, true));
        await reader.ask(mqttSubscribe('fan/mqtt', 0));
        reader.received = 0;
        return reader;
      }),
    );
    const publisher = await open('mqtt');
    await publisher.ask(mqttConnect('fan-publisher', true));
    const packet = mqttPublish('fan/mqtt', Buffer.alloc(16 << 10, 'z'));
    const { mostBytes } = await watched(server, async () => {
      for (let count = 0; count < MESSAGES; count++) await publisher.send(packet);
      await witness.roundTrips();
      const whole = MESSAGES * packet.length;
      await Promise.all(readers.map((reader) => reached(reader, whole)));
    });
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    for (const client of clients.splice(0)) client.destroy();
    await witness.roundTrips();
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
