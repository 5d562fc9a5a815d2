/** NATS core through nats.js. */
import { connect, type Msg, headers as makeHeaders } from 'nats';
import { Inbox } from '../clients/inbox.ts';
import type { Server } from '../clients/server.ts';
import { bufferOrNull, type Endpoint, numberOrNull, splitHints, takeOut } from './endpoint.ts';
import type { Outcome, Sample, Seen } from './sample.ts';

export async function natsEndpoint(server: Server): Promise<Endpoint> {
  const client = await connect({ servers: server.address('nats'), reconnect: false });
  return {
    protocol: 'nats',
    async read(subject) {
      const inbox = new Inbox<Outcome>();
      client.subscribe(subject, {
        callback: (_error, message) => inbox.put(readable(message)),
      });
      await client.flush();
      return inbox;
    },
    async publish(subject, sample) {
      client.publish(subject, sample.value ?? Buffer.alloc(0), {
        headers: nativeHeaders(sample),
        ...(sample.reply === undefined ? {} : { reply: sample.reply }),
      });
      await client.flush();
    },
    close: () => client.close(),
  };
}

function nativeHeaders(sample: Sample) {
  const headers = makeHeaders();
  const own = (name: string, value: string | number | undefined) => {
    if (value !== undefined) headers.append(name, String(value));
  };
  for (const [name, value] of sample.headers ?? []) headers.append(name, String(value));
  own('Kafka-Key', sample.key);
  own('Nats-Msg-Id', sample.messageId);
  own('Correlation-Id', sample.correlation?.toString());
  own('Content-Type', sample.contentType);
  own('Timestamp', sample.timestampMs);
  own('mq9-priority', sample.priority);
  if (sample.expiryMs !== undefined) own('Nats-TTL', `${sample.expiryMs / 1000}s`);
  return headers;
}

/**
 * A header block that the library cannot read must not end its connection, and the test with it.
 */
function readable(message: Msg): Seen | Error {
  try {
    return seen(message);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function seen(message: Msg): Seen {
  const pairs = [...(message.headers ?? [])].flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
  const { headers, hints, markedNull } = splitHints(pairs);
  const correlation = takeOut(headers, 'Correlation-Id');
  const binary = hints['Correlation-Id'] ?? hints['correlation-id'];
  return {
    name: message.subject,
    value: Buffer.from(message.data),
    markedNull,
    hints,
    key: takeOut(headers, 'Kafka-Key'),
    messageId: takeOut(headers, 'Nats-Msg-Id'),
    correlation:
      correlation !== null && binary === 'base64'
        ? Buffer.from(correlation, 'base64')
        : bufferOrNull(correlation),
    reply: message.reply || null,
    contentType: takeOut(headers, 'Content-Type'),
    timestampMs: numberOrNull(takeOut(headers, 'Timestamp')),
    priority: numberOrNull(takeOut(headers, 'mq9-priority')),
    expiryMs: ttlMs(takeOut(headers, 'Nats-TTL')),
    headers: headers.filter(([name]) => !name.startsWith('Nats-')),
  };
}

/** `Nats-TTL` is seconds, or a Go duration such as `1m30s`. */
function ttlMs(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)];
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? 0),
    0,
  );
}
