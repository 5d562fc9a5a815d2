/**
 * The UDP ports of a QUIC listener: finds the session of each datagram by the id it carries, and
 * lets new ones in. While many have not proved yet that they can hear us, new clients must bring
 * back a token first, and cost nothing until then.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { ListenerPlan } from '#contract';
import { BrokerError, type Clock } from '#kit';
import { type ListenAddress, parseListen, showAddress, unmapped } from '../address.ts';
import type { Doorway } from '../doorway.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import type { Bound } from '../network.ts';
import type { TlsKeys } from '../tls/tls-keys.ts';
import { checkQuic, DATAGRAM_BYTES_MAX, quicConfig } from './quic-config.ts';
import { QuicSession, type SessionHost } from './quic-session.ts';
import { type HostPort, loadQuiche, type Quiche, type QuicheConfig } from './quiche.ts';
import { RetryTokens } from './retry-tokens.ts';

const ID_BYTES = 16;
const INITIAL = 0;
/** RFC 9000, 14.1: what a client must send at least. */
const INITIAL_BYTES_MIN = 1200;
/** Sessions without a finished handshake, from which on clients must prove their address first. */
const UNPROVED_MAX = 256;
const RECEIVE_BUFFER_BYTES = 4 << 20;

export interface QuicGate {
  /** Why nobody may come in now, or null. */
  full(): string | null;
  entered(): void;
  left(): void;
}

export class QuicDoor {
  readonly #doorway: Doorway;
  readonly #plan: ListenerPlan;
  readonly #keys: TlsKeys;
  readonly #gate: QuicGate;
  readonly #clock: Clock;
  readonly #quiche: Quiche;
  readonly #tokens: RetryTokens;
  readonly #rate: TokenBucket | null;
  readonly #sessions = new Map<string, QuicSession>();
  readonly #ids = new Map<QuicSession, Set<string>>();
  readonly #ports: Socket[] = [];
  #config: QuicheConfig;
  #accepting = true;

  /** @throws BrokerError `bad-configuration` */
  constructor(
    doorway: Doorway,
    plan: ListenerPlan,
    keys: TlsKeys,
    world: { readonly gate: QuicGate; readonly clock: Clock },
  ) {
    this.#doorway = doorway;
    this.#plan = plan;
    this.#keys = keys;
    this.#gate = world.gate;
    this.#clock = world.clock;
    const quiche = loadQuiche();
    if (quiche === null) {
      const machine = `${process.platform} on ${process.arch}`;
      const what = `The listener ${plan.name}: there is no QUIC module for ${machine}.`;
      throw new BrokerError('bad-configuration', what);
    }
    this.#quiche = quiche;
    checkQuic(plan.name, doorway.settings, keys);
    this.#config = this.#makeConfig();
    keys.onChange(() => {
      this.#config = this.#makeConfig();
    });
    this.#tokens = new RetryTokens(world.clock);
    const { connectRate, connectRateAction } = doorway.settings;
    const waits = connectRate > 0 && connectRateAction === 'wait';
    this.#rate = waits ? new TokenBucket(connectRate, world.clock.monotonicMs()) : null;
  }

