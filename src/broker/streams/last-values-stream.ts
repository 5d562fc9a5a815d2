/**
 * The stream of the last values: compacted, one partition, the key of a record is its address. It
 * is written by who keeps last values, and by producers of record batches; no address leads into
 * it. Its name is that under which its readers know it.
 */
import { BrokerError } from '#kit';
import { Address } from '../addresses/address.ts';
import type { Message } from '../records/message.ts';
import type { StreamSettings } from './stream.ts';

export const LAST_VALUES = 'mqtt.retained';

/** What it is, whoever makes it. */
const FIXED: Partial<StreamSettings> = {
  durability: 'fsync',
  cleanup: 'compact',
  remote: false,
  appendTime: false,
};
/** What its owner may change. Replaced values should not stay for long: there may be many. */
const GIVEN: Partial<StreamSettings> = {
  headMs: 600_000,
  headBytes: 64 << 20,
  messageBytesMax: 256 << 20,
};

type Wanted = Partial<StreamSettings> & { partitions?: number };

/** @throws BrokerError `invalid-argument` */
export function lastValuesSettings(wanted: Wanted): Wanted {
  if ((wanted.partitions ?? 1) !== 1) throw fault('has one partition');
  return { ...GIVEN, ...wanted, ...FIXED, partitions: 1 };
}

/** @throws BrokerError `invalid-argument` when a setting that makes it what it is would change */
export function checkLastValues(settings: StreamSettings): void {
  for (const [name, value] of Object.entries(FIXED)) {
    if (settings[name as keyof StreamSettings] !== value) throw fault(`keeps its ${name}`);
  }
}

function fault(what: string): BrokerError {
  return new BrokerError('invalid-argument', `'${LAST_VALUES}' ${what}.`);
}

/** The bytes that an address may have, as in all protocols. */
const KEY_BYTES_MAX = 65_535;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A producer's record is the last value of the address that its key names. */
export function placeLastValue(message: Message): void {
  const address = message.key === null ? null : addressOfKey(message.key);
  if (address === null) return;
  message.address = address;
  message.retain = true;
}

/** Null when a key names no address. */
function addressOfKey(key: Buffer): Address | null {
  if (key.length === 0 || key.length > KEY_BYTES_MAX) return null;
  try {
    const text = decoder.decode(key);
    // Canonical text has none of these: they would be wildcards, or end a name.
    return /[+#\0]/.test(text) ? null : new Address(text, false);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
