/**
 * A load: clients of one protocol at work on the running server, that know what was promised to
 * them and check it after the server came back. Crash runs, power cuts and the soak share them.
 */
import type { Server } from '../clients/server.ts';
import type { BodySizes } from './bodies.ts';
import type { Findings } from './findings.ts';
import type { Pace } from './pump.ts';
import type { ReadLog } from './stored-log.ts';

export const PROTOCOLS = ['mqtt', 'kafka', 'amqp', 'nats'] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

export interface LoadSettings {
  /** Decides the bodies. */
  readonly seed: number;
  readonly sizes: BodySizes;
  readonly pace: Pace;
  /** Of the records that come in large batches. */
  readonly large: BodySizes;
  /** There is an object store. */
  readonly remote: boolean;
}

export interface Load {
  readonly name: string;
  readonly protocol: ProtocolName;
  /** Messages, or steps of another kind, that the server acknowledged. */
  readonly acknowledged: number;
  /** Streams to read back, each with one publisher. */
  readonly logs: readonly ReadLog[];
  /** Makes what it needs on a fresh server. */
  prepare(server: Server): Promise<void>;
  /** Begins to work, on a server that runs. */
  begin(server: Server): Promise<void>;
  /** Begins nothing new: the server is about to go, has gone, or the load is over. */
  cease(): void;
  /** After the restart: resolves when nothing is in doubt any more. */
  settle(findings: Findings): Promise<void>;
  /** What reading its streams back does not show. */
  check?(server: Server, findings: Findings): Promise<void>;
  /** The end of a data folder: what can only be looked at once. */
  finish?(server: Server, findings: Findings): Promise<void>;
  close(): Promise<void>;
}
