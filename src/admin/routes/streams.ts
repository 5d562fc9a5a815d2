/** Streams: list, make, look at, change, remove. */
import { type Durability, PARTITIONS_MAX, type Partition, type Stream } from '#broker';
import { BrokerError } from '#kit';
import {
  type Call,
  created,
  done,
  type Json,
  type JsonObject,
  ok,
  page,
  type Route,
} from '../exchange.ts';
import { type FieldRows, readFields } from '../fields.ts';

const SETTING_FIELDS = {
  retentionMs: 'integer?',
  retentionBytes: 'integer?',
  retentionAckedMs: 'integer?',
  messageBytesMax: 'integer?',
  remote: 'boolean?',
} as const satisfies FieldRows;
const CREATE_FIELDS = {
  name: 'text',
  partitions: 'integer?',
  durability: 'text?',
  ...SETTING_FIELDS,
} as const satisfies FieldRows;
const CHANGE_FIELDS = { partitions: 'integer?', ...SETTING_FIELDS } as const satisfies FieldRows;
const DURABILITIES: readonly string[] = ['memory', 'async', 'fsync'] satisfies Durability[];

export const STREAM_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/streams',
    summary: 'Lists the streams; `?hidden=true` adds internal ones, `?search=` filters by name.',
    run: (call) => page(call, listed(call)),
  },
  {
    method: 'POST',
    path: '/api/v1/streams',
    summary: 'Makes a stream.',
    async run({ context: { broker }, body }) {
      const { name, durability, ...settings } = readFields(body, CREATE_FIELDS);
      const partitions = settings.partitions ?? 1;
      if (partitions > PARTITIONS_MAX) {
        throw new BrokerError('invalid-argument', `partitions: 1 to ${PARTITIONS_MAX}.`);
      }
      checkLimits(settings);
      const stream = broker.streams.create(name, {
        ...settings,
        partitions,
        ...(durability === undefined ? {} : { durability: durabilityOf(durability) }),
      });
      await broker.streams.durable();
      return created(detailOf(stream));
    },
  },
  {
    method: 'GET',
    path: '/api/v1/streams/:name',
    summary: 'Shows a stream with its partitions.',
    run: (call) => ok(detailOf(find(call))),
  },
  {
    method: 'PATCH',
    path: '/api/v1/streams/:name',
    summary: 'Changes retention, message size or the number of partitions, which can only grow.',
    async run(call) {
      const stream = find(call);
      const { partitions, ...settings } = readFields(call.body, CHANGE_FIELDS);
      checkLimits(settings);
      const { streams } = call.context.broker;
      if (partitions !== undefined && partitions !== stream.partitions.length) {
        streams.addPartitions(stream, partitions);
      }
      if (Object.keys(settings).length > 0) streams.change(stream, settings);
      await streams.durable();
      return ok(detailOf(stream));
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/streams/:name',
    summary: 'Removes a stream and its records, for all protocols.',
    async run(call) {
      const { streams } = call.context.broker;
      streams.remove(find(call));
      await streams.durable();
      return done;
    },
  },
];

function find({ context, params }: Call): Stream {
  const stream = context.broker.streams.get(params['name']!);
  if (stream === undefined) throw new BrokerError('unknown-stream', `'${params['name']}'`);
  return stream;
}

function* listed({ context, query }: Call): Iterable<Json> {
  const hidden = query.get('hidden') === 'true';
  const search = query.get('search') ?? '';
  for (const stream of context.broker.streams.list()) {
    if ((hidden || !stream.hidden) && stream.name.includes(search)) yield summaryOf(stream);
  }
}

function summaryOf(stream: Stream): JsonObject {
  let records = 0;
  let bytes = 0;
  for (const partition of stream.partitions) {
    records += partition.highWatermark - partition.startOffset;
    bytes += partition.stat().bytes;
  }
  return {
    name: stream.name,
    partitions: stream.partitions.length,
    durability: stream.settings.durability,
    records,
    bytes,
  };
}

function detailOf(stream: Stream): JsonObject {
  const { settings } = stream;
  return {
    ...summaryOf(stream),
    id: stream.id,
    createdAt: new Date(stream.createdAtMs).toISOString(),
    retentionMs: settings.retentionMs,
    retentionBytes: settings.retentionBytes,
    retentionAckedMs: settings.retentionAckedMs,
    messageBytesMax: settings.messageBytesMax,
    remote: settings.remote,
    config: settings.config,
    partitionList: stream.partitions.map(partitionRow),
  };
}

function partitionRow(partition: Partition): JsonObject {
  const { startOffset, endOffset, highWatermark, bytes, batches } = partition.stat();
  return { partition: partition.index, startOffset, highWatermark, endOffset, bytes, batches };
}

function durabilityOf(text: string): Durability {
  if (DURABILITIES.includes(text)) return text as Durability;
  throw new BrokerError('invalid-argument', `durability: ${DURABILITIES.join(', ')}.`);
}

function checkLimits(settings: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === 'number' && value < (name.startsWith('retention') ? -1 : 1)) {
      throw new BrokerError('invalid-argument', `${name}: ${value} is too small.`);
    }
  }
}
