/**
 * One connection's life: greeted (INFO is sent) -> checking (CONNECT is being verified) -> ready ->
 * leaving -> gone. Reads frames, hands them to the handlers, and delivers messages. What a verb
 * does is in `handlers/`.
 */
import {
  type Match,
  type Message,
  type Principal,
  type PublishToll,
  payToll,
  type Subscriber,
  type TollPayer,
} from '#broker';
import type { Connection, ConnectionHandler, Eviction } from '#contract';
import { ProtocolError, type Timer } from '#kit';
import type { ClientSubscription } from './client-subscription.ts';
import { BEFORE_CONNECT, type ConnectOptions } from './connect-options.ts';
import { faultText, SAYS } from './errors.ts';
import { errFrame, OK, PING } from './frames.ts';
import { HANDLERS, type Handler } from './handlers/table.ts';
import { Heartbeat } from './heartbeat.ts';
import { infoLine } from './info.ts';
import { Outbox } from './outbox.ts';
import { Parser } from './parser.ts';
import { SendGuard } from './send-guard.ts';
import type { Shared } from './shared.ts';
import { Stall } from './stall.ts';
import type { Subject } from './subjects.ts';
import { VERBS, type Verb } from './verbs.ts';

export type ConnectionState = 'greeted' | 'checking' | 'ready' | 'leaving' | 'gone';

const NO_BYTES = Buffer.alloc(0);
/** More bytes for a subscriber that is far behind, after which its publisher stops reading. */
const OVERRUN_BYTES_MAX = 1 << 20;
/** First byte of a TLS record that opens a handshake. No verb begins with it. */
const TLS_HANDSHAKE = 0x16;

export class NatsConnection implements ConnectionHandler, Subscriber, TollPayer {
  readonly shared: Shared;
  readonly wire: Connection;
  readonly parser: Parser;
  readonly outbox: Outbox;
  readonly heartbeat: Heartbeat;
  readonly subscriptions = new Map<string, ClientSubscription>();
  state: ConnectionState = 'greeted';
  options: ConnectOptions = BEFORE_CONNECT;
  /** Who acts here; null until credentials are given where they are needed. */
  principal: Principal | null;
  lastSubject: Subject | null = null;
  /** The own subscription that covered a reply last: most likely it covers the next one. */
  lastReplySubscription: ClientSubscription | null = null;
  messagesIn = 0;
  messagesOut = 0;
  /** What its user owes for what came, and what it has not paid for yet. */
  toll: PublishToll | null = null;
  unpaidBytes = 0;
  /** Own messages that were not given back because of echo=false; the publish handler resets it. */
  unechoed = 0;
  readonly #guard: SendGuard;
  readonly #gone: (connection: NatsConnection) => void;
  /** Why no frame is read now; null while frames are read. */
  #held: 'check' | 'room' | 'stall' | null = null;
  #paused = false;
  /** Subscribers that this publisher has overrun since it paused last. */
  #overrun: NatsConnection[] = [];
  /** What had been written to the first of them when it was found so far behind. */
  #overrunFrom = 0;
  /** Who has overrun this subscriber, as the list that it is in. */
  #overrunIn: NatsConnection[] | null = null;
  #stall: Stall | null = null;
  #deadline: Timer | null = null;
  /** The last verb and its handler: most frames are like the one before. */
  #verb: Verb = VERBS.connect;
  #handler: Handler = HANDLERS.get(VERBS.connect)!;
  #spoken = false;
  #upgrading = false;

