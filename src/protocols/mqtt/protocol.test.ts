import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaults } from '#kit';
import { OPTIONS } from './options.ts';
import { mqtt } from './protocol.ts';

test('only transports with an ordered stream of bytes are offered, on the usual ports [MQTT-4.2.0-1] M90 M150', () => {
  const plans = mqtt.listeners(defaults(OPTIONS));
  const ordered = ['tcp', 'tls', 'ws', 'wss', 'quic'];
  for (const { transport } of plans) assert.ok(ordered.includes(transport), transport);
  const listens = Object.fromEntries(plans.map(({ name, listen }) => [name, listen.join()]));
  assert.equal(listens['mqtt'], 'localhost:1883');
  assert.equal(listens['mqtt-tls'], 'localhost:8883');
  assert.equal(listens['mqtt-ws'], 'localhost:8083');
  assert.equal(listens['mqtt-wss'], 'localhost:8084');
});
