/** `robust-server check-storage` as a user calls it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { startServer } from './start-server.ts';

const PROGRAM = resolve(import.meta.dirname, '../../bin/robust-server.mjs');
const folder = mkdtempSync(join(tmpdir(), 'check-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function check(directory: string, ...flags: string[]) {
  const args = [PROGRAM, 'check-storage', '--data-dir', directory, ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** A data folder in which a server made a stream with some records. */
async function stored(name: string): Promise<string> {
  const directory = join(folder, name);
  const server = await startServer({ freePorts: true, set: { 'server.data-dir': directory } });
  server.broker.streams.create('numbers');
  await server.broker.streams.durable();
  assert.ok(await server.close());
  return directory;
}

test('a sound folder is 0, damage is 1 with its place, a repair keeps the bytes R34', async () => {
  const directory = await stored('damage');
  const sound = check(directory);
  assert.equal(sound.status, 0, sound.stderr);
  assert.match(sound.stdout, /All is well/);
  const file = join(directory, 'checkpoint-a');
  const bytes = readFileSync(file);
  bytes[30]! ^= 4;
  writeFileSync(file, bytes);
  const damaged = check(directory);
  assert.equal(damaged.status, 1);
  assert.match(damaged.stdout, /^checkpoint-a +0 +\d+ +mendable/m);
  const json = JSON.parse(check(directory, '--json').stdout) as { sound: boolean };
  assert.equal(json.sound, false);
  const repaired = check(directory, '--repair');
  assert.equal(repaired.status, 0, repaired.stdout);
  const kept = readdirSync(join(directory, 'damaged')).find((name) => name.endsWith('.bin'));
  assert.deepEqual(readFileSync(join(directory, 'damaged', kept!)), bytes);
  assert.equal(check(directory).status, 0);
  const server = await startServer({ freePorts: true, set: { 'server.data-dir': directory } });
  assert.notEqual(server.broker.streams.get('numbers'), undefined);
  await server.close();
});

test('a catalogue that is no database any more is told R34', async () => {
  const directory = await stored('catalogue');
  writeFileSync(join(directory, 'meta.sqlite'), Buffer.alloc(8_192, 7));
  const { status, stdout } = check(directory);
  assert.equal(status, 1);
  assert.match(stdout, /The catalogue: /);
});

test('a folder that is in use, or is not there, is 2', async () => {
  const directory = join(folder, 'used');
  const server = await startServer({ freePorts: true, set: { 'server.data-dir': directory } });
  const used = check(directory);
  assert.equal(used.status, 2);
  assert.match(used.stderr, /in use by process/);
  await server.close();
  assert.equal(check(join(folder, 'nowhere')).status, 2);
});

test('robust-ctl checks the disk of a running server, and shows its state R34', async () => {
  const directory = join(folder, 'online');
  const server = await startServer({ freePorts: true, set: { 'server.data-dir': directory } });
  const port = server.port('admin');
  const ctl = async (...args: string[]) => {
    const program = join(PROGRAM, '../robust-ctl.mjs');
    const flags = ['--url', `http://127.0.0.1:${port}`, '--user', 'admin', '--json'];
    const env = { ...process.env, ROBUSTMQ_CTL_PASSWORD: 'robustmq' };
    const child = spawn(process.execPath, [program, ...flags, ...args], { env });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, text };
  };
  const sound = await ctl('storage', 'check', '--rate', '100');
  assert.equal(sound.code, 0, sound.text);
  assert.match(sound.text, /"state": "done"/);
  const status = await ctl('storage', 'status');
  assert.match(status.text, /"health": "ok"/);
  assert.match(status.text, /"remote": "none"/);
  const file = join(directory, 'checkpoint-b');
  const bytes = readFileSync(file);
  bytes[50]! ^= 1;
  writeFileSync(file, bytes);
  const damaged = await ctl('storage', 'check');
  assert.equal(damaged.code, 1);
  assert.match(damaged.text, /"file": "checkpoint-b"/);
  assert.equal((await ctl('storage', 'check', '--cancel')).code, 0);
  assert.ok(await server.close());
});
