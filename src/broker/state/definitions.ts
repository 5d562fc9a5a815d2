/**
 * Definitions: the durable nouns of the server (streams, users, rules, and what protocols define),
 * by kind and name, as JSON. All of them are in memory, here or at their owner; changes of one turn
 * of the event loop share one commit of the catalogue, which is always made before the log entry
 * that may depend on them.
 */
import { BrokerError, type Log, type Timers } from '#kit';
import type { MetaChange, MetaStore } from '#meta';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [k: string]: Json };

export type DefinitionWatcher = (name: string, value: Json | undefined) => void;

const TABLE_PREFIX = 'definition/';
const KINDS_TABLE = 'definition-kinds';
/** Kinds that an owner keeps in memory whole, in a form of its own: their texts need not be. */
const HELD_ELSEWHERE: ReadonlySet<string> = new Set(['stream']);

export class Definitions {
  readonly #meta: MetaStore;
  readonly #timers: Timers;
  readonly #log: Log;
  /** As JSON text, which takes a third of the memory of objects: there may be 100 000 of a kind. */
  readonly #kinds = new Map<string, Map<string, string>>();
  readonly #watchers = new Map<string, Set<DefinitionWatcher>>();
  #changes: MetaChange[] = [];
  #scheduled = false;
  #writing: Promise<void> = Promise.resolve();
  #failure: BrokerError | null = null;

  private constructor(meta: MetaStore, timers: Timers, log: Log) {
    this.#meta = meta;
    this.#timers = timers;
    this.#log = log;
  }

  /**
   * Reads all definitions. @throws BrokerError `storage-failed` when the catalogue cannot be read.
   */
  static async open(meta: MetaStore, timers: Timers, log: Log): Promise<Definitions> {
    const definitions = new Definitions(meta, timers, log);
    for await (const kinds of meta.scan(KINDS_TABLE)) {
      for (const { key: kind } of kinds) {
        const names = new Map<string, string>();
        definitions.#kinds.set(kind, names);
        if (HELD_ELSEWHERE.has(kind)) continue;
        for (const [name, text] of meta.texts(TABLE_PREFIX + kind)) names.set(name, text);
      }
    }
    return definitions;
  }

  get(kind: string, name: string): Json | undefined {
    const text = HELD_ELSEWHERE.has(kind)
      ? this.#stored()
          .read(TABLE_PREFIX + kind, name)
          ?.toString()
      : this.#kinds.get(kind)?.get(name);
    return text === undefined ? undefined : (JSON.parse(text) as Json);
  }

  *list(kind: string): Generator<[string, Json]> {
    const texts = HELD_ELSEWHERE.has(kind)
      ? this.#stored().texts(TABLE_PREFIX + kind)
      : (this.#kinds.get(kind) ?? []);
    for (const [name, text] of texts) yield [name, JSON.parse(text) as Json];
  }

  /** Takes effect at once; `durable()` tells when it would survive. */
  put(kind: string, name: string, value: Json): void {
    let names = this.#kinds.get(kind);
    if (names === undefined) {
      names = new Map();
      this.#kinds.set(kind, names);
      this.#change({ table: KINDS_TABLE, key: kind, value: Buffer.alloc(0) });
    }
    const text = JSON.stringify(value);
    if (!HELD_ELSEWHERE.has(kind)) names.set(name, text);
    this.#change({ table: TABLE_PREFIX + kind, key: name, value: Buffer.from(text) });
    this.#tell(kind, name, value);
  }

  remove(kind: string, name: string): void {
    const isHere = this.#kinds.get(kind)?.delete(name) === true;
    if (!isHere && !HELD_ELSEWHERE.has(kind)) return;
    this.#change({ table: TABLE_PREFIX + kind, key: name, value: null });
    this.#tell(kind, name, undefined);
  }

  /** Calls on every later change of a kind. @returns a function that ends it. */
  watch(kind: string, watcher: DefinitionWatcher): () => void {
    let watchers = this.#watchers.get(kind);
    if (watchers === undefined) {
      watchers = new Set();
      this.#watchers.set(kind, watchers);
    }
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }

  /** Starts the commit of what has changed; called before every log entry is sealed. */
  flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.#writing = Promise.all([this.#writing, this.#meta.write(changes)]).then(
      () => {},
      (cause: unknown) => {
        // What is in memory is ahead of the disk now; promising durability again would be a lie.
        this.#failure ??=
          cause instanceof BrokerError
            ? cause
            : new BrokerError('storage-failed', 'catalogue', {}, cause);
        this.#log.error('definitions cannot be stored', { reason: this.#failure.message });
      },
    );
  }

  /** Resolves when every change made so far would survive a power cut. @throws BrokerError */
  async durable(): Promise<void> {
    this.flush();
    await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** The catalogue with every change made so far. */
  #stored(): MetaStore {
    this.flush();
    return this.#meta;
  }

  #change(change: MetaChange): void {
    this.#changes.push(change);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#timers.soon(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  #tell(kind: string, name: string, value: Json | undefined): void {
    const watchers = this.#watchers.get(kind);
    if (watchers !== undefined) for (const watcher of [...watchers]) watcher(name, value);
  }
}
