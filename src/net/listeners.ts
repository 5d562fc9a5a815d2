/** All open ports of a server and the limits that hold over all of them. */
import type { Server, Socket } from 'node:net';
import type { Connection, ListenerPlan } from '#contract';
import { assert, type Log } from '#kit';
import { parseListen } from './address.ts';
import { addressesOf, bind } from './bind.ts';
import { Door } from './door.ts';
import {
  connectionIds,
  type Doorway,
  type DoorwayCounts,
  doorwayCounts,
  type Guest,
  type ListenersContext,
  type Lobby,
  openDoorway,
} from './doorway.ts';
import { HalfOpen } from './half-open.ts';
import { FirstReads } from './limits/first-reads.ts';
import { Intake } from './limits/intake.ts';
import type { ListenerSettings } from './net-options.ts';
import type { Bound, Network, OpenListener } from './network.ts';
import { QuicDoor } from './quic/quic-door.ts';
import type { TlsKeys } from './tls/tls-keys.ts';

/** A server that is full of clients can still be looked at. */
const ADMIN_CONNECTIONS_EXTRA = 64;

/** Connections beyond the limit of a listener that may hear so at one time; more are cut. */
const TOLD_MAX = 64;

interface Opened extends OpenListener {
  readonly servers: readonly Server[];
  readonly counts: DoorwayCounts;
  /** Lets no more in, and forgets who waits. */
  readonly stop: () => void;
}

type Gate = Pick<Opened, 'transport' | 'counts'> & {
  readonly connectionsMax: number;
  /** @returns false when it must be turned away */
  readonly enter: (socket: Socket) => boolean;
  /** Its sockets are not read before somebody asks for it. */
  readonly unread: boolean;
};

export class Listeners implements Network {
  readonly #context: ListenersContext;
  readonly #halfOpen: HalfOpen;
  readonly #firstReads: FirstReads;
  readonly #opened = new Map<string, Opened>();
  readonly #sockets = new Set<Socket>();
  readonly #quicDoors: QuicDoor[] = [];
  /** Connections over QUIC. */
  #sessions = 0;
  readonly #guests = new Set<Guest>();
  readonly #lobby: Lobby;

