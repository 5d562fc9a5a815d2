/**
 * The life of one connection: frames in, calls in flight, answers out in order. Requests run one
 * after the other, as in Kafka; only runs of Produce overlap, so that pipelined producers share
 * commits. Everything that waits is bounded: while a request cannot begin, nothing is read.
 */
import type { Origination, Principal } from '#broker';
import type { Connection, ConnectionHandler, Eviction } from '#contract';
import { BrokerError, type Timer } from '#kit';
import { Call } from './call.ts';
import { apiByKey, readHeaderRest, readHeaderStart } from './codec.ts';
import { Framing } from './framing.ts';
import { apiVersions } from './messages/18-api-versions.ts';
import { Reader } from './reader.ts';
import type { Room } from './room.ts';
import { Sasl } from './sasl.ts';
import { Throttle } from './throttle.ts';

const PRODUCE_KEY = 0;
const SASL_HANDSHAKE_KEY = 17;
const SASL_AUTHENTICATE_KEY = 36;
/** Produce requests of one connection that may wait for their commit. */
const PIPELINE_CALLS_MAX = 256;

export class Session implements ConnectionHandler {
  readonly room: Room;
  readonly connection: Connection;
  readonly sasl = new Sasl();
  /** What the quotas of its user and client id do to it. */
  readonly throttle: Throttle;
  /** Who acts; null until the client has authenticated where it must. */
  principal: Principal | null;
  /** What ApiVersions told of the client (KIP-511), for the connection table. */
  software = { name: '', version: '' };
  /** Requests so far. */
  messagesIn = 0;
  /** Counts fetches, to begin each with another partition. */
  fetchTurn = 0;
  /** The room will call `flush` at the end of this turn. */
  flushPending = false;
  readonly #framing: Framing;
  #calls: Call[] = [];
  #openCalls = 0;
  /** A token of SASL without Kafka headers is being checked. */
  #authenticating = false;
  /** A whole frame that cannot begin yet. While there is one, the socket is not read. */
  #held: Buffer | null = null;
  #paused = false;
  #socketFull = false;
  #awaitsRoom = false;
  #gone = false;
  #ending = false;
  /** End the connection when all that is in flight is answered. */
  #endAfterAnswers = false;
  #clientIdBytes: Buffer | null = null;
  #clientId = '';
  #activeMs: number;
  #idleTimer: Timer | null = null;

  constructor(room: Room, connection: Connection) {
    this.room = room;
    this.connection = connection;
    this.principal = this.#known();
    const { requestBytesMax, unauthenticatedRequestBytesMax } = room.options;
    this.#framing = new Framing(
      this.principal === null ? unauthenticatedRequestBytesMax : requestBytesMax,
    );
    this.throttle = new Throttle(this, () => this.#advance());
    this.#activeMs = room.host.clock.monotonicMs();
    this.#watchIdle(room.options.idleTimeout);
  }

  get clientId(): string {
    return this.#clientId;
  }

  get callsInFlight(): number {
    return this.#openCalls;
  }

  data(chunk: Buffer): void {
    if (this.#gone || this.#ending) return;
    this.#activeMs = this.room.host.clock.monotonicMs();
    this.#framing.push(chunk);
    this.#advance();
  }

  drain(): void {
    this.#socketFull = false;
    this.#advance();
  }

  closed(): void {
    this.#gone = true;
    this.#idleTimer?.cancel();
    this.throttle.close();
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) if (!call.settled) call.onClosed?.();
    this.room.left(this);
  }

  /** Where the client comes from and what rules may ask of it. */
  origination(): Origination {
    const { peer, terms } = this.connection;
    const { address, loopback, identity } = peer;
    const facts = { protocol: 'kafka', peerHost: address, commonName: identity?.commonName };
    return { loopback, anonymous: terms.anonymous, facts };
  }

  /** Who is known already must not be banned; the others are asked when they have logged in. */
  admit(): void {
    if (this.principal === null) return;
    const refusal = this.connection.identify({ user: this.principal.name, clientId: null });
    if (refusal !== null) this.refuse(refusal);
  }

