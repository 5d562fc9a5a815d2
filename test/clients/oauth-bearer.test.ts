/** Log-ins by tokens of an identity provider, with librdkafka. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { runPython } from './python-scenarios.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { python, ready } from './toolchains/index.ts';

const ISSUER = 'https://provider.example';
const LIFETIME_SECONDS = 3600;
const { folder: packages, missing } = await ready(python);

describe('confluent-kafka with tokens', { skip: missing ?? false }, () => {
  let server: Server;
  let folder: string;
  let token: string;
  const expires = Math.floor(Date.now() / 1000) + LIFETIME_SECONDS;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tokens-'));
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const keys = path.join(folder, 'keys.json');
    await writeFile(
      keys,
      JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] }),
    );
    token = await new SignJWT({ preferred_username: ADMIN.user })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .setIssuer(ISSUER)
      .setAudience('robustmq')
      .setExpirationTime(expires)
      .sign(privateKey);
    const flags = [
      ...['--auth-token-keys-file', keys, '--auth-token-issuer', ISSUER],
      ...['--auth-token-audience', 'robustmq', '--auth-token-user-claim', 'preferred_username'],
    ];
    server = await startServer({ flags });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it('a token logs in, a forged one does not K74 K204', async () => {
    const port = String(server.ports.kafka);
    const args = [HOST, port, token, String(expires)];
    await runPython(packages ?? '', 'oauth_bearer.py', args);
  });
});
