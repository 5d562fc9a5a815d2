import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, isReservedReply, SUBJECT, subjectKind } from './subject.ts';

const kind = (text: string | Buffer) => {
  const bytes = Buffer.concat([Buffer.from('x '), Buffer.from(text as string), Buffer.from(' y')]);
  return subjectKind(bytes, 2, bytes.length - 2);
};

test('subjects are words between dots, wildcards stand alone, the rest wildcard last N16', () => {
  for (const text of [
    'a',
    'a.b',
    'foo.bar.baz',
    '$SYS.x',
    'a*',
    'a.*b.c',
    'x>',
    'grün.日本',
    '_',
  ]) {
    assert.equal(kind(text), SUBJECT.literal, text);
  }
  for (const text of ['*', '>', 'a.*', '*.a', 'a.*.b', 'a.>', '*.>']) {
    assert.equal(kind(text), SUBJECT.pattern, text);
  }
  for (const text of ['', '.', 'a.', '.a', 'a..b', '>.a', 'a.>.b', 'a\0b']) {
    assert.equal(kind(text), SUBJECT.invalid, JSON.stringify(text));
  }
  assert.equal(kind(Buffer.of(0x61, 0xff)), SUBJECT.invalid);
});

test('replies that servers make among themselves are told from those of clients N22', () => {
  const reserved = (text: string) => isReservedReply(Buffer.from(text), 0, text.length);
  assert.ok(reserved('_R_.abc.1'));
  assert.ok(reserved('_GR_.abc.1'));
  assert.ok(!reserved('_INBOX.abc'));
  assert.ok(!reserved('_R_'));
  assert.ok(!reserved('reply'));
});

test('a subscription covers a reply as its wildcards say N16', () => {
  for (const [pattern, subject, expected] of [
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.b.c', false],
    ['a.*', 'a', false],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['>', 'a', true],
    ['*.b', 'a.b', true],
  ] as const) {
    assert.equal(covers(pattern, subject), expected, `${pattern} ${subject}`);
  }
});
