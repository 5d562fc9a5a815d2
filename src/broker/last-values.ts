/**
 * The last value of each address that asked to be kept (the compacted log of `storage.md`): the
 * whole message, as one record, in the state table. It commits together with the message that set
 * it.
 */
import { Address } from './address.ts';
import { readEnvelope } from './envelope.ts';
import { Message } from './message.ts';
import { matches, type Pattern } from './pattern.ts';
import type { Principals } from './principals.ts';
import { BatchBuilder, readRecords } from './record-batch.ts';
import type { StateTable } from './state-table.ts';

const KIND = 'last';
const RECORD_BYTES_MAX = 1 << 30;
/** Never equal to an address, so the record always carries its own. */
const NO_HOME = '\0';

export class LastValues {
  readonly #state: StateTable;
  readonly #principals: Principals;

  constructor(state: StateTable, principals: Principals) {
    this.#state = state;
    this.#principals = principals;
  }

  get count(): number {
    return this.#state.count(KIND);
  }

  /** Keeps the message as the last of its address. A change of the same turn shares its commit. */
  put(message: Message): void {
    const builder = new BatchBuilder(0);
    builder.add(message, NO_HOME);
    // An address and its alias are two places; a dotted one is kept under its levels.
    this.#state.put(KIND, message.address.text, Buffer.from(builder.finish()));
  }

  remove(address: Address): void {
    this.#state.delete(KIND, address.text);
  }

  get(address: Address): Message | undefined {
    const bytes = this.#state.get(KIND, address.text);
    return bytes === undefined ? undefined : this.#read(address.text, bytes);
  }

  /**
   * Kept messages under a pattern, expired ones included; read one by one as they are asked for.
   */
  *match(pattern: Pattern): Generator<Message> {
    if (pattern.exact && pattern.form === 'slash') {
      const text = pattern.parts.join('/');
      const bytes = this.#state.get(KIND, text);
      if (bytes !== undefined) yield this.#read(text, bytes);
      return;
    }
    for (const [text, bytes] of this.#state.scan(KIND)) {
      const words = pattern.form === 'slash' ? text.split('/') : new Address(text, false).words;
      if (matches(pattern, words)) yield this.#read(text, bytes);
    }
  }

  #read(text: string, bytes: Buffer): Message {
    const record = readRecords(bytes, 0, RECORD_BYTES_MAX)[0]!;
    const message = new Message(new Address(text, false), record.value, 0);
    message.key = record.key;
    message.timestampMs = record.timeMs;
    message.appendTimeMs = record.timeMs;
    message.principal = this.#principals.byId(readEnvelope(message, record.headers));
    return message;
  }
}
