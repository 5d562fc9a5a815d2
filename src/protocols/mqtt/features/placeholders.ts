/** Names that stand for a client in rules: Mosquitto (`%c`, `%u`), EMQX (`${clientid}`). */
import type { Session } from '../session.ts';

const PLACEHOLDER = /%c|%u|\$\{clientid\}|\$\{username\}/g;

export function filled(text: string, { clientId, principal }: Session): string {
  if (!text.includes('%') && !text.includes('$')) return text;
  return text.replace(PLACEHOLDER, (name) =>
    name.endsWith('c') || name.includes('clientid') ? clientId : principal.name,
  );
}
