import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protocols } from '#protocols';
import { listenerPlans } from '../listener-plans.ts';
import { serverSchema } from '../schema.ts';
import { loadSettings, type OptionSources } from './load-settings.ts';

const schema = serverSchema(protocols);
const load = (sources: OptionSources) => loadSettings(schema, sources);

test('a table changes a usual listener or makes a new one, over what holds for all M150', () => {
  const settings = load({
    environment: { ROBUSTMQ_LISTENERS_MQTT_TLS_CONNECT_RATE: '7' },
    flags: {
      'server.client-message-rate': '5',
      'listeners.edge.protocol': 'mqtt',
      'listeners.edge.listen': '0.0.0.0:1999',
      'listeners.edge.connections-max': 9,
    },
  });
  const plans = listenerPlans(protocols, settings);
  const find = (name: string) => plans.find(({ plan }) => plan.name === name)!;
  assert.equal(find('mqtt-tls').settings.connectRate, 7);
  assert.equal(find('mqtt-tls').settings.clientMessageRate, 5);
  assert.equal(find('mqtt').settings.connectRate, 0);
  assert.deepEqual(find('edge').plan.listen, ['0.0.0.0:1999']);
  assert.equal(find('edge').settings.listenerConnectionsMax, 9);
  assert.match(settings.show(), /\[listeners\.edge\]/);
});

test("a table may hold its protocol's own limits, over those of all listeners M150 M159", () => {
  const settings = load({
    environment: { ROBUSTMQ_LISTENERS_MQTT_TLS_PACKET_BYTES_MAX: '4KiB' },
    flags: { 'mqtt.qos-max': '1', 'listeners.mqtt-tls.mount-point': 'plant/' },
  });
  const mqtt = protocols.find(({ name }) => name === 'mqtt')!;
  const on = (name: string) => settings.sectionAt('mqtt', mqtt.options, name);
  assert.deepEqual(
    [on('mqtt-tls')['packetBytesMax'], on('mqtt-tls')['mountPoint'], on('mqtt-tls')['qosMax']],
    [4096, 'plant/', 1],
  );
  assert.deepEqual([on('mqtt')['packetBytesMax'], on('mqtt')['mountPoint']], [16 << 20, '']);
});

test('a table that cannot be meant is refused with a sentence M150', () => {
  const plans = (flags: Record<string, unknown>) => listenerPlans(protocols, load({ flags }));
  const listen = { 'listeners.x.listen': ':0' };
  for (const [flags, sentence] of [
    [{ 'listeners.x.lisen': ':0' }, /Did you mean listen\?/],
    [{ 'listeners.admin.listen': ':0' }, /not admin/],
    [{ ...listen, 'listeners.x.protocol': 'smtp' }, /expected one of mqtt, kafka/],
    [{ 'listeners.x.protocol': 'mqtt' }, /listen is missing/],
    [
      { ...listen, 'listeners.x.protocol': 'kafka', 'listeners.x.transport': 'ws' },
      /kafka is carried by tcp, tls, not by ws/,
    ],
    [
      { ...listen, 'listeners.x.protocol': 'mqtt', 'listeners.x.transport': 'tls' },
      /needs a certificate/,
    ],
    [{ 'listeners.mqtt.transport': 'tls' }, /its transport is tcp/],
    [{ 'listeners.kafka.mount-point': 'a' }, /kafka has no mount-point/],
    [{ 'listeners.mqtt.sys-interval': '1s' }, /unknown/],
    [{ 'listeners.mqtt.mount-point': 'a/#' }, /mount-point "a\/#".* are meant/],
  ] as const) {
    assert.throws(() => plans(flags), sentence);
  }
});
