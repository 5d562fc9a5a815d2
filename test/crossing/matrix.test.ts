/**
 * The crossing matrix: every sample published with each protocol, read with each protocol, by real
 * client libraries against the real server. One stream per publisher, its four readers attached.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Inbox } from '../clients/inbox.ts';
import { type Server, startServer } from '../clients/server.ts';
import { amqpEndpoint } from './amqp-endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import { kafkaEndpoint } from './kafka-endpoint.ts';
import { mqttEndpoint } from './mqtt-endpoint.ts';
import { natsEndpoint } from './nats-endpoint.ts';
import {
  type Outcome,
  PROTOCOLS,
  type ProtocolName,
  SAMPLES,
  type Sample,
  type Seen,
} from './sample.ts';

const ARRIVAL_TIMEOUT_MS = 5_000;
/** A reader that missed so many in a row is not waited for again. */
const MISSED_MAX = 2;

type Readers = Record<ProtocolName, Inbox<Outcome>>;

describe('crossing matrix', () => {
  let server: Server;
  const endpoints = {} as Record<ProtocolName, Endpoint>;
  const outcomes = new Map<string, Outcome>();

  before(async () => {
    server = await startServer();
    endpoints.mqtt = await mqttEndpoint(server);
    endpoints.kafka = await kafkaEndpoint(server);
    endpoints.nats = await natsEndpoint(server);
    endpoints.amqp = await amqpEndpoint(server);
    for (const from of PROTOCOLS) await publishAll(from);
  });
  after(async () => {
    for (const protocol of PROTOCOLS) await endpoints[protocol]?.close().catch(() => {});
    await server[Symbol.asyncDispose]();
  });

  /** Publishes the samples of one protocol one by one, and notes what each reader saw of each. */
  async function publishAll(from: ProtocolName): Promise<void> {
    const stream = `crossing-${from}`;
    const readers = {} as Readers;
    // Kafka makes the stream: from then on its name is captured from every protocol.
    for (const to of ['kafka', 'mqtt', 'nats', 'amqp'] as const) {
      readers[to] = await endpoints[to].read(stream);
    }
    const missed = { mqtt: 0, kafka: 0, nats: 0, amqp: 0 };
    for (const sample of SAMPLES.filter((each) => each.from.includes(from))) {
      const note = (to: ProtocolName, outcome: Outcome) =>
        outcomes.set(`${from} ${to} ${sample.title}`, outcome);
      const error = await endpoints[from].publish(stream, sample).then(
        () => null,
        (reason: Error) => reason,
      );
      for (const to of PROTOCOLS) {
        if (error !== null || missed[to] >= MISSED_MAX) {
          note(to, error ?? new Error('the reader is gone: it missed those before'));
          continue;
        }
        let late = false;
        const outcome = await readers[to].next(ARRIVAL_TIMEOUT_MS).catch((error: Error) => {
          late = true;
          return error;
        });
        missed[to] = late ? missed[to] + 1 : 0;
        note(to, outcome);
      }
    }
  }

  for (const from of PROTOCOLS) {
    for (const to of PROTOCOLS) {
      for (const sample of SAMPLES.filter((each) => each.from.includes(from))) {
        const ids = from === to ? `${sample.ids} X61` : sample.ids;
        it(`${sample.title} from ${from} reaches ${to} ${ids}`, () => {
          const outcome = outcomes.get(`${from} ${to} ${sample.title}`);
          if (outcome === undefined) throw new Error('not published');
          if (outcome instanceof Error) throw outcome;
          check(sample, from, to, outcome);
        });
      }
    }
  }
});

function check(sample: Sample, from: ProtocolName, to: ProtocolName, seen: Seen): void {
  assert.equal(seen.name, `crossing-${from}`, 'name');
  checkValue(sample, to, seen);
  assert.equal(seen.key, sample.key ?? null, 'key');
  assert.equal(seen.messageId, sample.messageId ?? null, 'message id');
  assert.equal(seen.reply, sample.reply ?? null, 'reply address');
  assert.equal(seen.contentType, sample.contentType ?? null, 'content type');
  assert.equal(seen.priority, sample.priority ?? null, 'priority');
  assert.deepEqual(seen.correlation, sample.correlation ?? null, 'correlation');
  // Without a time of its producer a record shows its append time in Kafka, and may elsewhere.
  if (sample.timestampMs !== undefined) {
    assert.equal(seen.timestampMs, sample.timestampMs, 'producer time');
  }
  checkExpiry(sample, from, to, seen);
  checkHeaders(sample, from, to, seen);
}

