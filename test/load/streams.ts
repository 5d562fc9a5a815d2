/** Makes and removes streams by the admin API, as a user would. */
import { Kafka, logLevel } from 'kafkajs';
import { ADMIN, type Server } from '../clients/server.ts';

const CONFLICT = 409;

export interface StreamWish {
  readonly name: string;
  readonly partitions?: number;
  readonly durability?: 'memory' | 'async' | 'fsync';
  readonly retentionBytes?: number;
  readonly retentionMs?: number;
  readonly retentionAckedMs?: number;
}

/** Makes it, unless there is one of that name. */
export async function createStream(server: Server, wish: StreamWish): Promise<void> {
  await ask(server, 'POST', '/api/v1/streams', JSON.stringify(wish));
}

/** Makes it as a Kafka topic with configs, unless there is one of that name. */
export async function createTopic(
  server: Server,
  topic: string,
  numPartitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const kafka = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] });
  await admin.disconnect();
}

export async function removeStream(server: Server, name: string): Promise<void> {
  await ask(server, 'DELETE', `/api/v1/streams/${encodeURIComponent(name)}`, null);
}

async function ask(server: Server, method: string, route: string, body: string | null) {
  const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const url = `http://${server.address('admin')}${route}`;
  const response = await fetch(url, { method, headers, body });
  if (response.ok || response.status === CONFLICT) return;
  throw new Error(`${method} ${route}: ${await response.text()}`);
}
