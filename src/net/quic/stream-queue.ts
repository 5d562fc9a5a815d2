/** What waits for room in the windows of one stream, and its end behind that. */

/** The part of a session that sends. */
export interface StreamSender {
  readonly isOpen: boolean;
  /** @returns how many bytes were taken */
  sendOn(streamId: number, chunk: Uint8Array): number;
  finish(streamId: number): void;
}

export class StreamQueue {
  readonly #sender: StreamSender;
  readonly #streamId: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ending = false;

  constructor(sender: StreamSender, streamId: number) {
    this.#sender = sender;
    this.#streamId = streamId;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
  }

  /** Gives the stream what it takes now. @returns true when nothing is left */
  push(): boolean {
    if (this.isEmpty || !this.#sender.isOpen) return this.isEmpty;
    let sent = 0;
    while (sent < this.#chunks.length) {
      const chunk = this.#chunks[sent]!;
      const taken = this.#sender.sendOn(this.#streamId, chunk);
      this.#bytes -= taken;
      if (taken < chunk.length) {
        if (taken > 0) this.#chunks[sent] = chunk.subarray(taken);
        break;
      }
      sent++;
    }
    if (sent > 0) this.#chunks.splice(0, sent);
    if (this.#chunks.length > 0) return false;
    if (this.#ending) this.#sender.finish(this.#streamId);
    return true;
  }

  /** Nothing more is added. */
  end(): void {
    this.#ending = true;
    if (this.isEmpty) this.#sender.finish(this.#streamId);
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }
}
