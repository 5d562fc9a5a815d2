/** Queues, and groups with their committed positions. */
import type { CommittedOffset, Queue } from '#broker';
import { BrokerError } from '#kit';
import { type Call, done, type Json, type JsonObject, ok, page, type Route } from '../exchange.ts';

export const QUEUE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/queues',
    summary: 'Lists the queues of all protocols.',
    run: (call) => page(call, rows(call.context.broker.queues.list(), queueRow)),
  },
  {
    method: 'GET',
    path: '/api/v1/queues/:name',
    summary: 'Shows a queue.',
    run: (call) => ok(queueRow(find(call))),
  },
  {
    method: 'POST',
    path: '/api/v1/queues/:name/purge',
    summary: 'Drops the ready messages of a queue.',
    run: (call) => ok({ purged: find(call).purge() }),
  },
  {
    method: 'GET',
    path: '/api/v1/groups',
    summary: 'Lists the groups that have committed positions.',
    run: (call) => {
      const { cursors } = call.context.broker;
      return page(
        call,
        rows(cursors.groups(), (group) => groupRow(call, group)),
      );
    },
  },
  {
    method: 'GET',
    path: '/api/v1/groups/:name',
    summary: 'Shows the positions of a group and how far it lags behind.',
    run(call) {
      const offsets = positions(call);
      return ok({
        name: call.params['name']!,
        offsets: offsets.map((one) => offsetRow(call, one)),
      });
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/groups/:name',
    summary: 'Forgets the committed positions of a group.',
    async run(call) {
      positions(call);
      const { cursors, state } = call.context.broker;
      cursors.remove(call.params['name']!);
      await new Promise<void>((resolve, reject) => {
        state.committed((error) => (error === null ? resolve() : reject(error)));
      });
      return done;
    },
  },
];

function* rows<Item>(items: Iterable<Item>, row: (item: Item) => Json): Iterable<Json> {
  for (const item of items) yield row(item);
}

function find({ context, params }: Call): Queue {
  const queue = context.broker.queues.get(params['name']!);
  if (queue === undefined) throw new BrokerError('unknown-queue', `'${params['name']}'`);
  return queue;
}

function queueRow(queue: Queue): JsonObject {
  return {
    name: queue.name,
    durable: queue.durable,
    ready: queue.readyCount,
    unacked: queue.unackedCount,
    consumers: queue.consumerCount,
    pinnedBytes: queue.durable ? queue.lanes.pinnedBytes : 0,
  };
}

function positions({ context, params }: Call): readonly CommittedOffset[] {
  const offsets = context.broker.cursors.list(params['name']!);
  if (offsets.length > 0) return offsets;
  throw new BrokerError('unknown-queue', `no group '${params['name']}' has committed positions.`);
}

function groupRow(call: Call, name: string): JsonObject {
  let lag = 0;
  const offsets = call.context.broker.cursors.list(name);
  for (const offset of offsets) lag += lagOf(call, offset) ?? 0;
  return { name, partitions: offsets.length, lag };
}

function offsetRow(call: Call, offset: CommittedOffset): JsonObject {
  const { stream, partition, metadata, timeMs } = offset;
  const lag = lagOf(call, offset);
  const committedAt = new Date(timeMs).toISOString();
  return { stream, partition, offset: offset.offset, lag, metadata, committedAt };
}

/** Null when the stream is gone. */
function lagOf({ context }: Call, { stream, partition, offset }: CommittedOffset): number | null {
  const found = context.broker.streams.get(stream)?.partitions[partition];
  return found === undefined ? null : Math.max(0, found.highWatermark - offset);
}
