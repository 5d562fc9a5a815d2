import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, realClock } from '#kit';
import { openLog } from './log.ts';

function rig(format: 'text' | 'json', level: 'debug' | 'warn' = 'debug') {
  const lines: string[] = [];
  let nowMs = 0;
  const clock: Clock = { ...realClock, nowMs: () => nowMs, monotonicMs: () => nowMs };
  const log = openLog({ level, format, clock, write: (line) => lines.push(line) });
  const wait = (ms: number): void => {
    nowMs += ms;
  };
  return { lines, log, wait };
}

test('a text line has time, level, scope, message and fields O12', () => {
  const { lines, log } = rig('text');
  log.with({ scope: 'mqtt' }).warn('client refused', { client: 'a-1', reason: 'two words', n: 3 });
  log.info('started');
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z warn  mqtt     client refused  client=a-1 reason="two words" n=3\n',
    '1970-01-01T00:00:00.000Z info  server   started\n',
  ]);
});

test('what a client sends cannot forge a line', () => {
  const { lines, log } = rig('text');
  log.info('client refused', { client: 'x\n1970-01-01 error forged' });
  assert.equal(lines.join('').split('\n').length, 2);
});

test('a JSON line can be parsed and has the same content O12', () => {
  const { lines, log } = rig('json');
  log.with({ scope: 'nats' }).error('closed', { peer: '::1' });
  assert.deepEqual(JSON.parse(lines[0]!), {
    level: 'error',
    time: '1970-01-01T00:00:00.000Z',
    scope: 'nats',
    peer: '::1',
    msg: 'closed',
  });
});

test('lines below the level are not written', () => {
  const { lines, log } = rig('text', 'warn');
  log.info('quiet');
  log.warn('loud');
  assert.equal(lines.length, 1);
});

test('lines of one kind are limited, counted, and told of later O12', () => {
  const { lines, log, wait } = rig('text');
  for (let count = 0; count < 25; count++) log.info('noise', { count });
  log.info('signal');
  assert.equal(lines.length, 11);
  wait(10_000);
  log.info('noise');
  assert.match(lines[11]!, /noise {2}leftOut=15/);
  log.info('noise');
  assert.doesNotMatch(lines[12]!, /leftOut/);
});