  /** @returns why the client must not come in, or null */
  authenticated(principal: Principal): string | null {
    this.principal = principal;
    this.#framing.limit = this.room.options.requestBytesMax;
    return this.connection.identify({ user: principal.name, clientId: null });
  }

  /** Users have changed: whose user is gone has to go. */
  checkPrincipal(): void {
    if (this.principal === null || this.room.broker.principals.stands(this.principal)) return;
    this.refuse('the user was removed or disabled');
  }

  /** A call has its answer: it goes out at the end of this turn, when its turn has come. */
  settle(call: Call): void {
    if (call.settled) return;
    call.settled = true;
    call.onClosed = null;
    call.hurry = null;
    this.#openCalls--;
    if (!this.#gone) this.room.flushSoon(this);
  }

  /** Sends the answers that are due, then goes on with what waits. */
  flush(): void {
    if (this.#gone) return;
    const { writer, host } = this.room;
    const nowMs = host.clock.monotonicMs();
    let due = 0;
    while (due < this.#calls.length && this.#calls[due]!.settled) {
      const call = this.#calls[due]!;
      const before = writer.size;
      call.write(writer);
      this.room.apiMetrics.answered(call, nowMs, writer.size - before);
      due++;
    }
    if (due > 0) {
      this.#calls.splice(0, due);
      this.throttle.wrote(nowMs);
    }
    for (const chunk of writer.take()) {
      if (!this.connection.write(chunk)) this.#socketFull = true;
    }
    if (this.#endAfterAnswers && this.#calls.length === 0) this.#end();
    else this.#advance();
  }

  /** Answers what is in flight, then closes. */
  endAfterAnswers(): void {
    this.#endAfterAnswers = true;
    if (this.#calls.length === 0) this.#end();
  }

  /** Kafka has no word for it: what is in flight is answered, and the client looks elsewhere. */
  evict({ why, text }: Eviction): void {
    if (why === 'drain') this.stop();
    else this.refuse(text);
  }

  /** The server stops: waiting requests answer with what they have. */
  stop(): void {
    for (const call of this.#calls) if (!call.settled) call.hurry?.();
    this.endAfterAnswers();
  }

  /** The client broke the protocol, or asked for what cannot be answered. */
  refuse(reason: string): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    this.room.refused.add();
    this.room.host.log.info('connection refused', {
      connection: this.connection.id,
      peer: this.connection.peer.address,
      reason,
    });
    this.connection.destroy(reason);
  }

  /** A handler failed: what the world can cause ends the connection, a mistake of ours says so. */
  crash(error: unknown): void {
    if (error instanceof BrokerError) {
      this.refuse(error.message);
      return;
    }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.room.host.log.error('request failed', { connection: this.connection.id, reason });
    this.#ending = true;
    this.connection.destroy('internal error');
  }

  /** Who it is without a word of its own; null where it must say. */
  #known(): Principal | null {
    const { broker } = this.room;
    const user = this.connection.peer.identity?.user ?? null;
    try {
      if (user !== null) return broker.principals.proved(user, this.origination());
      return broker.anonymous(this.origination());
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return null;
    }
  }

  #end(): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    this.connection.end();
  }

  #advance(): void {
    try {
      while (!this.#gone && !this.#ending && !this.#endAfterAnswers) {
        const frame = this.#held ?? this.#framing.next();
        if (frame === null) break;
        if (!this.#mayBegin(frame)) {
          this.#held = frame;
          this.#pause();
          return;
        }
        this.#held = null;
        this.#begin(frame);
      }
    } catch (error) {
      this.crash(error);
      return;
    }
    this.#unpause();
  }

  #mayBegin(frame: Buffer): boolean {
    if (this.#socketFull || this.#authenticating || this.throttle.muted) return false;
    const isProduce = frame.length >= 2 && frame.readInt16BE(0) === PRODUCE_KEY;
    const first = this.#calls[0];
    if (first !== undefined) {
      // Answers can be large, so they leave before the next question is looked at.
      const overlaps = isProduce && first.api.pair.key === PRODUCE_KEY;
      if (!overlaps || this.#calls.length >= PIPELINE_CALLS_MAX) return false;
    }
    if (isProduce && this.room.broker.busy) {
      this.#awaitRoom();
      return false;
    }
    return true;
  }

  #awaitRoom(): void {
    if (this.#awaitsRoom) return;
    this.#awaitsRoom = true;
    this.room.broker.onRoom(() => {
      this.#awaitsRoom = false;
      this.#advance();
    });
  }

  #begin(frame: Buffer): void {
    if (this.sasl.rawTokens) {
      this.#beginRawToken(frame);
      return;
    }
    const reader = new Reader(frame);
    const header = readHeaderStart(reader);
    const api = apiByKey(header.apiKey);
    const isApiVersions = header.apiKey === apiVersions.key;
    if (api === undefined) {
      this.refuse(`unknown API key ${header.apiKey}`);
      return;
    }
    const supported = api.supports(header.apiVersion);
    if (!supported && !isApiVersions) {
      this.refuse(`${api.pair.name} version ${header.apiVersion} is not supported`);
      return;
    }
    const flexible = header.apiVersion >= api.pair.flexible;
    if (!mayComeFirst(header.apiKey) && !this.#maySpeak(api.pair.name)) return;
    // Of an ApiVersions of the future not even the header's form is known (KIP-511).
    if (supported) readHeaderRest(reader, header, flexible);
    const clientId = this.#readClientId(frame, header.clientIdAt, header.clientIdEnd);
    const nowMs = this.room.host.clock.monotonicMs();
    const call = new Call(this, api, header.apiVersion, header.correlationId, clientId, nowMs);
    call.requestBytes = frame.length;
    this.#calls.push(call);
    this.#openCalls++;
    this.messagesIn++;
    this.throttle.serving(call);
    this.room.serve(reader, call);
    this.throttle.served(call);
  }

  #maySpeak(api: string): boolean {
    if (this.principal === null) this.refuse(`${api} before authentication`);
    else if (this.sasl.expired(this.room.host.clock.monotonicMs())) {
      this.refuse(`${api} after the end of the session, before a new authentication`); // KIP-368
    } else return true;
    return false;
  }

  /** After SaslHandshake version 0 the tokens come as they are, with a size in front (KIP-43). */
  #beginRawToken(token: Buffer): void {
    this.#authenticating = true;
    this.sasl.token(token, this).then(
      (answer) => {
        this.#authenticating = false;
        if (this.#gone) return;
        if (answer.refusal !== null) {
          this.refuse(answer.refusal);
          return;
        }
        const { bytes } = answer;
        const frame = Buffer.alloc(4 + bytes.length);
        frame.writeInt32BE(bytes.length);
        frame.set(bytes, 4);
        this.connection.write(frame);
        this.#advance();
      },
      (error: unknown) => this.crash(error),
    );
  }

  /** Clients send the same id with each request: decode it when its bytes change only. */
  #readClientId(frame: Buffer, at: number, end: number): string {
    const known = this.#clientIdBytes;
    const size = end - at;
    if (known !== null && known.length === size && known.compare(frame, at, end) === 0) {
      return this.#clientId;
    }
    this.#clientIdBytes = Buffer.from(frame.subarray(at, end));
    this.#clientId = this.#clientIdBytes.toString('utf8');
    return this.#clientId;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.connection.pause();
  }

  #unpause(): void {
    if (!this.#paused || this.#gone) return;
    this.#paused = false;
    this.connection.resume();
  }

  #watchIdle(delayMs: number): void {
    this.#idleTimer = this.room.host.timers.after(delayMs, () => {
      const limitMs = this.room.options.idleTimeout;
      const idleMs = this.room.host.clock.monotonicMs() - this.#activeMs;
      if (this.#calls.length > 0 || this.throttle.muted) this.#watchIdle(limitMs);
      else if (idleMs < limitMs) this.#watchIdle(limitMs - idleMs);
      else this.refuse('idle');
    });
  }
}

function mayComeFirst(apiKey: number): boolean {
  return (
    apiKey === apiVersions.key || apiKey === SASL_HANDSHAKE_KEY || apiKey === SASL_AUTHENTICATE_KEY
  );
}
