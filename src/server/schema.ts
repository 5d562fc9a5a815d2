/** All options: the server's own sections, then one section per protocol. */
import { ADMIN_OPTIONS } from '#admin';
import type { Protocol } from '#contract';
import { TLS_OPTIONS } from '#net';
import { OptionSchema } from './options/option-schema.ts';
import { AUTH_OPTIONS, SERVER_OPTIONS, STORAGE_OPTIONS } from './server-options.ts';

export function serverSchema(protocols: readonly Protocol[]): OptionSchema {
  return new OptionSchema([
    { name: 'server', rows: SERVER_OPTIONS },
    { name: 'storage', rows: STORAGE_OPTIONS },
    { name: 'tls', rows: TLS_OPTIONS },
    { name: 'auth', rows: AUTH_OPTIONS },
    { name: 'admin', rows: ADMIN_OPTIONS },
    ...protocols.map((protocol) => ({ name: protocol.name, rows: protocol.options })),
  ]);
}

/** Settings that let every listener choose a free port, by option name; for tests. */
export function freePorts(schema: OptionSchema): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const { name, key, row } of schema.options.values()) {
    const isListen = row.type === 'list' && /(^|-)listen$/.test(key);
    if (isListen && row.default.length > 0) settings[name] = 'localhost:0';
  }
  return settings;
}
