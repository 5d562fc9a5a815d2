/** Reads what an administrator sent; what does not fit is refused by the name of its field. */
import type { ActionCall } from '#contract';
import { BrokerError } from '#kit';

type Body = ActionCall['body'];

function refuse(name: string, detail: string): never {
  throw new BrokerError('invalid-argument', `the field "${name}" ${detail}.`);
}

/** Refuses fields that nobody reads: a misspelt one must not be lost. */
export function onlyFields(body: Body, names: readonly string[]): void {
  for (const name of Object.keys(body)) {
    if (!names.includes(name)) refuse(name, `is unknown; known: ${names.join(', ')}`);
  }
}

export function textField(body: Body, name: string, missing?: string): string {
  const value = body[name] ?? missing;
  return typeof value === 'string' ? value : refuse(name, 'is no text');
}

export function integerField(
  body: Body,
  name: string,
  range: readonly [least: number, most: number],
  missing?: number,
): number {
  const value = body[name] ?? missing;
  const [least, most] = range;
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  return refuse(name, `is no whole number from ${least} to ${most}`);
}

export function booleanField(body: Body, name: string, missing: boolean): boolean {
  const value = body[name] ?? missing;
  return typeof value === 'boolean' ? value : refuse(name, 'is no boolean');
}

export function oneOf<Word extends string>(
  body: Body,
  name: string,
  words: readonly Word[],
  missing?: Word,
): Word {
  const value = textField(body, name, missing);
  const word = words.find((each) => each === value);
  return word ?? refuse(name, `is none of ${words.join(', ')}`);
}
