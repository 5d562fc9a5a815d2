/** The values of `$SYS`, one row each, in the words of Mosquitto and of EMQX (M170). */
import type { Host } from '#contract';
import { Counter } from '#kit';
import { sumOf } from '../metrics.ts';
import type { Room } from '../room.ts';
import { LoadAverage, SPANS } from './load-averages.ts';

/** What the rows read. */
export interface SysSource {
  readonly room: Room;
  readonly host: Host;
  readonly node: string;
  readonly startedMs: number;
  readonly loads: ReadonlyMap<string, LoadAverage>;
  readonly maxima: { connections: number; sessions: number; heap: number };
}

export interface SysRow {
  readonly topic: string;
  read(source: SysSource): string | number;
}

/** Sum of a counter of `net` over the listeners of MQTT. */
function netTotal({ host }: SysSource, name: string): number {
  let sum = 0;
  for (const { labels, instrument } of host.metrics.families.get(name)?.series ?? []) {
    const own = labels['listener']?.startsWith('mqtt') === true;
    if (own && instrument instanceof Counter) sum += instrument.value;
  }
  return sum;
}

function dropped({ room: { metrics } }: SysSource): number {
  const { droppedSlow, droppedTooLarge, droppedExpired, droppedFull } = metrics;
  return droppedSlow.value + droppedTooLarge.value + droppedExpired.value + droppedFull.value;
}

function sharedCount({ room }: SysSource): number {
  let count = 0;
  for (const group of room.groups.list()) count += group.members.size;
  return count;
}

function uptimeSec({ room, startedMs }: SysSource): number {
  return Math.floor((room.monotonicMs() - startedMs) / 1000);
}

const received = (source: SysSource): number => sumOf(source.room.metrics.received);
const sent = (source: SysSource): number => sumOf(source.room.metrics.sent);
const bytesIn = (source: SysSource): number =>
  netTotal(source, 'robustmq_net_received_bytes_total');
const bytesOut = (source: SysSource): number => netTotal(source, 'robustmq_net_sent_bytes_total');
const accepted = (source: SysSource): number => netTotal(source, 'robustmq_net_connections_total');
const connected = ({ room }: SysSource): number => room.metrics.connections.value;
const sessions = ({ room }: SysSource): number => room.metrics.sessions.value;
const subscriptions = ({ room }: SysSource): number => room.metrics.subscriptions.value;
const retained = ({ room }: SysSource): number => room.broker.lastValues.count;
const away = (source: SysSource): number => Math.max(0, sessions(source) - connected(source));

/** What the load averages follow. */
export const LOADS: Readonly<Record<string, (source: SysSource) => number>> = {
  connections: ({ room }) => room.metrics.handshake.count,
  sockets: accepted,
  'messages/received': ({ room }) => room.metrics.packetsReceived.value,
  'publish/received': received,
  'publish/sent': sent,
  'publish/dropped': dropped,
  'bytes/received': bytesIn,
  'bytes/sent': bytesOut,
};

const MOSQUITTO: Readonly<Record<string, (source: SysSource) => string | number>> = {
  version: ({ host }) => `robustmq version ${host.version}`,
  uptime: (source) => `${uptimeSec(source)} seconds`,
  'clients/total': sessions,
  'clients/maximum': (source) => Math.max(source.maxima.connections, connected(source)),
  'clients/active': connected,
  'clients/connected': connected,
  'clients/inactive': away,
  'clients/disconnected': away,
  'messages/received': ({ room }) => room.metrics.packetsReceived.value,
  'messages/stored': retained,
  'store/messages/count': retained,
  'store/messages/bytes': ({ room }) => room.broker.lastValues.bytes,
  'bytes/received': bytesIn,
  'bytes/sent': bytesOut,
  'publish/messages/received': received,
  'publish/messages/sent': sent,
  'publish/messages/dropped': dropped,
  'publish/bytes/received': ({ room }) => room.metrics.receivedBytes.value,
  'publish/bytes/sent': ({ room }) => room.metrics.sentBytes.value,
  'subscriptions/count': subscriptions,
  'shared_subscriptions/count': sharedCount,
  'retained messages/count': retained,
  'heap/current': () => process.memoryUsage().heapUsed,
  'heap/maximum': ({ maxima }) => maxima.heap,
};

const EMQX: Readonly<Record<string, (source: SysSource) => string | number>> = {
  version: ({ host }) => host.version,
  uptime: (source) => uptimeSec(source) * 1000,
  datetime: ({ room }) => new Date(room.nowMs()).toISOString(),
  sysdescr: () => 'RobustMQ for TypeScript',
  'stats/connections/count': connected,
  'stats/connections/max': ({ maxima }) => maxima.connections,
  'stats/sessions/count': sessions,
  'stats/sessions/max': ({ maxima }) => maxima.sessions,
  'stats/subscriptions/count': subscriptions,
  'stats/subscriptions/shared/count': sharedCount,
  'stats/retained/count': retained,
  'stats/delayed/count': ({ room }) => room.delayed.count,
  'metrics/bytes/received': bytesIn,
  'metrics/bytes/sent': bytesOut,
  'metrics/packets/received': ({ room }) => room.metrics.packetsReceived.value,
  'metrics/packets/publish/received': received,
  'metrics/packets/publish/sent': sent,
  'metrics/messages/received': received,
  'metrics/messages/sent': sent,
  'metrics/messages/dropped': dropped,
  'metrics/messages/qos0/received': ({ room }) => room.metrics.received[0].value,
  'metrics/messages/qos1/received': ({ room }) => room.metrics.received[1].value,
  'metrics/messages/qos2/received': ({ room }) => room.metrics.received[2].value,
  'metrics/messages/qos0/sent': ({ room }) => room.metrics.sent[0].value,
  'metrics/messages/qos1/sent': ({ room }) => room.metrics.sent[1].value,
  'metrics/messages/qos2/sent': ({ room }) => room.metrics.sent[2].value,
};

export function sysRows(node: string): SysRow[] {
  const rows: SysRow[] = [{ topic: '$SYS/brokers', read: () => node }];
  for (const [name, read] of Object.entries(MOSQUITTO)) {
    rows.push({ topic: `$SYS/broker/${name}`, read });
  }
  for (const name of Object.keys(LOADS)) {
    for (const [index, span] of SPANS.entries()) {
      const read = ({ loads }: SysSource): string => loads.get(name)!.values[index]!.toFixed(2);
      rows.push({ topic: `$SYS/broker/load/${name}/${span}`, read });
    }
  }
  for (const [name, read] of Object.entries(EMQX)) {
    rows.push({ topic: `$SYS/brokers/${node}/${name}`, read });
  }
  return rows;
}

export function newLoads(): Map<string, LoadAverage> {
  return new Map(Object.keys(LOADS).map((name) => [name, new LoadAverage()]));
}
