/** Delayed messages for administrators: listed, and taken back before their time (M182). */
import type { Action } from '#contract';
import { BrokerError } from '#kit';
import type { Room } from '../room.ts';
import type { Feature } from './feature.ts';

export class DelayedBrowser implements Feature {
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.actions = [
      {
        method: 'GET',
        path: 'delayed',
        summary: 'Lists the delayed MQTT messages in the order of their times.',
        run: () => ({ rows: room.list('delayed') }),
      },
      {
        method: 'DELETE',
        path: 'delayed/:id',
        summary: 'Takes a delayed MQTT message back.',
        run: async ({ params }) => {
          if (!room.delayed.cancel(params['id']!)) {
            throw new BrokerError('precondition-failed', 'no such message waits.');
          }
          await committed(room);
          return null;
        },
      },
    ];
  }
}

/** Resolves when what was changed so far is on disk. */
export function committed(room: Room): Promise<void> {
  return new Promise((resolve, reject) => {
    room.store.committed((error) => (error === null ? resolve() : reject(error)));
  });
}