  constructor(context: ListenersContext) {
    this.#context = context;
    this.#firstReads = new FirstReads(context.clock, context.turn);
    this.#halfOpen = new HalfOpen(context.clock, context.turn, {
      countMax: context.options.halfOpenMax,
      firstBytesMs: context.options.firstBytesTimeout,
    });
    const halfOpen = this.#halfOpen;
    const firstReads = this.#firstReads;
    this.#lobby = { halfOpen, firstReads, guests: this.#guests, nextId: connectionIds() };
  }

  async open(plan: ListenerPlan, accept: (connection: Connection) => void): Promise<void> {
    const { options, clock, turn } = this.#context;
    const settings = this.#context.settingsOf(plan.name);
    const keys = await this.#keysOf(plan, settings);
    const encrypted = plan.transport === 'tls' || plan.transport === 'wss';
    if ((encrypted || plan.transport === 'quic') && keys === null) return;
    const doorway = openDoorway(this.#context, this.#lobby, plan, keys, accept);
    if (plan.transport === 'quic') {
      await this.#openQuic(plan, doorway, keys!);
      return;
    }
    const proxied = settings.proxy || options.proxyListeners.includes(plan.name);
    const door = new Door(doorway, plan, {
      proxied,
      handshakeMs: options.firstBytesTimeout,
    });
    const intake = new Intake(
      { clock, timers: turn },
      { perSecond: waitingRate(settings), waitingMax: options.halfOpenMax },
      (socket) => door.enter(socket),
    );
    const gate = {
      transport: plan.transport,
      counts: doorway.counts,
      connectionsMax: settings.listenerConnectionsMax + TOLD_MAX,
      enter: (socket: Socket) => intake.add(socket),
      // Others begin with a handshake of their own, which reads by itself.
      unread: plan.transport === 'tcp' && !proxied,
    };
    await this.#bind(plan.name, plan.listen, gate, () => intake.close());
  }

  async #openQuic(plan: ListenerPlan, doorway: Doorway, keys: TlsKeys): Promise<void> {
    if (plan.listen.every((text) => text === 'off')) return;
    const { counts } = doorway;
    const { options, clock } = this.#context;
    const { listenerConnectionsMax } = doorway.settings;
    const door = new QuicDoor(doorway, plan, keys, {
      clock,
      gate: {
        full: () => {
          const all = this.#sockets.size + this.#sessions;
          const full = all >= options.connectionsMax || counts.open.value >= listenerConnectionsMax;
          return full ? 'the limit of open connections is reached' : null;
        },
        entered: () => {
          counts.total.add();
          counts.open.add();
          this.#sessions++;
        },
        left: () => {
          counts.open.add(-1);
          this.#sessions--;
        },
      },
    });
    this.#quicDoors.push(door);
    const addresses = await door.open();
    const { name, transport } = plan;
    const stop = (): void => door.stop();
    this.#opened.set(name, { name, transport, addresses, servers: [], counts, stop });
  }

  #keysOf(plan: ListenerPlan, settings: ListenerSettings): Promise<TlsKeys | null> {
    const needed = plan.transport !== 'tcp' && plan.transport !== 'ws';
    if (!needed && plan.upgradable !== true) return Promise.resolve(null);
    return this.#context.keyRing.keysFor(settings);
  }

  async openHttp(
    name: string,
    listen: readonly string[],
    serve: (socket: Socket) => void,
  ): Promise<void> {
    const { metrics, options } = this.#context;
    const gate: Gate = {
      transport: 'http',
      counts: doorwayCounts(metrics, name),
      connectionsMax: options.listenerConnectionsMax,
      unread: false,
      enter(socket) {
        serve(socket);
        return true;
      },
    };
    await this.#bind(name, listen, gate, () => {});
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

  guests(): Iterable<Guest> {
    return this.#guests;
  }

  stopAccepting(): void {
    for (const { servers, stop } of this.#opened.values()) {
      for (const server of servers) server.close();
      stop();
    }
  }

  closeDoors(): void {
    for (const { servers, stop, transport } of this.#opened.values()) {
      if (transport === 'http') continue;
      for (const server of servers) server.close();
      stop();
    }
  }

  close(): void {
    this.stopAccepting();
    this.#halfOpen.close();
    this.#firstReads.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const door of this.#quicDoors) door.close();
  }

  async #bind(
    name: string,
    listen: readonly string[],
    gate: Gate,
    stop: () => void,
  ): Promise<void> {
    assert(!this.#opened.has(name), `listener names are unique: ${name}`);
    const { log } = this.#context;
    const reception = { onSocket: this.#watch(name, gate, log), unread: gate.unread };
    const servers: Server[] = [];
    try {
      for (const text of listen) {
        if (text === 'off') continue;
        servers.push(...(await bind(name, parseListen(text), reception, log)));
      }
    } catch (error) {
      for (const server of servers) server.close();
      throw error;
    }
    if (servers.length === 0) return;
    const { transport, counts } = gate;
    const addresses = addressesOf(servers);
    this.#opened.set(name, { name, transport, addresses, servers, counts, stop });
  }

  /** Counts sockets in and out, and turns away those beyond the limits. */
  #watch(name: string, gate: Gate, log: Log): (socket: Socket) => void {
    const { counts } = gate;
    const sockets = this.#sockets;
    const extra = gate.transport === 'http' ? ADMIN_CONNECTIONS_EXTRA : 0;
    const connectionsMax = this.#context.options.connectionsMax + extra;
    function onClose(this: Socket): void {
      counts.open.add(-1);
      sockets.delete(this);
    }
    const turnAway = (socket: Socket): void => {
      counts.refused.add();
      log.warn('connection refused: the limit of open connections is reached', {
        listener: name,
        connections: sockets.size,
      });
      drop(socket);
    };
    return (socket) => {
      // Without a remote address it was closed already, before we could accept it.
      if (socket.remoteAddress === undefined) {
        drop(socket);
        return;
      }
      if (
        sockets.size + this.#sessions >= connectionsMax ||
        counts.open.value >= gate.connectionsMax
      ) {
        turnAway(socket);
        return;
      }
      counts.total.add();
      counts.open.add();
      sockets.add(socket);
      socket.on('close', onClose);
      if (!gate.enter(socket)) turnAway(socket);
    };
  }
}

/** Those who are refused do not wait. */
function waitingRate({ connectRate, connectRateAction }: ListenerSettings): number {
  return connectRateAction === 'wait' ? connectRate : 0;
}

function drop(socket: Socket): void {
  socket.on('error', () => {});
  socket.destroy();
}
