import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Protocol } from '#contract';
import { defaults } from '#kit';
import { protocols } from '#protocols';
import { protocolContract } from './protocol.contract.ts';
import { toy } from './toy/index.ts';

/** What a client of each protocol says first, byte for byte. */
const OPENINGS: Readonly<Record<string, Buffer>> = {
  // CONNECT, MQTT 3.1.1, clean session, keep alive 60, client id "toy".
  mqtt: Buffer.from('100f00044d5154540402003c0003746f79', 'hex'),
  // ApiVersions version 0, correlation 1, client id "toy".
  kafka: Buffer.from('0000000d00120000000000010003746f79', 'hex'),
  nats: Buffer.from('CONNECT {"verbose":true}\r\nPING\r\n'),
  amqp: Buffer.from('414d515000000901', 'hex'),
  toy: Buffer.from('SUB news\n'),
};

/** What comes to the wrong door besides. */
const OTHERS: Readonly<Record<string, Buffer>> = {
  http: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  redis: Buffer.from('*1\r\n$4\r\nPING\r\n'),
  tls: Buffer.from(
    `16030100c8010000c40303${'5a'.repeat(32)}20${'a5'.repeat(32)}${'00'.repeat(128)}`,
    'hex',
  ),
};

const all: readonly Protocol[] = [...protocols, toy];

for (const protocol of all) {
  const { [protocol.name]: opening, ...openings } = OPENINGS;
  assert.ok(opening !== undefined, `OPENINGS has a row for ${protocol.name}`);
  const strangers = { ...openings, ...OTHERS };
  for (const owners of [1, 2]) protocolContract({ protocol, opening, strangers, owners });
}

test('listener names are unique over all protocols', () => {
  const names = all.flatMap((protocol) =>
    protocol.listeners(defaults(protocol.options)).map((plan) => plan.name),
  );
  assert.equal(new Set(names).size, names.length);
});
