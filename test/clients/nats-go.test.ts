/**
 * The example programs of nats.go: nats-sub, nats-pub, nats-qsub, nats-req, nats-rply, nats-bench.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Program, run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { natsGo, ready } from './toolchains/index.ts';

const { folder, missing } = await ready(natsGo);

describe('nats.go programs', { skip: missing ?? false }, () => {
  let server: Server;
  const running: Program[] = [];
  const program = (name: string) => path.join(folder ?? '', name);
  const at = () => ['-s', `nats://${server.address('nats')}`];
  const publish = (subject: string, text: string) =>
    run(program('nats-pub'), [...at(), subject, text]);

  /** A program that says `Listening on` once the server has its subscription. */
  async function listener(name: string, args: readonly string[]): Promise<Program> {
    const listening = new Program(program(name), [...at(), ...args]);
    running.push(listening);
    await listening.line((line) => line.includes('Listening on'));
    return listening;
  }

  before(async () => {
    server = await startServer();
  });
  after(async () => {
    for (const each of running) await each.kill();
    await server[Symbol.asyncDispose]();
  });

  it('nats-sub shows what nats-pub sends N9 N16 R67', async () => {
    const exact = await listener('nats-sub', ['go.data']);
    const wild = await listener('nats-sub', ['go.>']);
    await publish('go.data', 'hello');
    await exact.line((line) => line.includes("Received on [go.data]: 'hello'"));
    await wild.line((line) => line.includes("Received on [go.data]: 'hello'"));
  });

  it('nats-qsub members share the messages of a queue group N18', async () => {
    const members = [
      await listener('nats-qsub', ['go.queue', 'workers']),
      await listener('nats-qsub', ['go.queue', 'workers']),
    ];
    const witness = await listener('nats-sub', ['go.queue']);
    for (let number = 0; number < 20; number++) await publish('go.queue', `m${number}`);
    await witness.line((line) => line.includes("'m19'"));
    await publish('go.queue', 'end');
    await Promise.race(members.map((member) => member.line((line) => line.includes("'end'"))));
    const seen = members.map((member) => member.lines.filter((line) => /'m\d+'/.test(line)).length);
    assert.equal(
      seen.reduce((sum, each) => sum + each, 0),
      20,
      `members saw ${seen}`,
    );
  });

  it('nats-req gets the answer of nats-rply N17', async () => {
    await listener('nats-rply', ['go.service', 'the answer']);
    const asked = await run(program('nats-req'), [...at(), 'go.service', 'question']);
    assert.match(`${asked.text}${asked.stderr}`, /'the answer'/);
  });

  it('nats-req hears at once that nobody answers N20', async () => {
    const asked = await new Program(program('nats-req'), [...at(), 'nobody.go', 'x']).end();
    assert.notEqual(asked.code, 0);
    assert.match(asked.stderr, /no responders/);
  });

  it('user and password go in the address N40', async () => {
    const url = (password: string) => `nats://${ADMIN.user}:${password}@${server.address('nats')}`;
    await run(program('nats-pub'), ['-s', url(ADMIN.password), 'go.user', 'x']);
    const refused = await new Program(program('nats-pub'), ['-s', url('wrong'), 'go', 'x']).end();
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /Authorization Violation/i);
  });

  it('nats-bench delivers every message of 2 publishers to 2 subscribers N15 N21', async () => {
    const load = ['-np', '2', '-ns', '2', '-n', '50000', '-ms', '64', 'go.bench'];
    const { text, stderr } = await run(program('nats-bench'), [...at(), ...load]);
    assert.match(`${text}${stderr}`, /Sub stats: [\d,]+ msgs\/sec/);
  });
});
