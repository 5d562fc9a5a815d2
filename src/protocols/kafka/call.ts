/**
 * One request in flight. A handler answers it once, now or later; the session sends the answers in
 * the order of the requests (K9).
 */
import type { Api } from './codec.ts';
import type { MessagePair, ResponseOf } from './rows.ts';
import type { Session } from './session.ts';
import type { Writer } from './writer.ts';

export class Call<Pair extends MessagePair = MessagePair> {
  readonly session: Session;
  readonly api: Api<Pair>;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string;
  settled = false;
  /** Ends whatever waits for this request: its connection is gone. */
  onClosed: (() => void) | null = null;
  /** Makes a waiting request answer at once: the server stops. */
  hurry: (() => void) | null = null;
  /** How long the client is kept waiting after the answer, which tells it (KIP-219). */
  throttleMs = 0;
  /** Time of the thread that the request took so far. */
  busyMs = 0;
  requestBytes = 0;
  /** When it was read whole. */
  readonly beganMs: number;
  #body: ResponseOf<Pair> | null = null;
  #answerVersion: number;

  constructor(
    session: Session,
    api: Api<Pair>,
    version: number,
    correlationId: number,
    clientId: string,
    beganMs: number,
  ) {
    this.session = session;
    this.api = api;
    this.version = version;
    this.#answerVersion = version;
    this.correlationId = correlationId;
    this.clientId = clientId;
    this.beganMs = beganMs;
  }

  answer(body: ResponseOf<Pair>): void {
    this.session.throttle.answering(this as unknown as Call);
    this.#body = this.throttleMs === 0 ? body : { ...body, throttleTimeMs: this.throttleMs };
    this.session.settle(this as unknown as Call);
  }

  /** Answers in another version than the request's, which the server does not know (K2). */
  answerInVersion(version: number, body: ResponseOf<Pair>): void {
    this.#answerVersion = version;
    this.answer(body);
  }

  /** The request gets no response (Produce with acks=0, K10). */
  answerNothing(): void {
    this.session.throttle.answering(this as unknown as Call);
    this.session.settle(this as unknown as Call);
  }

  /** What the client is told; null for nothing. */
  get body(): ResponseOf<Pair> | null {
    return this.#body;
  }

  write(writer: Writer): void {
    if (this.#body === null) return;
    this.api.writeResponse(writer, this.#answerVersion, this.correlationId, this.#body);
  }
}
