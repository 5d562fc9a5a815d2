import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { defaults, realClock, silentLog } from '#kit';
import { openTokenCheck, type TokenSettings } from './token-check.ts';
import { TOKEN_OPTIONS } from './token-options.ts';

const ISSUER = 'https://provider.example';
let key: CryptoKey;
let stranger: CryptoKey;
let folder: string;
let file: string;
/** What the provider publishes. */
let published: { keys: object[] };

before(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true });
  key = pair.privateKey;
  stranger = (await generateKeyPair('ES256')).privateKey;
  published = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256' }] };
  folder = await mkdtemp(path.join(tmpdir(), 'token-check-'));
  file = path.join(folder, 'keys.json');
  await writeFile(file, JSON.stringify(published));
});
after(() => rm(folder, { recursive: true }));

function settings(more: Partial<TokenSettings> = {}): TokenSettings {
  return {
    ...defaults(TOKEN_OPTIONS),
    ...{ tokenKeysFile: file, tokenIssuer: ISSUER, tokenAudience: ['kafka'] },
    ...more,
  };
}

const open = (more: Partial<TokenSettings> = {}) =>
  openTokenCheck(settings(more), realClock, silentLog);

function token(
  claims: Readonly<Record<string, unknown>> = {},
  { by = key, endsIn = 3600, kid = 'one' } = {},
): Promise<string> {
  const seconds = Math.floor(realClock.nowMs() / 1000);
  const all = { iss: ISSUER, aud: 'kafka', sub: 'ann', exp: seconds + endsIn, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid }).sign(by);
}

test('a token of the issuer, for this server, is proved with its user and its end K74', async () => {
  const check = await open();
  const exp = Math.floor(realClock.nowMs() / 1000) + 3600;
  const proof = await check!.check(await token({ exp }));
  assert.deepEqual(proof, { user: 'ann', endsAtMs: exp * 1000 });
  const mail = await open({ tokenUserClaim: 'email' });
  const proved = await mail!.check(await token({ email: 'ann@example.org' }));
  assert.equal(proved.user, 'ann@example.org');
});

test('a token of others, for others, of other keys, too late or without a user is refused K74', async () => {
  const check = await open();
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const wrong = [
    await token({ iss: 'https://other.example' }),
    await token({ aud: 'mail' }),
    await token({}, { by: stranger }),
    await token({}, { kid: 'two' }),
    await token({}, { endsIn: -4000 }),
    await token({ sub: '' }),
    await token({ sub: 7 }),
    await token({ sub: undefined }),
    await token({ exp: undefined }),
    `${none}.${Buffer.from('{"sub":"ann"}').toString('base64url')}.`,
    'nonsense',
    'x'.repeat(100_000),
  ];
  for (const one of wrong) {
    await assert.rejects(check!.check(one), { code: 'bad-credentials' }, one.slice(0, 200));
  }
});

test('clocks may differ a little, and scopes can be asked for K74', async () => {
  const check = await open({ tokenClockSkew: 600_000 });
  assert.equal((await check!.check(await token({}, { endsIn: -10 }))).user, 'ann');
  const strict = await open({ tokenClockSkew: 0 });
  await assert.rejects(strict!.check(await token({}, { endsIn: -10 })), {
    code: 'bad-credentials',
  });
  const scoped = await open({ tokenScope: ['read', 'write'] });
  assert.equal((await scoped!.check(await token({ scope: 'write read more' }))).user, 'ann');
  assert.equal((await scoped!.check(await token({ scp: ['read', 'write'] }))).user, 'ann');
  for (const scope of [undefined, 'read', 'readwrite']) {
    await assert.rejects(scoped!.check(await token({ scope })), { code: 'bad-credentials' });
  }
});

test('keys are fetched when they are needed, and a provider that is away proves nothing K74', async () => {
  let fetched = 0;
  const provider = createServer((_, response) => {
    fetched++;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(published));
  });
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const { port } = provider.address() as AddressInfo;
  const tokenKeysUrl = `http://127.0.0.1:${port}/keys`;
  const check = await open({ tokenKeysFile: '', tokenKeysUrl });
  assert.equal(fetched, 0);
  for (let index = 0; index < 3; index++) {
    assert.equal((await check!.check(await token())).user, 'ann');
  }
  assert.equal(fetched, 1);
  const late = await open({ tokenKeysFile: '', tokenKeysUrl });
  provider.closeAllConnections();
  provider.close();
  await once(provider, 'close');
  assert.equal((await check!.check(await token())).user, 'ann', 'its keys are still there');
  await assert.rejects(late!.check(await token()), { code: 'bad-credentials' });
});

test('settings that would let in tokens meant for others stop the start K74', async () => {
  assert.equal(await open({ tokenKeysFile: '' }), null);
  const wrong: readonly Partial<TokenSettings>[] = [
    { tokenIssuer: '' },
    { tokenAudience: [] },
    { tokenKeysUrl: 'http://127.0.0.1/keys' },
    { tokenKeysFile: path.join(folder, 'missing') },
    { tokenKeysFile: '', tokenKeysUrl: 'file:///keys' },
  ];
  for (const more of wrong) await assert.rejects(open(more), { code: 'bad-configuration' });
});