function checkValue(sample: Sample, to: ProtocolName, seen: Seen): void {
  if (sample.value === null && to === 'kafka') {
    assert.equal(seen.value, null);
    return;
  }
  assert.ok(seen.value !== null, 'the value became null');
  const wanted = sample.value ?? Buffer.alloc(0);
  assert.equal(seen.value.length, wanted.length, 'length of the value');
  assert.ok(wanted.equals(seen.value), 'the value differs');
  assert.equal(seen.markedNull, sample.value === null, 'mark of a null value');
}

function checkExpiry(sample: Sample, from: ProtocolName, to: ProtocolName, seen: Seen): void {
  if (sample.expiryMs === undefined) {
    assert.equal(seen.expiryMs, null, 'expiry');
    return;
  }
  assert.ok(seen.expiryMs !== null, 'the expiry is lost');
  const exact = from === to && (to === 'amqp' || to === 'nats');
  const most = exact ? sample.expiryMs : Math.ceil(sample.expiryMs / 1000) * 1000;
  assert.ok(seen.expiryMs <= most, `it lives longer: ${seen.expiryMs} ms`);
  assert.ok(seen.expiryMs > sample.expiryMs - 60_000, `it lives shorter: ${seen.expiryMs} ms`);
}

function checkHeaders(sample: Sample, from: ProtocolName, to: ProtocolName, seen: Seen): void {
  const wanted = sample.headers ?? [];
  const names = seen.headers.map(([name]) => name);
  assert.ok(!names.includes('Injected'), 'a header was injected');
  assert.equal(seen.headers.length, wanted.length, `headers: ${names.join(', ')}`);
  // Client libraries that hold headers in a record do not keep the order between names.
  const present = [...seen.headers];
  for (const [name, value] of wanted) {
    const at = present.findIndex(([each]) => each === name || isEscaped(each, name, to));
    assert.notEqual(at, -1, `header ${JSON.stringify(name)} is missing among ${names.join(', ')}`);
    const [[shownName, shown]] = present.splice(at, 1) as [[string, unknown]];
    const unhinted = from === to ? shown : unhint(shown, seen.hints[shownName]);
    if (from === to) assert.deepEqual(comparable(unhinted, value), value, `header ${name}`);
    else checkCrossedHeader(name, value, unhinted, seen.hints[shownName]);
  }
}

/** A value that went to another protocol: text as text, everything else by its hint. */
function checkCrossedHeader(name: string, value: unknown, shown: unknown, hint?: string): void {
  if (typeof value === 'string') {
    assert.equal(String(shown), value, `header ${name}`);
  } else if (Buffer.isBuffer(value)) {
    assert.deepEqual(shown, value, `header ${name}`);
  } else {
    assert.ok(hint !== undefined, `header ${name} has no hint of its type`);
    const text = String(shown);
    if (typeof value === 'object') assert.deepEqual(JSON.parse(text), value, `header ${name}`);
    else assert.equal(text, String(value), `header ${name}`);
  }
}

/** What a hint says about a text: base64 of bytes. */
function unhint(shown: unknown, hint: string | undefined): unknown {
  if (hint !== 'base64') return shown;
  const bytes = Buffer.from(String(shown), 'base64');
  return bytes;
}

/** Kafka shows every value as bytes. */
function comparable(shown: unknown, value: unknown): unknown {
  return Buffer.isBuffer(shown) && typeof value === 'string' ? String(shown) : shown;
}

/** NATS carries printable ASCII without a colon in names; everything else must be shown escaped. */
function isEscaped(shown: string, name: string, to: ProtocolName): boolean {
  const unfit = !/^[!-9;-~]+$/.test(name);
  return (
    to === 'nats' && unfit && shown.slice(0, 2) === name.slice(0, 2) && /^[!-9;-~]+$/.test(shown)
  );
}
