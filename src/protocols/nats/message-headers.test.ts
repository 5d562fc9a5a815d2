import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Header, Message, originOf, slashSpelling } from '#broker';
import { readHeaderBlock } from './header-block.ts';
import { readHeaders, writeHeaders } from './message-headers.ts';

const NOW_MS = 1_700_000_000_000;

function foreign(): Message {
  return new Message(slashSpelling.parse('a/b'), Buffer.from('v'), originOf('kafka'));
}

/** What a NATS client that publishes what it received makes of a message. */
function returned(message: Message): Message {
  const again = new Message(message.address, Buffer.from(message.value ?? ''), originOf('nats'));
  const block = writeHeaders(message, NOW_MS);
  if (block !== null) readHeaders(again, block, NOW_MS);
  return again;
}

function read(text: string): Message {
  const message = foreign();
  readHeaders(message, Buffer.from(`NATS/1.0${text}\r\n\r\n`), NOW_MS);
  return message;
}

const shown = ({ name, value, type }: Header) => [name, value?.toString('latin1') ?? null, type];

test('fields and headers of any content survive the way through a NATS client X8 X9', () => {
  const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
  const name = fc
    .string({ unit: 'binary', maxLength: 12 })
    .filter((each) => !each.startsWith('_b.'));
  const known = /^(Nats-|Content-|Correlation-Id|Kafka-Key|Timestamp|mq9-)/;
  fc.assert(
    fc.property(
      fc.array(fc.record({ name: name.filter((each) => !known.test(each)), value: bytes })),
      fc.option(bytes),
      fc.option(bytes),
      fc.string({ unit: 'binary', maxLength: 12 }),
      (headers, key, correlation, messageId) => {
        const message = foreign();
        Object.assign(message, { headers, key, correlation, messageId });
        const block = writeHeaders(message, NOW_MS);
        if (block !== null) {
          for (const pair of readHeaderBlock(block).pairs) assert.match(pair.name, /^[!-9;-~]+$/);
        }
        const again = returned(message);
        assert.deepEqual(again.headers.map(shown), headers.map(shown));
        assert.deepEqual(again.key, key);
        assert.deepEqual(again.correlation, correlation);
        assert.equal(again.messageId, messageId);
      },
    ),
    { seed: 42, numRuns: 500 },
  );
});

test('typed headers, headers without value and null values survive it too X6 X8', () => {
  const message = foreign();
  message.value = null;
  message.headers = [
    { name: 'count', value: Buffer.from('7'), type: 'amqp:I' },
    { name: 'none', value: null },
  ];
  const again = returned(message);
  assert.equal(again.value, null);
  assert.deepEqual(again.headers.map(shown), [
    ['count', '7', 'amqp:I'],
    ['none', null, undefined],
  ]);
});

test('known names set fields, the first of each; the others stay headers X12', () => {
  const message = read(
    '\r\nTimestamp: 5\r\nTimestamp: 6\r\nNats-TTL: 90\r\nmq9-priority: urgent\r\nnats-msg-id: x\r\n' +
      'Kafka-Key: k',
  );
  assert.equal(message.timestampMs, 5);
  assert.equal(message.expiresAtMs, NOW_MS + 90_000);
  assert.equal(message.priority, -1);
  assert.equal(message.key?.toString(), 'k');
  assert.deepEqual(
    message.headers.map(({ name, value }) => `${name}=${value}`),
    ['Timestamp=6', 'mq9-priority=urgent', 'nats-msg-id=x'],
  );
});

test('a time to live is seconds or a duration; anything else stays a header X11', () => {
  for (const [text, ms] of [
    ['1', 1000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['1500ms', 1500],
  ] as const) {
    assert.equal(read(`\r\nNats-TTL: ${text}`).expiresAtMs, NOW_MS + ms, text);
  }
  for (const text of ['never', '0', '-1', '10ms', 'soon', '1d', '']) {
    const message = read(`\r\nNats-TTL: ${text}`);
    assert.equal(message.expiresAtMs, 0, text);
    assert.equal(message.headers.length, 1, text);
  }
});

test('an inline status becomes headers for other protocols N10', () => {
  const message = read(' 408 Request Timeout');
  assert.deepEqual(
    message.headers.map(({ name, value }) => `${name}=${value}`),
    ['Status=408', 'Description=Request Timeout'],
  );
});
