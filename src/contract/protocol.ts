/**
 * A protocol, as the server sees it. `src/protocols/index.ts` lists them; nothing else registers.
 */
import type { Broker, Json } from '#broker';
import type { Clock, Log, Metrics, OptionRows, Random, Timers, Values } from '#kit';
import type { Connection } from './connection.ts';
import type { ListenerPlan } from './listener.ts';

/** What a protocol is given. */
export interface Host {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Scoped to the protocol's name. */
  readonly log: Log;
  readonly metrics: Metrics;
  /** Stable id of this server's data folder, and the program's version. */
  readonly serverId: string;
  readonly version: string;
  /** Addresses really bound, by listener name, once listening: port 0 is resolved here. */
  bound(listener: string): readonly { address: string; port: number }[];
}

/** What admin was asked, for an action. */
export interface ActionCall {
  /** Values of the `:name` parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The body, an object; empty when there is none. */
  readonly body: Readonly<Record<string, Json>>;
  /** Who asks: an administrator. */
  readonly user: string;
}

/** Rows come in pages, a value as it is, text as plain text; null when there is nothing to say. */
export type ActionReply =
  | { readonly rows: Iterable<Json> }
  | { readonly value: Json }
  | { readonly text: string }
  | null;

/** Something that admin can ask of a protocol: a route under `/api/v1/<protocol>/`. */
export interface Action {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `clients/:client/queue` */
  readonly path: string;
  /** One sentence; the API document shows it. */
  readonly summary: string;
  /** @throws BrokerError as its status of HTTP */
  run(call: ActionCall): ActionReply | Promise<ActionReply>;
}

export interface Instance {
  /** A new connection. The protocol calls `connection.handle` before it returns. */
  accept(connection: Connection): void;
  /** Rows for admin, by noun of `resources`. */
  list?(noun: string): Iterable<Readonly<Record<string, string | number | boolean | null>>>;
  /** What admin can ask beyond lists. */
  readonly actions?: readonly Action[];
  /** Takes leave of all clients in the protocol's own way and resolves when they are gone. */
  close(): Promise<void>;
}

/** A noun that admin lists for the protocol: `connections`, `sessions`, `groups`. */
export interface ResourceRow {
  readonly noun: string;
  readonly columns: readonly string[];
}

export interface Protocol<Rows extends OptionRows = OptionRows> {
  /** Log scope, metric label, option section, admin column: lower case, one word. */
  readonly name: string;
  readonly options: Rows;
  /** Keys of `options` that the table of one listener may have values of its own for. */
  readonly listenerOptions?: readonly string[];
  listeners(options: Values<Rows>): ListenerPlan[];
  /**
   * Looks at what holds on one listener, before anything is opened.
   * @throws BrokerError `bad-configuration` for what cannot be meant
   */
  check?(options: Values<Rows>): void;
  readonly resources?: readonly ResourceRow[];
  /**
   * @param byListener what holds on each listener, by its name; where one is missing, `options`
   */
  open(host: Host, options: Values<Rows>, byListener?: ReadonlyMap<string, Values<Rows>>): Instance;
}
