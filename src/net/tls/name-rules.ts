/**
 * Rules that make the name of a user from what a certificate says, in the notation of Kafka's
 * `ssl.principal.mapping.rules` (KIP-371): `RULE:pattern/replacement/` with L or U behind it for
 * lower or upper case, and `DEFAULT` for the name as it is; several with commas between them. The
 * first rule whose pattern fits the whole name holds.
 */
import { BrokerError } from '#kit';

/** Null: no rule fits, so the certificate names nobody. */
type NameRule = (name: string) => string | null;

const PART = /(?:\\.|[^\\/])*/.source;
const RULE = new RegExp(`\\s*(?:(DEFAULT)|RULE:(${PART})/(${PART})/([LU]?))\\s*(?:,|$)`, 'y');

/** By text: listeners have few, and each handshake asks. */
const known = new Map<string, readonly NameRule[]>();

/** @throws BrokerError `bad-configuration` */
export function nameRules(text: string): readonly NameRule[] {
  const before = known.get(text);
  if (before !== undefined) return before;
  const rules: NameRule[] = [];
  RULE.lastIndex = 0;
  while (RULE.lastIndex < text.length) {
    const at = RULE.lastIndex;
    const match = RULE.exec(text);
    if (match === null) throw wrong(text.slice(at));
    rules.push(match[1] === undefined ? ruleOf(match) : asItIs);
  }
  known.set(text, rules);
  return rules;
}

/** The name that the rules make; without rules the name as it is. */
export function mappedName(name: string | null, text: string): string | null {
  if (name === null || text === '') return name;
  for (const rule of nameRules(text)) {
    const made = rule(name);
    if (made !== null) return made === '' ? null : made;
  }
  return null;
}

function asItIs(name: string): string {
  return name;
}

function ruleOf([text, , pattern, replacement, letters]: RegExpExecArray): NameRule {
  let whole: RegExp;
  try {
    whole = new RegExp(`^(?:${pattern})$`, 'u');
  } catch {
    throw wrong(text);
  }
  // Only $1 to $9 mean something in a replacement.
  const way = replacement!.replaceAll(/\$(?![1-9])/g, '$$$$');
  return (name) => {
    if (!whole.test(name)) return null;
    const made = name.replace(whole, way);
    if (letters === 'L') return made.toLowerCase();
    return letters === 'U' ? made.toUpperCase() : made;
  };
}

function wrong(rule: string): BrokerError {
  return new BrokerError('bad-configuration', `tls.identity-user-rules: '${rule}' is no rule.`);
}
