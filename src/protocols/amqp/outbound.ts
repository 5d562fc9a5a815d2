/**
 * What leaves a connection: its output, and what is put off to the end of a turn so that it leaves
 * together: confirms, and asking for deliveries again. While bytes are being read
 * nothing is scheduled, because reading ends with a flush.
 */
import type { Connection } from '#contract';
import type { Timers } from '#kit';
import { FRAME } from './frame-reader.ts';
import { Output } from './output.ts';

const NO_BYTES = Buffer.alloc(0);

interface Confirming {
  flushConfirms(): void;
}

interface Waking {
  wake(): void;
}

export class Outbound {
  readonly output: Output;
  /** The socket holds more than it should: nothing is delivered until it has drained. */
  congested = false;
  readonly #timers: Timers;
  readonly #readersToWake = new Set<Waking>();
  readonly #confirming = new Set<Confirming>();
  #asked = false;
  #reading = false;
  readonly #turnEnds = (): void => {
    this.#asked = false;
    this.flush();
  };

  /** @param sent called for every chunk that is handed to the socket */
  constructor(socket: Connection, timers: Timers, sent: () => void) {
    this.#timers = timers;
    this.output = new Output((chunk) => {
      if (!socket.write(chunk)) this.congested = true;
      sent();
    });
  }

  readingBegins(): void {
    this.#reading = true;
  }

  readingEnds(): void {
    this.#reading = false;
    this.flush();
  }

  /** Something was written or settled: flush at the end of this turn. */
  wake(): void {
    if (this.#asked || this.#reading) return;
    this.#asked = true;
    this.#timers.soon(this.#turnEnds);
  }

  /** This consumer may take more again: asked once, at the end of this turn. */
  wakeReader(reader: Waking): void {
    this.#readersToWake.add(reader);
    this.wake();
  }

  /** This channel has confirms to tell, at the end of this turn. */
  confirmsDue(channel: Confirming): void {
    this.#confirming.add(channel);
    this.wake();
  }

  flush(): void {
    if (this.#readersToWake.size > 0) this.#wakeReaders();
    if (this.#confirming.size > 0) {
      for (const channel of this.#confirming) channel.flushConfirms();
      this.#confirming.clear();
    }
    if (this.output.waiting) this.output.flush();
  }

  /** A heartbeat: nothing else has left for a while. */
  beat(): void {
    this.output.frame(FRAME.heartbeat, 0, NO_BYTES, 0, 0);
    this.flush();
  }

  end(): void {
    this.#readersToWake.clear();
    this.#confirming.clear();
  }

  #wakeReaders(): void {
    const readers = [...this.#readersToWake];
    this.#readersToWake.clear();
    for (const reader of readers) reader.wake();
  }
}
