/**
 * Topics as long and as deep as the protocol allows (MQTT 5.0, 4.7.3): where the settings take them
 * they work, otherwise they are refused by name, and whoever uses them costs others nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { Inbox } from '../clients/inbox.ts';
import { type Besieged, besieged } from './besieged.ts';

const NAME_BYTES_MAX = 65_535;
const DEEP = '/'.repeat(30_000);
const DEEPEST = '/'.repeat(NAME_BYTES_MAX);
const LONG = `long/${'x'.repeat(NAME_BYTES_MAX - 'long/'.length)}`;
/** Retained topics that differ only in their last level. */
const COUNT = 20;

async function connect(side: Besieged, options: IClientOptions = {}): Promise<MqttClient> {
  const url = `mqtt://${side.server.address('mqtt')}`;
  return mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options });
}

/** Filters of each kind that match a topic of so many empty levels. */
function filtersOf(topic: string): string[] {
  const levels = topic.length + 1;
  const filters = [topic, '#', '+/#', `${topic.slice(0, -1)}#`, `${topic}+`];
  filters.push(`${'+/'.repeat(levels - 1)}+`);
  return filters.filter((filter) => filter.length <= NAME_BYTES_MAX);
}

describe('topics of many levels where the settings allow them', () => {
  const side = besieged({ flags: ['--mqtt-topic-levels-max', '65536'] });
  const topics = { '30 001 empty levels': DEEP, '65 536 empty levels': DEEPEST };

  for (const protocolVersion of [4, 5] as const) {
    for (const [what, topic] of Object.entries(topics)) {
      it(`one of ${what} comes to each filter that matches, MQTT ${protocolVersion} [MQTT-4.7.3-3] M63 R39`, async () => {
        const subscriber = await connect(side, { protocolVersion });
        const publisher = await connect(side, { protocolVersion });
        const inbox = new Inbox<string>();
        subscriber.on('message', (name, payload) => inbox.put(`${payload} ${name === topic}`));
        for (const [index, filter] of filtersOf(topic).entries()) {
          const [grant] = await subscriber.subscribeAsync(filter, { qos: 1 });
          assert.equal(grant?.qos, 1);
          await publisher.publishAsync(topic, `${index}`, { qos: 1 });
          assert.equal(await inbox.next(), `${index} true`);
          await subscriber.unsubscribeAsync(filter);
          await side.witness.roundTrips();
        }
        await subscriber.endAsync(true);
        await publisher.endAsync(true);
      });
    }
  }

  it('deep ones are retained, found by wildcards and cleared M112 R39', async () => {
    const publisher = await connect(side);
    const names = Array.from({ length: COUNT }, (_, n) => `deep${DEEP}${n}`);
    for (const name of names) await publisher.publishAsync(name, name, { qos: 1, retain: true });
    const subscriber = await connect(side);
    const inbox = new Inbox<string>();
    subscriber.on('message', (name, payload) => inbox.put(name === `${payload}` ? name : '?'));
    await subscriber.subscribeAsync('deep/#', { qos: 1 });
    const got = new Set<string>();
    for (const _ of names) got.add(await inbox.next());
    assert.deepEqual(got, new Set(names));
    for (const name of names) await publisher.publishAsync(name, '', { qos: 1, retain: true });
    await publisher.endAsync(true);
    await subscriber.endAsync(true);
  });
});

describe('topics beyond the settings', () => {
  const side = besieged();

  it('one of 65 535 bytes and two levels is within them [MQTT-4.7.3-3] M63', async () => {
    const client = await connect(side);
    const inbox = new Inbox<string>();
    client.on('message', (name) => inbox.put(name));
    for (const filter of [LONG, 'long/+', '+/+', 'long/#']) {
      await client.subscribeAsync(filter, { qos: 1 });
      await client.publishAsync(LONG, '', { qos: 1 });
      assert.equal(await inbox.next(), LONG);
      await client.unsubscribeAsync(filter);
    }
    await client.endAsync(true);
  });

  it('a filter of many levels gets 0x8F, and 0x80 in 3.1.1 M63 R39', async () => {
    for (const [protocolVersion, code] of [
      [4, 0x80],
      [5, 0x8f],
    ] as const) {
      const client = await connect(side, { protocolVersion });
      const refused = client.subscribeAsync(DEEP, { qos: 1 });
      await assert.rejects(refused, (error: Error & { packet?: { granted: number[] } }) => {
        assert.deepEqual(error.packet?.granted, [code]);
        return true;
      });
      await client.endAsync(true);
    }
  });

  it('a topic of many levels ends the connection with 0x90 M63 R39', async () => {
    const client = await connect(side);
    const reason = new Promise((resolve) => {
      client.on('disconnect', (packet) => resolve(packet.reasonCode));
    });
    client.publish(DEEP, '', { qos: 1 }, () => {});
    assert.equal(await reason, 0x90);
    await client.endAsync(true);
  });
});
