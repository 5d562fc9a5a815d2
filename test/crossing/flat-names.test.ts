/**
 * The truth table of flat names: who sees what under which name. Each row is one publish and one
 * reader on the real server; absence is shown by a marker that the same publisher sends afterwards.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Server, startServer } from '../clients/server.ts';
import { FlatParties, type Party } from './flat-parties.ts';

/**
 * A publisher form, a reader form, and the name under which the reader sees it; null: it does not.
 */
interface Row {
  readonly from: Party;
  readonly name: string;
  readonly to: Party;
  readonly reads: string;
  readonly sees: string | null;
  readonly rule: string;
}

function row(
  from: Party,
  name: string,
  to: Party,
  reads: string,
  sees: string | null,
  rule: string,
): Row {
  return { from, name, to, reads, sees, rule };
}

// Party `amqp` publishes on amq.topic and binds there; `queue` uses the default exchange and a
// queue.
const ROWS: readonly Row[] = [
  row('mqtt', 'f1.b.c', 'mqtt', 'f1.b.c', 'f1.b.c', 'itself'),
  row('mqtt', 'f2.b.c', 'nats', 'f2.b.c', 'f2.b.c', 'rule 1'),
  row('mqtt', 'f3.b.c', 'nats', 'f3.*.c', 'f3.b.c', 'rule 1'),
  row('mqtt', 'f4.b.c', 'nats', 'f4.>', 'f4.b.c', 'rule 1'),
  row('mqtt', 'f5.b.c', 'nats', 'f5.*', null, 'rule 1: the dots count as levels'),
  row('mqtt', 'f6.b.c', 'amqp', 'f6.#', 'f6.b.c', 'rule 1'),
  row('mqtt', 'f7.b.c', 'amqp', 'f7.*.c', 'f7.b.c', 'rule 1'),
  row('mqtt', 'f8.b.c', 'amqp', 'f8.*', null, 'rule 1: the dots count as levels'),
  row('mqtt', 'f9.b.c', 'mqtt', '+', 'f9.b.c', 'rule 3: one level in MQTT'),
  row('mqtt', 'f10.b.c', 'mqtt', 'f10/#', null, 'rule 3: no other spelling'),
  row('mqtt', 'f11.b.c', 'mqtt', 'f11/b/c', null, 'flat is not f11/b/c'),
  row('mqtt', 'f12.b.c', 'kafka', 'f12.b.c', 'f12.b.c', 'the same stream'),
  row('mqtt', 'f13.b.c', 'queue', 'f13.b.c', 'f13.b.c', 'the same stream'),
  row('nats', 'f14.b.c', 'nats', 'f14.b.c', 'f14.b.c', 'itself'),
  row('nats', 'f15.b.c', 'mqtt', 'f15.b.c', 'f15.b.c', 'rule 2'),
  row('nats', 'f16.b.c', 'mqtt', 'f16/b/c', 'f16/b/c', 'levels'),
  row('nats', 'f17.b.c', 'mqtt', 'f17/+/c', 'f17/b/c', 'levels'),
  row('nats', 'f18.b.c', 'mqtt', '+', null, 'rule 3: three levels in MQTT'),
  row('nats', 'f19.b.c', 'kafka', 'f19.b.c', 'f19.b.c', 'rule 2: the stream captures it'),
  row('nats', 'f20.b.c', 'queue', 'f20.b.c', 'f20.b.c', 'rule 2: the stream captures it'),
  row('nats', 'f21.b.c', 'amqp', 'f21.#', 'f21.b.c', 'levels'),
  row('amqp', 'f22.b.c', 'amqp', 'f22.b.c', 'f22.b.c', 'itself'),
  row('amqp', 'f23.b.c', 'mqtt', 'f23.b.c', 'f23.b.c', 'rule 2'),
  row('amqp', 'f24.b.c', 'mqtt', 'f24/b/c', 'f24/b/c', 'levels'),
  row('amqp', 'f25.b.c', 'nats', 'f25.*.c', 'f25.b.c', 'levels'),
  row('amqp', 'f26.b.c', 'mqtt', '+', null, 'rule 3: three levels in MQTT'),
  row('queue', 'f27.b.c', 'nats', 'f27.b.*', 'f27.b.c', 'rule 1'),
  row('queue', 'f28.b.c', 'mqtt', 'f28.b.c', 'f28.b.c', 'the same place'),
  row('queue', 'f29.b.c', 'mqtt', 'f29/b/c', null, 'flat is not f29/b/c'),
  row('queue', 'f30.b.c', 'kafka', 'f30.b.c', 'f30.b.c', 'the same stream'),
  row('kafka', 'f31.b.c', 'nats', 'f31.>', 'f31.b.c', 'rule 1'),
  row('kafka', 'f32.b.c', 'mqtt', 'f32.b.c', 'f32.b.c', 'the same place'),
  row('kafka', 'f33.b.c', 'mqtt', 'f33/b/c', null, 'flat is not f33/b/c'),
  row('kafka', 'f34.b.c', 'amqp', 'f34.b.*', 'f34.b.c', 'rule 1'),
  row('kafka', 'f35.b.c', 'queue', 'f35.b.c', 'f35.b.c', 'the same stream'),
  row('mqtt', 'f36/b/c', 'nats', 'f36.b.c', 'f36.b.c', 'levels'),
  row('mqtt', 'f37/b/c', 'amqp', 'f37.#', 'f37.b.c', 'levels'),
  row('mqtt', 'f38/b/c', 'mqtt', 'f38.b.c', null, 'rule 2 is for NATS and AMQP only'),
  row('mqtt', 'f39/b.c', 'nats', 'f39.b.c', null, 'rule 5: a dot in a longer address'),
  row('mqtt', 'f40/b.c', 'nats', 'f40.b%2Ec', 'f40.b%2Ec', 'rule 5'),
];

describe('flat names', () => {
  let server: Server;
  let parties: FlatParties;

  before(async () => {
    server = await startServer();
    parties = await FlatParties.connect(server);
  });
  after(async () => {
    await parties?.close();
    await server[Symbol.asyncDispose]();
  });

  for (const { from, name, to, reads, sees, rule } of ROWS) {
    const outcome = sees === null ? 'is not seen' : `is seen as ${sees}`;
    it(`${name} from ${from} ${outcome} by ${to} on ${reads} (${rule}) X1 X2`, async () => {
      const marker = `marker-${name.split(/[./]/)[0]}`;
      const reader = await parties.read(to, reads, marker);
      // A NATS subject is stored when a stream of that flat name exists: the reader made it.
      await parties.publish(from, name, 'the row');
      await parties.publishMarker(from, marker);
      const seen: string[] = [];
      // Two topics of Kafka come in any order: a row that is seen may follow the marker.
      for (let marked = false; !marked || (sees !== null && seen.length === 0); ) {
        const message = await reader.inbox.next(10_000);
        if (message.name === marker) marked = true;
        else if (message.body === 'the row') seen.push(message.name);
      }
      await reader.end();
      assert.deepEqual(seen, sees === null ? [] : [sees]);
    });
  }

  it('a subscription gets a record once although two spellings match it X2', async () => {
    const reader = await parties.read('nats', 'once.>', 'marker-once');
    await parties.publish('mqtt', 'once.b.c', 'the row');
    await parties.publishMarker('mqtt', 'marker-once');
    const first = await reader.inbox.next();
    const second = await reader.inbox.next();
    assert.deepEqual([first.name, second.name], ['once.b.c', 'marker-once']);
    await reader.end();
  });
});
