/** One entry of the ban list: whom it is about, why, and until when. */
import { isIP } from 'node:net';
import { BrokerError } from '#kit';
import { unmapped } from '../address.ts';
import { AddressSet } from '../address-set.ts';

export type BanKind = 'client' | 'client-pattern' | 'user' | 'address' | 'range';

export interface Ban {
  readonly kind: BanKind;
  /** A client identifier, a regular expression on it, a user's name, an address, or a range. */
  readonly value: string;
  readonly reason: string;
  readonly sinceMs: number;
  /** When it ends; null = when somebody lifts it. */
  readonly untilMs: number | null;
}

/** Longer client identifiers are not looked at by patterns: they match none. */
export const PATTERN_INPUT_MAX = 1024;
const VALUE_LENGTH_MAX = 1024;

export function banName(kind: BanKind, value: string): string {
  return `${kind}:${value}`;
}

/** In the one form in which it is compared. @throws BrokerError `invalid-argument` */
export function checkedValue(kind: BanKind, value: string): string {
  const wrong = (what: string) => new BrokerError('invalid-argument', `value: ${what}.`);
  if (value === '' || value.length > VALUE_LENGTH_MAX) throw wrong('1 to 1024 characters');
  if (kind === 'address') {
    if (isIP(value) === 0) throw wrong('an address such as 10.0.0.7 or 2001:db8::7');
    return unmapped(value);
  }
  if (kind === 'range') rangeOf(value);
  if (kind === 'client-pattern') patternOf(value);
  return value;
}

/** @throws BrokerError `invalid-argument` */
export function rangeOf(value: string): AddressSet {
  try {
    return new AddressSet('value', [value]);
  } catch (error) {
    throw new BrokerError('invalid-argument', 'value: a range such as 10.0.0.0/8.', {}, error);
  }
}

/** For whole client identifiers. @throws BrokerError `invalid-argument` */
export function patternOf(value: string): RegExp {
  try {
    return new RegExp(`^(?:${value})$`, 'u');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerError('invalid-argument', `value: ${reason}.`, {}, error);
  }
}
