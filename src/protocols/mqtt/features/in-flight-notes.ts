/** What features remember of a message between sending and acknowledgement. */
import type { Message } from '#broker';
import type { Session } from '../session.ts';
import type { SessionWatch } from './hooks.ts';

export interface Note {
  readonly message: Message;
  readonly topic: string;
  readonly sentMs: number;
}

export class InFlightNotes implements SessionWatch {
  readonly #bySession = new Map<Session, Map<number, Note>>();

  set(session: Session, packetId: number, note: Note): void {
    let notes = this.#bySession.get(session);
    if (notes === undefined) {
      notes = new Map();
      this.#bySession.set(session, notes);
    }
    notes.set(packetId, note);
  }

  take(session: Session, packetId: number): Note | undefined {
    const notes = this.#bySession.get(session);
    const note = notes?.get(packetId);
    notes?.delete(packetId);
    return note;
  }

  disconnected(session: Session): void {
    this.#bySession.delete(session);
  }

  clear(): void {
    this.#bySession.clear();
  }
}
