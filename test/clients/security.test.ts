/**
 * Log-ins and rights with unmodified clients that the other tests do not ask: SCRAM in MQTT 5 with
 * MQTT.js, Mosquitto's tools with Mosquitto's files, Kafka's own tools, librdkafka.
 */
import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt from 'mqtt';
import { ScramClient } from '../contract/scram-client.ts';
import { run } from './program.ts';
import { pythonClient } from './python-scenarios.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { debian, kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TOOL_TIMEOUT_MS = 60_000;

await pythonClient('confluent-kafka with SASL', 'security_scenarios.py', 'kafka', {
  log_in: 'logs in with PLAIN and SCRAM of both sizes K74 K204',
  wrong_password: 'is told that its password is wrong K74',
});

describe('MQTT.js with SCRAM', () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  for (const method of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    it(`${method} is an exchange of AUTH packets M140 M145`, async () => {
      const side = new ScramClient(method, ADMIN.user, ADMIN.password);
      const properties = { authenticationMethod: method, authenticationData: side.first };
      const client = mqtt.connect(`mqtt://${server.address('mqtt')}`, {
        ...{ protocolVersion: 5, reconnectPeriod: 0, properties },
      });
      client.handleAuth = (packet, answer) => {
        const authenticationData = side.final(packet.properties!.authenticationData!);
        const next = { authenticationMethod: method, authenticationData };
        answer(undefined, { cmd: 'auth', reasonCode: 0x18, properties: next });
      };
      const proved = await new Promise<string>((resolve, reject) => {
        client.once('connect', (connack) =>
          resolve(String(connack.properties?.authenticationData)),
        );
        client.once('error', reject);
      });
      assert.equal(proved, side.signature);
      await client.publishAsync('scram', 'x', { qos: 1 });
      await client.endAsync();
    });
  }
});

const mosquitto = await ready(debian);

describe("Mosquitto's tools with Mosquitto's files", { skip: mosquitto.missing ?? false }, () => {
  let server: Server;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'mosquitto-files-'));
    const salt = randomBytes(12);
    const hash = pbkdf2Sync('of ann', salt, 101, 64, 'sha512').toString('base64');
    const passwords = path.join(folder, 'passwd');
    await writeFile(passwords, `ann:$7$101$${salt.toString('base64')}$${hash}\n`);
    const acl = path.join(folder, 'acl');
    await writeFile(acl, 'user ann\ntopic readwrite ann/#\npattern read of/%c\n');
    const flags = [
      ...['--auth-mosquitto-password-file', passwords],
      ...['--auth-mosquitto-acl-file', acl],
    ];
    server = await startServer({ flags });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const publish = (topic: string, password: string) =>
    run('mosquitto_pub', [
      ...['-h', HOST, '-p', String(server.ports.mqtt), '-V', 'mqttv5', '-q', '1'],
      ...['-u', 'ann', '-P', password, '-t', topic, '-m', 'x', '-d'],
    ]).catch((error: unknown) => ({ text: String(error), stderr: '' }));

  it('the password and the lines of the ACL hold M175 M82', async () => {
    const done = await publish('ann/x', 'of ann');
    assert.match(done.text, /received PUBACK \(Mid: 1, RC:(0|16)\)/);
    assert.match((await publish('ann/x', 'guess')).text, /CONNACK \((134|5)\)|not authorised/i);
    const refused = await publish('other', 'of ann');
    assert.match(`${refused.text}${refused.stderr}`, /RC:135|Not authorized/i);
  });
});

const tools = await ready(kafkaTools);

// Eight starts of a Java program: in the full tier only.
if (FULL) {
  describe("Kafka's tools for ACLs and credentials", { skip: tools.missing ?? false }, () => {
    let server: Server;
    let folder: string;
    let config: string;
    before(async () => {
      server = await startServer();
      folder = await mkdtemp(path.join(tmpdir(), 'kafka-acls-'));
      config = path.join(folder, 'admin.properties');
      await writeFile(config, properties(ADMIN.user, ADMIN.password));
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    const properties = (user: string, password: string): string =>
      [
        'security.protocol=SASL_PLAINTEXT',
        'sasl.mechanism=SCRAM-SHA-512',
        'sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required ' +
          `username="${user}" password="${password}";`,
        '',
      ].join('\n');

    async function tool(name: string, rest: readonly string[], file = config): Promise<string> {
      const to = ['--bootstrap-server', server.address('kafka'), '--command-config', file];
      const start = kafkaToolArguments(tools.folder ?? '', name);
      // One of them has stayed in the server's own packages.
      if (name === 'ConfigCommand') start.splice(-1, 1, 'kafka.admin.ConfigCommand');
      const args = [...start, ...to, ...rest];
      return (await run('java', args, { timeoutMs: TOOL_TIMEOUT_MS })).text;
    }

    it('kafka-configs makes a user, kafka-acls gives it rights, and they hold K76 K78 K85', async () => {
      const entity = ['--entity-type', 'users', '--entity-name', 'joe'];
      const secret = ['--add-config', 'SCRAM-SHA-512=[iterations=8192,password=secret]'];
      await tool('ConfigCommand', ['--alter', ...entity, ...secret]);
      const acl = ['--allow-principal', 'User:joe', '--producer', '--topic', 'orders'];
      await tool('AclCommand', ['--add', ...acl]);
      const listed = await tool('AclCommand', ['--list', '--topic', 'orders']);
      assert.match(listed, /principal=User:joe, host=\*, operation=WRITE, permissionType=ALLOW/);
      const joe = path.join(folder, 'joe.properties');
      await writeFile(joe, properties('joe', 'secret'));
      await tool('TopicCommand', ['--create', '--topic', 'orders'], joe);
      const other = ['--create', '--topic', 'other'];
      await assert.rejects(tool('TopicCommand', other, joe), /authoriz|right on the cluster/i);
      await assert.rejects(tool('AclCommand', ['--list'], joe), /authoriz|right on the cluster/i);
      await tool('AclCommand', ['--remove', '--force', ...acl]);
      assert.doesNotMatch(await tool('AclCommand', ['--list']), /User:joe/);
    });
  });
}
