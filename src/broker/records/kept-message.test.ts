import assert from 'node:assert/strict';
import test from 'node:test';
import { flatAddress } from '../addresses/address.ts';
import { copyOf, messageBytes, messageOfBytes } from './kept-message.ts';
import { Message } from './message.ts';

function messageWith(value: Buffer): Message {
  const message = new Message(flatAddress('a/b'), value, 2);
  message.producer = 'somebody';
  message.timestampMs = 1000;
  return message;
}

test('a copy of a message has every field of it', () => {
  const message = messageWith(Buffer.from('x'));
  const fields = message as unknown as Record<string, unknown>;
  // What no other field has, so that none is left out or taken for another.
  for (const [index, name] of Object.keys(fields).entries()) fields[name] = { index };
  const copy = copyOf(message);
  assert.notEqual(copy, message);
  assert.deepEqual(Object.entries(copy), Object.entries(message));
});

test('messages that are kept as bytes keep their own, whatever their size', () => {
  const sizes = [0, 1, 100, 7_000, 9_000, 15_000, 20_000, 100_000];
  const kept = sizes.map((size, index) => messageBytes(messageWith(Buffer.alloc(size, index))));
  for (const [index, size] of sizes.entries()) {
    const { message } = messageOfBytes(kept[index]!);
    assert.deepEqual(message.value, Buffer.alloc(size, index));
    assert.deepEqual([message.producer, message.timestampMs], ['somebody', 1000]);
    assert.ok(kept[index]!.length < size + 200);
  }
});
