import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { after, type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { protocols } from '#protocols';
import { Authority } from '../../test/contract/authority.ts';
import { freePorts, serverSchema } from './schema.ts';

const BIN = resolve(import.meta.dirname, '../../bin');
const folder = mkdtempSync(join(tmpdir(), 'main-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const FREE_PORTS = Object.keys(freePorts(serverSchema(protocols))).flatMap((name) => [
  `--${name.replace('.', '-')}`,
  ':0',
]);

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { encoding: 'utf8', cwd: folder, env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [join(BIN, 'robust-server.mjs'), ...args], options);
}

interface Started {
  readonly child: ChildProcess;
  readonly lines: string[];
}

async function start(
  t: TestContext,
  name: string,
  more: readonly string[] = [],
  stderr: 'ignore' | 'pipe' = 'ignore',
): Promise<Started> {
  const args = [join(BIN, 'robust-server.mjs'), 'start', '--data-dir', join(folder, name)];
  const child = spawn(process.execPath, [...args, ...FREE_PORTS, ...more], {
    stdio: ['ignore', 'pipe', stderr],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    if (line.startsWith('ready')) break;
  }
  return { child, lines };
}

test('start prints a line per listener and when it is ready, and SIGTERM ends it with 0 O1 O23', async (t) => {
  const { child, lines } = await start(t, 'start');
  const listening = lines.filter((line) => /^[a-z-]+ listening on \S+:\d+$/.test(line));
  assert.equal(listening.length, lines.length - 1);
  for (const name of ['mqtt', 'mqtt-ws', 'kafka', 'nats', 'nats-ws', 'amqp', 'admin']) {
    assert.ok(
      lines.some((line) => line.startsWith(`${name} listening on 127.0.0.1:`)),
      name,
    );
  }
  assert.match(lines.at(-1)!, /^ready in \d+ ms$/);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('SIGHUP loads certificates again, and the server goes on M153', async (t) => {
  const authority = new Authority(join(folder, 'ca'));
  const [cert, key] = [join(folder, 'live.pem'), join(folder, 'live.key')];
  const use = (name: string): void => {
    const issued = authority.issue(name, `/CN=${name}`, 'DNS:localhost');
    copyFileSync(issued.cert, cert);
    copyFileSync(issued.key, key);
  };
  use('before');
  const tls = ['--tls-cert', cert, '--tls-key', key, '--tls-watch', 'false'];
  const { child, lines } = await start(t, 'hang-up', tls, 'pipe');
  const listening = lines.find((line) => line.startsWith('mqtt-tls listening'))!;
  const port = Number(/\d+$/.exec(listening)![0]);
  const shown = async (): Promise<string | string[] | undefined> => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };
  assert.equal(await shown(), 'before');
  use('after');
  assert.equal(await shown(), 'before');
  child.kill('SIGHUP');
  for await (const line of createInterface({ input: child.stderr! })) {
    if (line.includes('TLS files were loaded again')) break;
  }
  assert.equal(await shown(), 'after');
});

test('robust-ctl looks at a running server and changes it over HTTP O8', async (t) => {
  const { lines } = await start(t, 'ctl');
  const admin = /^admin listening on (127\S+)/.exec(lines.find((one) => one.startsWith('admin'))!);
  const env = { ...process.env, ROBUSTMQ_CTL_URL: `http://${admin![1]}` };
  const ctl = (args: readonly string[], more: Record<string, string> = {}) => {
    const options = { encoding: 'utf8', env: { ...env, ...more } } as const;
    return spawnSync(process.execPath, [join(BIN, 'robust-ctl.mjs'), ...args], options);
  };
  assert.match(ctl(['status']).stdout, /^ready +true$/m);
  assert.equal(ctl(['streams', 'create', 'a/b', '--partitions', '2']).status, 0);
  assert.deepEqual(JSON.parse(ctl(['--json', 'streams', 'list']).stdout), [
    { name: 'a/b', partitions: 2, durability: 'fsync', records: 0, bytes: 0 },
  ]);
  assert.match(ctl(['streams', 'list']).stdout, /^NAME +PARTITIONS .*\na\/b +2 /);
  const again = ctl(['streams', 'create', 'a/b']);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /exists already/);
  assert.equal(ctl(['users', 'create', 'joe'], { ROBUSTMQ_CTL_NEW_PASSWORD: 'x' }).status, 0);
  assert.match(ctl(['users', 'list']).stdout, /^joe +false +false +true +\[\] +catalogue$/m);
  assert.match(ctl(['listeners']).stdout, /^mqtt +tcp +127\.0\.0\.1:\d+/m);
  assert.equal(ctl(['connections']).status, 0);
  assert.match(ctl(['list', 'mqtt', 'dreams']).stderr, /mqtt has no dreams; there are: /);
  assert.equal(ctl(['status'], { ROBUSTMQ_CTL_PASSWORD: 'wrong' }).status, 1);
});

test('check-config prints effective values and where they come from O3', () => {
  const args = ['check-config', '--mqtt-listen', ':1', '--mqtt-listen', ':2'];
  const { stdout, status } = run(args, { ROBUSTMQ_KAFKA_LISTEN: 'off' });
  assert.equal(status, 0);
  assert.match(stdout, /\[mqtt\]\nlisten = \[":1", ":2"\] +# flag --mqtt-listen/);
  assert.match(stdout, /\[kafka\]\nlisten = \["off"\] +# environment ROBUSTMQ_KAFKA_LISTEN/);
});

test('check-config finds what a start would refuse O3', () => {
  const rows: [string[], RegExp][] = [
    [['--admin-listen', 'nowhere'], /"nowhere" is no listen address/],
    [['--tls-cert', 'none.pem', '--tls-key', 'none.pem'], /tls\.cert: ENOENT/],
    [['--storage-wal-file-size', '4MiB'], /would not fit into half a write-ahead file/],
  ];
  for (const [args, expected] of rows) {
    const { stdout, stderr, status } = run(['check-config', ...args]);
    assert.match(stderr, expected);
    assert.deepEqual([stdout, status], ['', 1]);
  }
});

test('a mistake in the configuration ends the start with a sentence and code 1 O3', () => {
  const rows: [string[], Record<string, string>, RegExp][] = [
    [
      ['--mqqt-listen', ':0'],
      {},
      /unknown option '--mqqt-listen'\n\(Did you mean --mqtt-listen\?\)/,
    ],
    [['--mqtt-listen', 'x:y'], {}, /"x:y" is no listen address/],
    [[], { ROBUSTMQ_MQTT_LISTN: ':0' }, /Did you mean ROBUSTMQ_MQTT_LISTEN\?/],
    [['--config', 'none.toml'], {}, /cannot be read: ENOENT/],
    [['--server-stop-timeout', 'soon'], {}, /server\.stop-timeout .* is "soon"; expected/],
    [['--nats-listen', '0.0.0.0:0'], {}, /The listener nats on 0\.0\.0\.0:0 could be reached/],
  ];
  for (const [args, env, expected] of rows) {
    const { stderr, status } = run(['start', ...args], env);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack trace');
    assert.equal(status, 1);
  }
});

test('version and help need no server', () => {
  assert.match(run(['version']).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match(run(['start', '--help']).stdout, /--data-dir <text> +Folder for everything/);
});
