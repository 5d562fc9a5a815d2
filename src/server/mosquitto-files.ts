/**
 * The password file and the ACL file of Mosquitto, read as they are: users with the hashes that are
 * there, lines of the ACL file as rules.
 */
import type { ForeignPassword, Rule } from '#broker';
import { BrokerError } from '#kit';

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const ITERATIONS_MAX = 10_000_000;

/** `name:$7$iterations$salt$hash` (PBKDF2 with SHA-512) or `name:$6$salt$hash` (SHA-512). */
export function readPasswordFile(file: string, text: string): ForeignPassword[] {
  const users: ForeignPassword[] = [];
  for (const [line, number] of linesOf(text)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    const [nothing, kind, ...fields] = line.slice(colon + 1).split('$');
    if (name === '' || nothing !== '') throw broken(file, number, 'is not name:$hash');
    const iterations = kind === '7' ? Number(fields.shift()) : 1;
    const [salt = '', hash = ''] = fields;
    if ((kind !== '6' && kind !== '7') || fields.length !== 2) {
      throw broken(file, number, 'has a hash that is neither $6$ nor $7$');
    }
    const counted = Number.isInteger(iterations) && iterations > 0 && iterations <= ITERATIONS_MAX;
    if (!counted || !BASE64.test(salt) || !BASE64.test(hash)) {
      throw broken(file, number, 'has a hash that is not well-formed');
    }
    const form = kind === '7' ? 'pbkdf2-sha512' : 'sha512';
    users.push({ name, form, iterations, salt, hash });
  }
  return users;
}

const ACCESS = {
  read: { effect: 'allow', actions: ['subscribe'] },
  write: { effect: 'allow', actions: ['publish'] },
  readwrite: { effect: 'allow', actions: ['publish', 'subscribe'] },
  deny: { effect: 'deny', actions: ['publish', 'subscribe'] },
} as const satisfies Record<string, Pick<Rule, 'effect' | 'actions'>>;

/**
 * `user NAME`, `topic [ACCESS] TOPIC` for that user (before the first: for clients without one),
 * `pattern [ACCESS] TOPIC` for everybody, with %c and %u.
 */
export function readAclFile(file: string, text: string): Rule[] {
  const rules: Rule[] = [];
  let user = 'anonymous';
  for (const [line, number] of linesOf(text)) {
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    if (word === 'user') {
      if (rest === '') throw broken(file, number, 'names no user');
      user = rest;
      continue;
    }
    if (word !== 'topic' && word !== 'pattern') {
      throw broken(file, number, `begins with '${word}'`);
    }
    const [, named, topic] = /^(?:(read|write|readwrite|deny)\s+)?(.+)$/.exec(rest) ?? [];
    if (topic === undefined) throw broken(file, number, 'names no topic');
    const access = ACCESS[(named ?? 'readwrite') as keyof typeof ACCESS];
    rules.push({
      id: `${file}:${number}`,
      ...access,
      principal: word === 'pattern' ? '*' : user,
      pattern: word === 'pattern' ? withPlaceholders(topic) : topic,
    });
  }
  return rules;
}

/** A placeholder is a whole level. */
function withPlaceholders(topic: string): string {
  const names: Readonly<Record<string, string>> = { '%c': 'clientid', '%u': 'username' };
  return topic
    .split('/')
    .map((level) => (names[level] === undefined ? level : `\${${names[level]}}`))
    .join('/');
}

/** Lines that say something, with their numbers. */
function* linesOf(text: string): Generator<readonly [string, number]> {
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) yield [trimmed, index + 1];
  }
}

function broken(file: string, line: number, what: string): BrokerError {
  return new BrokerError('bad-configuration', `line ${line} of ${file} ${what}.`);
}
