import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostRefusal } from './host-check.ts';

const rows: [host: string | undefined, origin: string | undefined, passes: boolean][] = [
  ['localhost:8083', undefined, true],
  ['127.0.0.1:8083', 'http://localhost:3000', true],
  ['[::1]:8083', 'http://[::1]:8083', true],
  ['10.0.0.7:8083', undefined, true],
  ['10.0.0.7:8083', 'http://10.0.0.7', true],
  ['broker.example', 'https://broker.example', true],
  ['broker.example', undefined, true],
  ['app.localhost', undefined, true],
  [undefined, undefined, false],
  ['', undefined, false],
  ['evil.example:8083', undefined, false],
  ['localhost.evil.example', undefined, false],
  ['localhost:8083', 'https://evil.example', false],
  ['localhost:8083', 'null', false],
  ['localhost:8083', 'file://', false],
  ['10.0.0.7', 'http://10.0.0.8', false],
];

for (const [host, origin, passes] of rows) {
  test(`Host ${host} with Origin ${origin} ${passes ? 'passes' : 'is refused'}`, () => {
    assert.equal(hostRefusal({ host, origin }, ['broker.example']) === null, passes);
  });
}

test('a star accepts every name', () => {
  assert.equal(hostRefusal({ host: 'x.example', origin: 'https://y.example' }, ['*']), null);
});
