/** amqp-tools (rabbitmq-c of the distribution), unmodified. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Program, run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { debian, ready } from './toolchains/index.ts';

const { missing } = await ready(debian);

describe('amqp-tools', { skip: missing ?? false }, () => {
  let server: Server;
  const url = (user = 'guest', password = 'guest') =>
    `amqp://${user}:${password}@${server.address('amqp')}`;
  const amqp = (tool: string, args: readonly string[], input = '') =>
    run(`amqp-${tool}`, ['--url', url(), ...args], { input });

  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  it('declares a queue, publishes to it, gets and deletes A23 A30 A102', async () => {
    const queue = ['-q', 'tools.queue'];
    const declared = await amqp('declare-queue', [...queue, '-d']);
    assert.equal(declared.text.trim(), 'tools.queue');
    await amqp('publish', ['-r', 'tools.queue', '-p', '-b', 'first']);
    await amqp('publish', ['-r', 'tools.queue', '-l'], 'second\nthird\n');
    assert.equal((await amqp('get', queue)).text, 'first');
    assert.equal((await amqp('get', queue)).text.trim(), 'second');
    const deleted = await amqp('delete-queue', queue);
    assert.equal(deleted.text.trim(), '1');
  });

  it('gets nothing from an empty queue A30', async () => {
    await amqp('declare-queue', ['-q', 'tools.empty']);
    const got = await new Program('amqp-get', ['--url', url(), '-q', 'tools.empty']).end();
    assert.equal(got.code, 2);
  });

  it('consumes from a queue with a prefetch and acknowledges A24 A31', async () => {
    const queue = ['-q', 'tools.consume'];
    await amqp('declare-queue', queue);
    await amqp('publish', ['-r', 'tools.consume', '-l'], 'one\ntwo\nthree\nfour\n');
    const consumed = await amqp('consume', [...queue, '-p', '2', '-c', '3', 'cat']);
    assert.equal(consumed.text.replaceAll('\n', ' ').trim(), 'one two three');
    assert.equal((await amqp('get', queue)).text.trim(), 'four');
  });

  it('publishes with headers, content type and reply-to A42', async () => {
    await amqp('declare-queue', ['-q', 'tools.properties']);
    const properties = ['-C', 'text/plain', '-t', 'answers', '-H', 'name: value'];
    await amqp('publish', ['-r', 'tools.properties', ...properties, '-b', 'body']);
    assert.equal((await amqp('get', ['-q', 'tools.properties'])).text, 'body');
  });

  it('a wrong password is refused with 403 A6', async () => {
    const wrong = ['--url', url(ADMIN.user, 'wrong'), '-q', 'x'];
    const refused = await new Program('amqp-declare-queue', wrong).end();
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /403|ACCESS_REFUSED/);
  });
});
