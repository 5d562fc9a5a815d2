/**
 * What the server sees of the network. `Listeners` is the machine's own; a simulation has one whose
 * connections lie in memory and whose delays, losses and stuck readers come from a seed.
 */
import type { Socket } from 'node:net';
import type { Connection, ListenerPlan, Transport } from '#contract';
import type { Guest } from './doorway.ts';

export interface Bound {
  readonly address: string;
  readonly port: number;
}

export interface OpenListener {
  readonly name: string;
  readonly transport: Transport | 'http';
  readonly addresses: readonly Bound[];
}

export interface Network {
  /**
   * Opens a listener of a protocol; one that has no address, or needs a certificate that is not
   * there, stays closed.
   * @throws BrokerError `bad-configuration` when a port cannot be had.
   */
  open(plan: ListenerPlan, accept: (connection: Connection) => void): Promise<void>;
  /** Opens a listener whose sockets go to an HTTP server as they are; for admin. */
  openHttp(name: string, listen: readonly string[], serve: (socket: Socket) => void): Promise<void>;
  /** Addresses of a listener, ports resolved; empty when it is not open. */
  bound(name: string): readonly Bound[];
  list(): OpenListener[];
  /** Connections open now on a listener. */
  connections(name: string): number;
  /** All connections of protocols that are open now. */
  guests(): Iterable<Guest>;
  /** Closes the ports; connections live on. */
  stopAccepting(): void;
  /** Closes the ports of protocols; admin stays. */
  closeDoors(): void;
  /** Cuts what is left. */
  close(): void;
}