  /** @throws BrokerError `bad-configuration` when a port cannot be had */
  async open(): Promise<Bound[]> {
    const bound: Bound[] = [];
    for (const text of this.#plan.listen) {
      if (text !== 'off') bound.push(...(await this.#bind(parseListen(text))));
    }
    return bound;
  }

  /** Lets no more in; those who are in go on. */
  stop(): void {
    this.#accepting = false;
  }

  close(): void {
    this.#accepting = false;
    for (const session of this.#ids.keys()) {
      session.destroy('the server stops');
      session.flush();
    }
    for (const port of this.#ports.splice(0)) port.close();
  }

  #makeConfig(): QuicheConfig {
    return quicConfig(this.#quiche, this.#keys, {
      alpn: this.#plan.alpn ?? [],
      idleMs: this.#doorway.settings.quicIdleTimeout,
      streams: 1 + this.#doorway.settings.quicStreamsMax,
    });
  }

  async #bind({ host, port }: ListenAddress): Promise<Bound[]> {
    if (host === '*') return [await this.#bindOne('::', port)];
    if (host !== 'localhost') return [await this.#bindOne(host, port)];
    const first = await this.#bindOne('127.0.0.1', port);
    try {
      return [first, await this.#bindOne('::1', first.port)];
    } catch {
      // No IPv6 on this machine, or the free port of IPv4 is taken there.
      return [first];
    }
  }

  #bindOne(host: string, port: number): Promise<Bound> {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        const where = showAddress({ address: host, port });
        const what = `The listener ${this.#plan.name} cannot open ${where}: ${error.message}.`;
        reject(new BrokerError('bad-configuration', what, {}, error));
      });
      socket.bind(port, host, () => {
        socket.removeAllListeners('error');
        socket.on('error', (error) => {
          this.#doorway.log.error('QUIC port failed', { reason: error.message });
        });
        raiseBuffer(socket);
        const { address, port: real } = socket.address();
        const local = { host: address, port: real };
        const sessionHost = this.#sessionHost(socket);
        socket.on('message', (datagram, from) => {
          this.#receive(datagram, from, { socket, local, host: sessionHost });
        });
        this.#ports.push(socket);
        resolve({ address, port: real });
      });
    });
  }

  #sessionHost(socket: Socket): SessionHost {
    return {
      doorway: this.#doorway,
      send(datagram, to) {
        socket.send(datagram, to.port, to.host, ignore);
      },
      addId: (session) => {
        const id = randomBytes(ID_BYTES);
        this.#name(session, id);
        return { id, resetToken: randomBytes(16).readBigUInt64BE() };
      },
      removeId: (id) => void this.#sessions.delete(keyOf(id)),
      gone: (session) => {
        for (const key of this.#ids.get(session) ?? []) this.#sessions.delete(key);
        if (this.#ids.delete(session)) this.#gate.left();
      },
    };
  }

  #name(session: QuicSession, id: Uint8Array): void {
    const key = keyOf(id);
    this.#sessions.set(key, session);
    const known = this.#ids.get(session);
    if (known === undefined) this.#ids.set(session, new Set([key]));
    else known.add(key);
  }

  #receive(datagram: Buffer, remote: RemoteInfo, port: Port): void {
    const from = { host: remote.address, port: remote.port };
    const isLong = (datagram[0]! & 0x80) !== 0;
    if (datagram.length < 1 + ID_BYTES) return;
    if (!isLong) {
      const session = this.#sessions.get(keyOf(datagram.subarray(1, 1 + ID_BYTES)));
      session?.receive(datagram, from);
      return;
    }
    let header: ReturnType<Quiche['Header']['fromSlice']>;
    try {
      header = this.#quiche.Header.fromSlice(datagram, ID_BYTES);
    } catch {
      return; // Whatever it is, it is not QUIC.
    }
    const session = this.#sessions.get(keyOf(header.dcid));
    if (session !== undefined) session.receive(datagram, from);
    else this.#meet(datagram, header, from, port);
  }

  /** The first datagram of a client. */
  #meet(
    datagram: Buffer,
    header: ReturnType<Quiche['Header']['fromSlice']>,
    from: HostPort,
    { socket, local, host }: Port,
  ): void {
    const { dcid, scid, version } = header;
    if (datagram.length < INITIAL_BYTES_MIN || !this.#accepting) return;
    const answer = Buffer.allocUnsafe(DATAGRAM_BYTES_MAX);
    if (!this.#quiche.versionIsSupported(version)) {
      const size = this.#quiche.negotiateVersion(scid, dcid, answer);
      socket.send(answer.subarray(0, size), from.port, from.host, ignore);
      return;
    }
    if (header.ty !== INITIAL) return;
    const token = header.token ?? new Uint8Array();
    const original = token.length > 0 ? this.#tokens.check(token, from.host) : null;
    if (original === null && this.#doorway.halfOpen.count >= UNPROVED_MAX) {
      const id = randomBytes(ID_BYTES);
      const fresh = this.#tokens.mint(dcid, from.host);
      const size = this.#quiche.retry(scid, dcid, id, fresh, version, answer);
      socket.send(answer.subarray(0, size), from.port, from.host, ignore);
      return;
    }
    if (!this.#mayEnter(from)) return;
    const id = original === null ? randomBytes(ID_BYTES) : Buffer.from(dcid);
    const quic = this.#quiche.Connection.accept(id, original, local, from, this.#config);
    const session = new QuicSession(host, quic, local, from);
    this.#name(session, id);
    this.#name(session, dcid);
    this.#gate.entered();
    session.receive(datagram, from);
  }

  /** Who may not is not answered: it asks again by itself, or gives up. */
  #mayEnter({ host }: HostPort): boolean {
    const { admission, counts, log } = this.#doorway;
    const address = unmapped(host);
    const refusal = admission.refusesAddress(address) ?? this.#gate.full();
    if (refusal !== null) {
      counts.refused.add();
      log.info(`connection refused: ${refusal}`, { peer: address });
      return false;
    }
    if (this.#rate === null) return true;
    const nowMs = this.#clock.monotonicMs();
    if (this.#rate.waitFor(1, nowMs) > 0) return false;
    this.#rate.take(1, nowMs);
    return true;
  }
}

interface Port {
  readonly socket: Socket;
  readonly local: HostPort;
  readonly host: SessionHost;
}

/** A burst of clients should not overrun the kernel's small default. */
function raiseBuffer(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    socket.setSendBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The kernel has a lower limit and keeps it.
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
}

/** QUIC sends again what is lost. */
function ignore(): void {}
