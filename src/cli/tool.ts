/** What every command of `robust-ctl` starts from: the global flags, the server, the output. */
import type { Command } from 'commander';
import { AdminClient } from './admin-client.ts';
import { type Output, openOutput } from './output.ts';

export interface Tool {
  readonly admin: AdminClient;
  readonly output: Output;
}

export const DEFAULT_URL = 'http://localhost:58080';
export const URL_VARIABLE = 'ROBUSTMQ_CTL_URL';
export const USER_VARIABLE = 'ROBUSTMQ_CTL_USER';
export const PASSWORD_VARIABLE = 'ROBUSTMQ_CTL_PASSWORD';

interface GlobalFlags {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly json?: boolean;
}

export function toolOf(command: Command): Tool {
  const { url, user, password, json = false } = command.optsWithGlobals<GlobalFlags>();
  return {
    admin: new AdminClient({ url, user, password }),
    output: openOutput(json, (text) => void process.stdout.write(text)),
  };
}

/** A path of the API with names in it. */
export function api(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return `/api/v1${String.raw({ raw: parts }, ...names.map(encodeURIComponent))}`;
}
