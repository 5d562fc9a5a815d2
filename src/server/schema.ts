/** All options: the server's own sections, then one section per protocol. */
import { ADMIN_OPTIONS } from '#admin';
import type { Protocol } from '#contract';
import { LISTENER_OPTIONS, TLS_OPTIONS } from '#net';
import { OptionSchema } from './options/option-schema.ts';
import { AUTH_OPTIONS, SERVER_OPTIONS, STORAGE_OPTIONS } from './server-options.ts';

export function serverSchema(protocols: readonly Protocol[]): OptionSchema {
  const own = [
    { name: 'server', rows: SERVER_OPTIONS },
    { name: 'storage', rows: STORAGE_OPTIONS },
    { name: 'tls', rows: TLS_OPTIONS },
    { name: 'auth', rows: AUTH_OPTIONS },
    { name: 'admin', rows: ADMIN_OPTIONS },
  ];
  const theirs = protocols.map(({ name, options: rows, listenerOptions: perListener = [] }) => {
    return { name, rows, perListener };
  });
  return new OptionSchema([...own, ...theirs], LISTENER_OPTIONS);
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
