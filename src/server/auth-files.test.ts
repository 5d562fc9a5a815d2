import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { slashPattern, slashSpelling } from '#broker';
import { defaults, silentLog, type Values } from '#kit';
import { openTestHost, type TestHost } from '../../test/contract/test-host.ts';
import { AuthFiles, readRulesFile } from './auth-files.ts';
import { readAclFile, readPasswordFile } from './mosquitto-files.ts';
import { AUTH_OPTIONS } from './server-options.ts';

describe('auth files', () => {
  let host: TestHost;
  let folder: string;

  beforeEach(async () => {
    host = await openTestHost();
    folder = await mkdtemp(path.join(tmpdir(), 'auth-files-'));
  });
  afterEach(async () => {
    await host.close();
    await rm(folder, { recursive: true });
  });

  async function fileOf(name: string, text: string): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, text);
    return file;
  }

  function files(options: Partial<Values<typeof AUTH_OPTIONS>>): AuthFiles {
    return new AuthFiles(host.broker, { ...defaults(AUTH_OPTIONS), ...options }, silentLog);
  }

  test("Mosquitto's files are read as they are, and again M175", async () => {
    const salt = Buffer.from('saltsaltsalt').toString('base64');
    const key = pbkdf2Sync('secret', Buffer.from(salt, 'base64'), 101, 64, 'sha512');
    const line = (name: string): string => `${name}:$7$101$${salt}$${key.toString('base64')}\n`;
    const passwords = await fileOf('passwd', `# users\n${line('ann')}${line('bob')}`);
    const acl = await fileOf(
      'acl',
      `topic read open/#
user ann
topic readwrite ann/#
topic deny ann/secret
topic write in/+/x
pattern read devices/%c/in
pattern write devices/%u/out
`,
    );
    const auth = files({ mosquittoPasswordFile: passwords, mosquittoAclFile: acl });
    assert.deepEqual(await auth.load(), { users: 2, rules: 6 });
    const facts = { clientId: 'c9' };
    const login = (user: string) =>
      host.broker.authenticate({ user, password: 'secret', loopback: false, facts });
    const ann = await login('ann');
    const publishes = (topic: string): boolean =>
      host.broker.authorize(ann, 'publish', slashSpelling.parse(topic));
    const reads = (filter: string): boolean =>
      host.broker.authorize(ann, 'subscribe', slashPattern(filter)!);
    assert.deepEqual(['ann/a', 'ann/secret', 'in/1/x', 'devices/ann/out'].map(publishes), [
      true,
      false,
      true,
      true,
    ]);
    assert.deepEqual(['devices/c9/in', 'devices/c8/in', 'in/1/x', 'open/x'].map(reads), [
      true,
      false,
      false,
      false,
    ]);
    const anonymous = host.broker.anonymous({ loopback: true });
    assert.ok(host.broker.authorize(anonymous, 'subscribe', slashPattern('open/#')!));
    assert.ok(!host.broker.authorize(anonymous, 'publish', slashSpelling.parse('other')));

    await writeFile(passwords, line('bob'));
    await writeFile(acl, 'topic readwrite #\n');
    assert.deepEqual(await auth.load(), { users: 1, rules: 1 });
    assert.ok(!host.broker.principals.stands(ann));
    await assert.rejects(login('ann'), { code: 'bad-credentials' });
    assert.ok(host.broker.authorize(anonymous, 'publish', slashSpelling.parse('other')));
  });

  test('a file of rules counts beside those of the admin API; a bad one changes nothing M174', async () => {
    const rules = await fileOf(
      'rules.toml',
      `[[rules]]
effect = "deny"
principal = "*"
actions = ["publish"]
pattern = "closed/#"
`,
    );
    const auth = files({ rulesFile: rules });
    await auth.load();
    const anonymous = host.broker.anonymous({ loopback: true });
    const may = (topic: string): boolean =>
      host.broker.authorize(anonymous, 'publish', slashSpelling.parse(topic));
    assert.deepEqual(['closed/a', 'open/a'].map(may), [false, true]);
    assert.equal(host.broker.principals.rules()[0]!.source, 'rules-file');
    for (const text of [
      'nonsense',
      '[[rules]]\neffect = "deny"\n',
      '[[rules]]\neffect = "deny"\nprincipal = "*"\nactions = ["fly"]\npattern = "#"\n',
      '[[rules]]\neffect = "deny"\nprincipal = "*"\nactions = "all"\npattern = "a/#/b"\n',
      '[[rules]]\ncolour = "red"\n',
      'user = "x"\n',
    ]) {
      await writeFile(rules, text);
      await assert.rejects(auth.load(), { code: 'bad-configuration' }, text);
      assert.equal(may('closed/a'), false);
    }
    await assert.rejects(files({ rulesFile: path.join(folder, 'none') }).load(), {
      code: 'bad-configuration',
    });
  });

  test('broken lines of such files are told with their number M175', () => {
    for (const line of ['joe', 'joe:secret', 'joe:$5$a$b', 'joe:$7$x$YQ==$YQ==', 'joe:$6$YQ==']) {
      assert.throws(() => readPasswordFile('f', `\n${line}`), /line 2 of f/, line);
    }
    for (const line of ['user', 'topic', 'topics read x', 'pattern']) {
      assert.throws(() => readAclFile('f', `# c\n${line}`), /line 2 of f/, line);
    }
    assert.throws(() => readRulesFile('f', '[[rules]]\nactions = 1\n'), /rule 1 of f/);
  });
});
