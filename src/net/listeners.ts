/** All open ports of a server and the limits that hold over all of them. */
import type { Server, Socket } from 'node:net';
import type { Connection, ListenerPlan } from '#contract';
import { assert, type Clock, type Log, type Metrics, type Values } from '#kit';
import { parseListen } from './address.ts';
import { bind, boundOf } from './bind.ts';
import type { Certificate } from './certificate.ts';
import { Door } from './door.ts';
import { connectionIds, type Doorway, type DoorwayCounts, doorwayCounts } from './doorway.ts';
import { HalfOpen } from './half-open.ts';
import type { NET_OPTIONS } from './net-options.ts';
import type { Bound, Network, OpenListener } from './network.ts';
import type { Turn } from './turn.ts';

/** A server that is full of clients can still be looked at. */
const ADMIN_CONNECTIONS_EXTRA = 64;

export interface ListenersContext {
  readonly options: Values<typeof NET_OPTIONS>;
  readonly certificate: Certificate | null;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface Opened extends OpenListener {
  readonly servers: readonly Server[];
  readonly counts: DoorwayCounts;
}

export class Listeners implements Network {
  readonly #context: ListenersContext;
  readonly #halfOpen: HalfOpen;
  readonly #opened = new Map<string, Opened>();
  readonly #sockets = new Set<Socket>();
  readonly #nextId = connectionIds();

  constructor(context: ListenersContext) {
    this.#context = context;
    this.#halfOpen = new HalfOpen(context.clock, context.turn, {
      countMax: context.options.halfOpenMax,
      firstBytesMs: context.options.firstBytesTimeout,
    });
  }

  async open(plan: ListenerPlan, accept: (connection: Connection) => void): Promise<void> {
    const { options, certificate, log } = this.#context;
    const encrypted = plan.transport === 'tls' || plan.transport === 'wss';
    if (encrypted && certificate === null) return;
    const doorway = this.#doorway(plan.name, accept);
    const door = new Door(doorway, plan, {
      proxied: options.proxyListeners.includes(plan.name),
      handshakeMs: options.firstBytesTimeout,
      messageBytesMax: options.websocketMessageMax,
      allowedHosts: options.allowedHosts,
    });
    const enter = (socket: Socket): void => door.enter(socket);
    await this.#bind(plan.name, plan.transport, plan.listen, doorway.counts, enter, log);
  }

  async openHttp(
    name: string,
    listen: readonly string[],
    serve: (socket: Socket) => void,
  ): Promise<void> {
    const counts = doorwayCounts(this.#context.metrics, name);
    await this.#bind(name, 'http', listen, counts, serve, this.#context.log);
  }

  bound(name: string): readonly Bound[] {
    return this.#opened.get(name)?.addresses ?? [];
  }

  list(): OpenListener[] {
    return [...this.#opened.values()];
  }

  connections(name: string): number {
    return this.#opened.get(name)?.counts.open.value ?? 0;
  }

  stopAccepting(): void {
    for (const { servers } of this.#opened.values()) {
      for (const server of servers) server.close();
    }
  }

  close(): void {
    this.stopAccepting();
    this.#halfOpen.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #doorway(name: string, accept: (connection: Connection) => void): Doorway {
    const { options, certificate, turn, log, metrics } = this.#context;
    return {
      listener: name,
      log: log.with({ listener: name }),
      counts: doorwayCounts(metrics, name),
      turn,
      timers: turn,
      halfOpen: this.#halfOpen,
      sendMark: options.sendMark,
      lingerMs: options.lingerTimeout,
      certificate,
      nextId: this.#nextId,
      accept,
    };
  }

  async #bind(
    name: string,
    transport: OpenListener['transport'],
    listen: readonly string[],
    counts: DoorwayCounts,
    enter: (socket: Socket) => void,
    log: Log,
  ): Promise<void> {
    assert(!this.#opened.has(name), `listener names are unique: ${name}`);
    const onSocket = this.#gate(name, transport, counts, enter);
    const servers: Server[] = [];
    try {
      for (const text of listen) {
        if (text === 'off') continue;
        servers.push(...(await bind(name, parseListen(text), onSocket, log)));
      }
    } catch (error) {
      for (const server of servers) server.close();
      throw error;
    }
    if (servers.length === 0) return;
    this.#opened.set(name, { name, transport, addresses: servers.map(boundOf), servers, counts });
  }

  /** Counts sockets in and out, and turns away those beyond the limits. */
  #gate(
    name: string,
    transport: OpenListener['transport'],
    counts: DoorwayCounts,
    enter: (socket: Socket) => void,
  ): (socket: Socket) => void {
    const { options, log } = this.#context;
    const sockets = this.#sockets;
    const connectionsMax =
      options.connectionsMax + (transport === 'http' ? ADMIN_CONNECTIONS_EXTRA : 0);
    function onClose(this: Socket): void {
      counts.open.add(-1);
      sockets.delete(this);
    }
    return (socket) => {
      const full =
        sockets.size >= connectionsMax || counts.open.value >= options.listenerConnectionsMax;
      if (full) {
        counts.refused.add();
        log.warn('connection refused: the limit of open connections is reached', {
          listener: name,
          connections: sockets.size,
        });
      }
      // Without a remote address it was closed already, before we could accept it.
      if (full || socket.remoteAddress === undefined) {
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      counts.total.add();
      counts.open.add();
      sockets.add(socket);
      socket.on('close', onClose);
      enter(socket);
    };
  }
}
