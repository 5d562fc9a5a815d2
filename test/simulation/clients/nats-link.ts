/** NATS over a wire: the text protocol, read by code of its own. */
import { Answer, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { Scheduler } from '../scheduler.ts';

const ANSWER_TIMEOUT_MS = 8_000;
const CRLF = '\r\n';

export interface NatsMessage {
  readonly subject: string;
  readonly sid: number;
  readonly reply: string | null;
  /** Without a header block. */
  readonly body: Buffer;
  readonly status: string | null;
}

export class NatsLink {
  readonly wire: Wire;
  onMessage: (message: NatsMessage) => void = () => {};
  /** Rejects when the connection ends; never resolves. */
  readonly lost: Promise<never>;
  readonly #scheduler: Scheduler;
  readonly #lost = new Answer<never>();
  #received: Buffer = Buffer.alloc(0);
  #pongs: Answer<void>[] = [];

  constructor(wire: Wire, scheduler: Scheduler) {
    this.wire = wire;
    this.#scheduler = scheduler;
    this.lost = this.#lost.promise;
    wire.onData = (chunk) => this.#receive(chunk);
    wire.onClosed = () => this.#lost.reject(new Lost('closed'));
  }

  async open(): Promise<void> {
    this.wire.send(
      Buffer.from(
        `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}${CRLF}`,
      ),
    );
    await this.ping();
  }

  /** Resolves when the server has seen everything before it. */
  async ping(): Promise<void> {
    const pong = new Answer<void>();
    this.#pongs.push(pong);
    this.wire.send(Buffer.from(`PING${CRLF}`));
    const timeout = this.#scheduler.sleep(ANSWER_TIMEOUT_MS).then(() => {
      throw new Lost('no PONG in time');
    });
    timeout.catch(() => {});
    await Promise.race([pong.promise, timeout, this.lost]);
  }

  subscribe(subject: string, sid: number, group = ''): void {
    this.wire.send(Buffer.from(`SUB ${subject} ${group === '' ? '' : `${group} `}${sid}${CRLF}`));
  }

  publish(subject: string, body: Buffer, reply = ''): void {
    const head = `PUB ${subject} ${reply === '' ? '' : `${reply} `}${body.length}${CRLF}`;
    this.wire.send(Buffer.concat([Buffer.from(head), body, Buffer.from(CRLF)]));
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const end = this.#received.indexOf(CRLF);
      if (end < 0) return;
      const words = this.#received.toString('latin1', 0, end).split(' ');
      const size = /^H?MSG$/.test(words[0]!) ? Number(words.at(-1)) + CRLF.length : 0;
      const after = end + CRLF.length + size;
      if (this.#received.length < after) return;
      const payload = Buffer.from(this.#received.subarray(end + CRLF.length, after - CRLF.length));
      this.#received = this.#received.subarray(after);
      this.#line(words, payload);
    }
  }

  #line(words: readonly string[], payload: Buffer): void {
    switch (words[0]) {
      case 'PING':
        this.wire.send(Buffer.from(`PONG${CRLF}`));
        return;
      case 'PONG':
        this.#pongs.shift()?.resolve();
        return;
      case 'MSG':
        this.#message(words, words.length === 5, 0, payload);
        return;
      case 'HMSG':
        this.#message(words, words.length === 6, Number(words.at(-2)), payload);
        return;
      case '-ERR':
        this.#lost.reject(new Lost(words.join(' ')));
        this.wire.reset();
    }
  }

  #message(words: readonly string[], hasReply: boolean, headerBytes: number, all: Buffer): void {
    const head = all.toString('latin1', 0, headerBytes).split(CRLF)[0] ?? '';
    this.onMessage({
      subject: words[1]!,
      sid: Number(words[2]),
      reply: hasReply ? words[3]! : null,
      body: all.subarray(headerBytes),
      status: /^NATS\/1\.0 (\d+)/.exec(head)?.[1] ?? null,
    });
  }
}
