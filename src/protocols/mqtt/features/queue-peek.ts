/** A look into the queue of a session that takes nothing out of it (M194). */
import { type Delivery, type Json, type Message, slashSpelling } from '#broker';
import type { Session } from '../session.ts';

/** Messages that are shown. */
const PEEKED_MAX = 100;
const PAYLOAD_SHOWN_MAX = 256;

export async function queuedRows(session: Session): Promise<readonly Json[]> {
  const { queue, link } = session;
  if (queue === null) return [];
  // Nothing goes to the client meanwhile: it would overtake what is looked at.
  const window = link?.window ?? 0;
  if (link !== null) link.window = 0;
  const found: Delivery[] = [];
  try {
    while (found.length < PEEKED_MAX) {
      const next = await queue.get();
      if (next === null) break;
      found.push(next);
    }
  } finally {
    for (const { position } of found) queue.requeue(position, { counted: false });
    if (link !== null) link.window = window;
    if (session.link === link) session.outbound?.wake();
  }
  return found.map(({ message, position }) => ({ position, ...messageRow(message) }));
}

function messageRow(message: Message): Record<string, Json> {
  const { value, qos, retain, producer, appendTimeMs } = message;
  const bytes = value ?? Buffer.alloc(0);
  return {
    topic: slashSpelling.show(message.address),
    qos,
    retain,
    client: producer,
    at: new Date(appendTimeMs).toISOString(),
    bytes: bytes.length,
    payload: bytes.toString('utf8', 0, PAYLOAD_SHOWN_MAX),
  };
}
