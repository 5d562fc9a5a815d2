/** The version of the program, from its package.json. */
import { readFileSync } from 'node:fs';

const PACKAGE_FILE = new URL('../../package.json', import.meta.url);

export function programVersion(): string {
  const content = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string };
  return content.version;
}
