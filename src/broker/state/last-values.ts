/**
 * The last value of each address that asked to be kept (the compacted log of `storage.md`): the
 * whole message, as one record, in the state table. It commits together with the message that set
 * it, and goes when it expires. The values lie in the catalogue in the order of their levels, so a
 * pattern walks only where it can match (`last-values-walk.ts`).
 */
import type { Address } from '../addresses/address.ts';
import type { Pattern } from '../addresses/pattern.ts';
import type { Principals } from '../principals/principals.ts';
import { messageBytes, messageOfBytes } from '../records/kept-message.ts';
import type { Message } from '../records/message.ts';
import type { TimeEngine } from '../time/time-engine.ts';
import { addressKey, walk } from './last-values-walk.ts';
import { coldKind } from './state-store.ts';
import type { StateTable } from './state-table.ts';

const KIND = coldKind('last');
/** Entries of the time engine: the key of a value, when it expires. */
const EXPIRY = 'last-value';
const NOTHING: Buffer = Buffer.alloc(0);

export class LastValues {
  readonly #state: StateTable;
  readonly #time: TimeEngine;
  readonly #principals: Principals;

  constructor(state: StateTable, time: TimeEngine, principals: Principals) {
    this.#state = state;
    this.#time = time;
    this.#principals = principals;
    time.register(EXPIRY, ({ id }) => this.#state.delete(KIND, id));
  }

  get count(): number {
    return this.#state.count(KIND);
  }

  /** Keeps the message as the last of its address. A change of the same turn shares its commit. */
  put(message: Message): void {
    // An address and its alias are two places; a dotted one is kept under its levels.
    const key = addressKey(message.address.text);
    this.#state.put(KIND, key, messageBytes(message));
    if (message.expiresAtMs !== 0) this.#time.set(EXPIRY, key, message.expiresAtMs, NOTHING);
    else if (this.#time.count(EXPIRY) > 0) this.#time.cancel(EXPIRY, key);
  }

  remove(address: Address): void {
    const key = addressKey(address.text);
    if (this.#state.delete(KIND, key) && this.#time.count(EXPIRY) > 0) {
      this.#time.cancel(EXPIRY, key);
    }
  }

  get(address: Address): Message | undefined {
    const bytes = this.#state.get(KIND, addressKey(address.text));
    return bytes === undefined ? undefined : this.#read(bytes);
  }

  /**
   * Kept messages under a pattern, in the order of their addresses, read as they are asked for. A
   * null is a step that found none: a good moment to let others have their turn.
   */
  *match(pattern: Pattern): Generator<Message | null> {
    for (const row of walk(this.#state, KIND, pattern)) {
      yield row === null ? null : this.#read(row.value);
    }
  }

  #read(bytes: Buffer): Message {
    const { message, principalId } = messageOfBytes(bytes);
    message.principal = this.#principals.byId(principalId);
    return message;
  }
}
