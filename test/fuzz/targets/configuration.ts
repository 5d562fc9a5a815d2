/**
 * The configuration from all its sources: a TOML file, then behind a line of `---` environment
 * variables, and behind another one flags. Either every mistake is named, or there are settings,
 * and what `check-config` prints of them is a file that gives the same.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BrokerError } from '#kit';
import { protocols } from '#protocols';
import { parseListen } from '../../../src/net/address.ts';
import { loadSettings, type OptionSources } from '../../../src/server/options/load-settings.ts';
import type { Settings } from '../../../src/server/options/settings.ts';
import { serverSchema } from '../../../src/server/schema.ts';
import { refusable, type Target } from '../target.ts';

const SCHEMA = serverSchema(protocols);
const SECRETS = /(^|-)(password|secret|token)$/;
const SEPARATOR = '\n---\n';
const OPTIONS = [...SCHEMA.options.values()];

let folder: string | null = null;

function fileWith(content: Buffer | string): string {
  folder ??= mkdtempSync(path.join(tmpdir(), 'fuzz-configuration-'));
  const file = path.join(folder, 'fuzzed.toml');
  writeFileSync(file, content);
  return file;
}

function pairsOf(text: string | undefined): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const line of (text ?? '').split('\n')) {
    const gap = line.indexOf('=');
    if (gap > 0) pairs[line.slice(0, gap)] = line.slice(gap + 1);
  }
  return pairs;
}

const mayRefuse = (error: unknown): boolean =>
  error instanceof BrokerError && error.code === 'bad-configuration';

function load(sources: OptionSources): Settings | null {
  return refusable(() => loadSettings(SCHEMA, sources), mayRefuse);
}

/** All values but those that are not shown. */
function valuesOf(settings: Settings): unknown {
  return OPTIONS.filter(({ key }) => !SECRETS.test(key)).map(({ name }) => [
    name,
    settings.get(name)!.value,
  ]);
}

export const configuration: Target = {
  name: 'configuration',
  words: [
    ...OPTIONS.filter((_, index) => index % 5 === 0).flatMap(({ name, key, environment }) => [
      Buffer.from(`${name}=`),
      Buffer.from(`\n${key} = `),
      Buffer.from(`${environment}=`),
    ]),
    ...['[mqtt]\n', '[[mqtt]]\n', '[server]\n', '{', '}', '"""', "'", '\\u0000', '\\ud800'],
    ...['64MiB', 'never', '1e9', '1_000', '0x10', 'inf', 'nan', '1979-05-27', '9007199254740993'],
    ...['__proto__', 'constructor', '[a.b]\n', '[localhost:0]', '"\\u007f"', SEPARATOR, 'true'],
  ].map((word) => Buffer.from(word)),
  *seeds() {
    yield Buffer.from('[mqtt]\nlisten = ["localhost:0"]\npacket-bytes-max = "1MiB"\n');
    yield Buffer.from('[server]\ndata-dir = "x"\nstop-timeout = "3s"\nauto-create = false\n');
    yield Buffer.from(`${SEPARATOR}ROBUSTMQ_SERVER_LOG_LEVEL=debug${SEPARATOR}`);
    yield Buffer.from(`${SEPARATOR}${SEPARATOR}mqtt.listen=a:1,b:2\nstorage.reserve=20MiB`);
    yield Buffer.from('server.data-dir = "a"\nadmin = { listen = ["off"] }\n');
    yield Buffer.from(load({})!.show().slice(0, 1000));
  },
  run(input) {
    const [content = '', ...rest] = input.toString('latin1').split(SEPARATOR);
    const text = Buffer.from(content, 'latin1');
    const settings = load({
      file: fileWith(text),
      environment: pairsOf(rest[0]),
      flags: pairsOf(rest[1]),
    });
    if (settings === null) return;
    for (const { row, name } of OPTIONS) {
      const { value } = settings.get(name)!;
      if (row.type !== 'list' || !/listen$/.test(name)) continue;
      for (const listen of value as string[]) refusable(() => parseListen(listen), mayRefuse);
    }
    const shown = settings.show().replaceAll('"…"', '""');
    const again = load({ file: fileWith(shown) });
    assert.ok(again !== null, 'what is shown is a configuration');
    assert.deepStrictEqual(valuesOf(again), valuesOf(settings));
  },
  allocation: { base: 8 << 20, perByte: 16_384 },
  // Read once, before anything is served: only its size matters.
  cpuMsMax: 2_000,
  inputBytesMax: 1024,
  cost: 40,
  async close() {
    if (folder !== null) rmSync(folder, { recursive: true });
    folder = null;
  },
};
