/** MQTT.js as the loads use it: a durable session that comes back by itself after a restart. */
import mqtt from 'mqtt';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';

const RECONNECT_MS = 50;
const SESSION_SEC = 86_400;

export interface SessionClient {
  readonly client: mqtt.MqttClient;
  /** How often the server had forgotten the session when the client came back. */
  forgotten: number;
}

/** Connects with a new session. */
export async function openSession(
  server: Server,
  clientId: string,
  options: mqtt.IClientOptions = {},
): Promise<SessionClient> {
  await mqtt.connectAsync(urlOf(server), { clientId, clean: true }).then((old) => old.endAsync());
  const client = await mqtt.connectAsync(urlOf(server), {
    protocolVersion: 5,
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: SESSION_SEC },
    reconnectPeriod: RECONNECT_MS,
    resubscribe: false,
    ...options,
  });
  // A server that is away refuses connections; the client goes on trying.
  client.on('error', () => {});
  const session = { client, forgotten: 0 };
  client.on('connect', ({ sessionPresent }) => {
    if (!sessionPresent) session.forgotten++;
  });
  return session;
}

/** Reports sessions that a restart lost. */
export function checkSession(session: SessionClient, name: string, findings: Findings): void {
  if (session.forgotten > 0) findings.add('lost', name, 'its session', session.forgotten);
  session.forgotten = 0;
}

export function urlOf(server: Server): string {
  return `mqtt://${server.address('mqtt')}`;
}