  constructor(shared: Shared, wire: Connection, gone: (connection: NatsConnection) => void) {
    const { host, options } = shared;
    this.shared = shared;
    this.wire = wire;
    this.#gone = gone;
    this.principal = shared.anonymous(wire);
    this.parser = new Parser('client', {
      controlLineBytesMax: options.controlLineBytesMax,
      payloadBytesMax: options.payloadBytesMax,
    });
    this.outbox = new Outbox(wire, shared.pool, shared.flushLater);
    this.#guard = new SendGuard(
      wire,
      this.outbox,
      host.timers,
      { pendingBytesMax: options.pendingBytesMax, writeDeadlineMs: options.writeDeadline },
      (why) => this.#tooSlow(why),
    );
    this.heartbeat = new Heartbeat(host.timers, host.clock, {
      intervalMs: options.pingInterval,
      outstandingMax: options.pingsOutstandingMax,
      ping: () => this.outbox.control(PING),
      stale: () => this.fail(SAYS.staleConnection),
    });
  }

  /** The first thing that a client hears [N1]. */
  greet(): void {
    this.wire.write(this.#info(false));
    if (this.principal === null) this.#expectConnect();
    else this.heartbeat.start();
  }

  /** This end takes leave: clients that understand it look for another server. */
  leave(): void {
    if (this.state === 'leaving' || this.state === 'gone') return;
    if (this.options.protocol >= 1) this.outbox.control(this.#info(true));
    this.#end();
  }

  evict({ why, text }: Eviction): void {
    if (why === 'drain') this.leave();
    else this.fail(text);
  }

  data(chunk: Buffer): void {
    if (this.state === 'leaving' || this.state === 'gone') return;
    this.heartbeat.heard = true;
    if (!this.#spoken) {
      this.#spoken = true;
      if (this.#upgradable && chunk[0] === TLS_HANDSHAKE) {
        this.#upgrading = true;
        this.#expectConnect();
        this.wire.startTls(chunk);
        return;
      }
    }
    this.parser.push(chunk);
    if (this.#held === null) this.#read();
  }

  drain(): void {
    this.outbox.full = false;
    this.#guard.release();
  }

  closed(error: Error | null): void {
    this.state = 'gone';
    this.heartbeat.stop();
    this.#guard.stop();
    this.#deadline?.cancel();
    this.#stall?.cancel();
    this.toll?.end();
    for (const subscription of this.subscriptions.values()) subscription.end();
    this.subscriptions.clear();
    if (error !== null) {
      this.shared.host.log.debug('connection failed', {
        connection: this.wire.id,
        reason: error.message,
      });
    }
    this.#gone(this);
  }

  /** Messages of the broker, live [N21]: written in the order in which they were published. */
  receive(message: Message, matches: readonly Match[]): void {
    if (this.state === 'leaving' || this.state === 'gone') return;
    if (message.source === this && !this.options.echo) {
      this.unechoed++;
      return;
    }
    for (let index = 0; index < matches.length; index++) {
      this.#deliver(matches[index]!.subscription.data as ClientSubscription, message);
    }
    if (this.outbox.full) this.#behind(message);
  }

  /** A queue group chooses another member than the publisher itself, or one that is leaving. */
  accepts(message: Message): boolean {
    return this.state !== 'leaving' && (message.source !== this || this.options.echo);
  }

  /** Answers in verbose mode [N5]. */
  ok(): void {
    if (this.options.verbose) this.outbox.control(OK);
  }

  /** Tells the client, and goes on. */
  say(text: string): void {
    this.outbox.control(errFrame(text));
  }

  /** Tells the client, and closes. */
  fail(text: string): void {
    if (this.state === 'leaving' || this.state === 'gone') return;
    this.shared.host.log.info('connection refused by the protocol', {
      connection: this.wire.id,
      peer: this.wire.peer.address,
      client: this.options.name,
      reason: text,
    });
    this.say(text);
    this.#end();
  }

  /** Stops reading frames until `goOn`. */
  hold(why: 'check' | 'room' | 'stall'): void {
    this.#held = why;
    this.#updatePause();
  }

  /** Reads on with the frame after the current one, or with the current one when it was refused. */
  goOn(again: boolean): void {
    if (this.#held === null || this.state === 'leaving' || this.state === 'gone') return;
    this.#held = null;
    this.#read(again);
    this.#updatePause();
  }

  tollChanged(): void {
    // What it does not say while it owes is no silence of its own.
    this.heartbeat.muted = this.toll?.owes === true;
    this.#updatePause();
  }

  #updatePause(): void {
    const paused = this.#held !== null || this.toll?.owes === true;
    if (paused === this.#paused || this.state === 'gone') return;
    if (paused && this.state === 'leaving') return;
    this.#paused = paused;
    if (paused) this.wire.pause();
    else this.wire.resume();
  }

  /** One more message has gone to a subscription; it ends with its last one [N17]. */
  countDelivery(subscription: ClientSubscription): void {
    if (++subscription.delivered !== subscription.max) return;
    this.subscriptions.delete(subscription.sid);
    subscription.end();
  }

  /** CONNECT has come: nobody waits for it any more. */
  connected(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
    this.heartbeat.start();
  }

  get upgradeNeeded(): boolean {
    const { options } = this.shared;
    return this.#upgradable && options.tlsRequired && !this.wire.encrypted;
  }

  get #upgradable(): boolean {
    return this.wire.terms.upgradable && !this.wire.encrypted;
  }

  #read(again = false): void {
    this.#readFrames(again);
    if (this.unpaidBytes === 0 || this.principal === null || this.state === 'gone') return;
    const { broker, host } = this.shared;
    payToll(this, broker.quotas, host.timers, this.principal.name, this.options.name);
  }

  /**
   * Reads frames until there are no more, or a handler wants to wait. `again`: the current one
   * first.
   */
  #readFrames(again: boolean): void {
    const { parser } = this;
    try {
      if (again && !this.#handle()) return;
      while (this.state !== 'leaving' && parser.next()) {
        if (!this.#handle()) return;
        if (this.#overrun.length > 0 && this.#overruns()) break;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(faultText(error.wireCode));
      return;
    }
    // Answers wait as well: a client may ask much and never read.
    if (this.outbox.full) this.#guard.check();
    if (this.#overrun.length > 0) this.#pauseFor(this.#overrun);
  }

  #handle(): boolean {
    const { verb } = this.parser;
    if (this.principal === null && verb !== VERBS.connect) {
      this.fail(SAYS.authorizationViolation);
      return false;
    }
    if (verb !== this.#verb) {
      this.#verb = verb;
      this.#handler = HANDLERS.get(verb)!;
    }
    return this.#handler(this);
  }

  #deliver(subscription: ClientSubscription, message: Message): void {
    if (subscription.handle === null) return;
    const { shared } = this;
    const body = message.value ?? NO_BYTES;
    const headers = this.options.headers ? shared.headersOf(message) : NO_BYTES;
    this.outbox.message(
      subscription.head(message.address, shared.subjects),
      message.replyTo === '' ? NO_BYTES : shared.subjects.shownReply(message.replyTo),
      headers,
      body,
    );
    this.messagesOut++;
    shared.count.messagesOut.value++;
    shared.count.bytesOut.value += headers.length + body.length;
    this.countDelivery(subscription);
  }

  #behind(message: Message): void {
    const publisher = message.source;
    if (!this.#guard.check() || !(publisher instanceof NatsConnection)) return;
    const list = publisher.#overrun;
    if (publisher === this || this.#overrunIn === list) return;
    if (list.length === 0) publisher.#overrunFrom = this.outbox.written;
    list.push(this);
    this.#overrunIn = list;
  }

  /** One read of small messages can become very much for a subscriber of many subscriptions. */
  #overruns(): boolean {
    return this.#overrun[0]!.outbox.written - this.#overrunFrom > OVERRUN_BYTES_MAX;
  }

  /** A publisher waits for a moment, once per read, so that its subscribers can catch up. */
  #pauseFor(overrun: readonly NatsConnection[]): void {
    this.#overrun = [];
    for (const one of overrun) one.#overrunIn = null;
    const { host, options } = this.shared;
    const behind = overrun.filter(({ state }) => state !== 'gone').map((one) => one.#guard);
    if (options.stallTime === 0 || behind.length === 0 || this.state === 'leaving') return;
    this.hold('stall');
    this.#stall = new Stall(behind, host.timers, options.stallTime, () => {
      if (this.#held === 'stall') this.goOn(false);
    });
  }

  #tooSlow(why: string): void {
    if (this.state === 'leaving' || this.state === 'gone') return;
    this.state = 'leaving';
    this.shared.count.slowConsumers.add();
    this.wire.destroy(`${SAYS.slowConsumer}: ${why}`);
  }

  /** CONNECT, and before it the TLS handshake, has its time [N14]. */
  #expectConnect(): void {
    this.#deadline ??= this.shared.host.timers.after(this.shared.options.authTimeout, () => {
      const inHandshake = this.#upgrading && !this.wire.encrypted;
      if (inHandshake) this.wire.destroy('TLS handshake timeout');
      else this.fail(SAYS.authenticationTimeout);
    });
  }

  #end(): void {
    this.state = 'leaving';
    this.heartbeat.stop();
    this.#deadline?.cancel();
    this.outbox.flush();
    this.wire.end();
  }

  #info(lameDuck: boolean): Buffer {
    const { host, options } = this.shared;
    const { local, peer } = this.wire;
    return infoLine({
      serverId: host.serverId,
      serverName: options.serverName,
      host: local.address,
      port: local.port,
      clientId: this.wire.id,
      clientIp: peer.address,
      payloadBytesMax: options.payloadBytesMax,
      authRequired: this.shared.anonymous(this.wire) === null,
      // Clients that begin with TLS want to hear that this was right.
      tlsRequired: this.upgradeNeeded || this.wire.terms.transport === 'tls',
      tlsAvailable: this.#upgradable,
      lameDuck,
    });
  }
}
