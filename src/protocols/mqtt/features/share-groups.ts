/** Shared subscriptions for administrators: members, lag, strategy (M129, M132). */
import type { Json } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import type { Room } from '../room.ts';
import type { SharedGroup } from '../shared-groups.ts';
import { STRATEGIES, type StrategyName } from '../shared-strategies.ts';
import type { Feature } from './feature.ts';
import { oneOf, onlyFields, textField } from './fields.ts';

/** Definitions: the strategy of a group, by its name. */
const KIND = 'mqtt.share-strategy';

/** The group's own choice, else that of the options. */
export function strategyOfGroup({ broker, options }: Room, group: string): StrategyName {
  const own = broker.definitions.get(KIND, group);
  const name = STRATEGIES.find((each) => each === own);
  return name ?? (options.sharedStrategy as StrategyName);
}

export class ShareGroups implements Feature {
  readonly #room: Room;
  readonly #unwatch: () => void;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    this.#unwatch = room.broker.definitions.watch(KIND, (name) => {
      for (const group of room.groups.list()) {
        if (group.name === name) group.use(strategyOfGroup(room, name));
      }
    });
    this.actions = [
      {
        method: 'GET',
        path: 'groups',
        summary: 'Lists the shared subscriptions of MQTT with their members, strategy and lag.',
        run: () => ({ rows: [...room.groups.list()].map(rowOf) }),
      },
      {
        method: 'PUT',
        path: 'groups/:group/strategy',
        summary: 'Chooses how the shared subscriptions of a group choose a member.',
        run: (call) => this.#choose(call),
      },
      {
        method: 'DELETE',
        path: 'groups/:group/strategy',
        summary: 'Lets a group follow the option again.',
        run: async ({ params }) => {
          room.broker.definitions.remove(KIND, params['group']!);
          await room.broker.definitions.durable();
          return null;
        },
      },
      {
        method: 'DELETE',
        path: 'groups/:group',
        summary: 'Forgets a shared subscription without members and what waits for it.',
        run: (call) => this.#forget(call),
      },
    ];
  }

  close(): void {
    this.#unwatch();
  }

  async #choose({ params, body }: ActionCall): Promise<{ value: Json }> {
    onlyFields(body, ['strategy']);
    const strategy = oneOf(body, 'strategy', STRATEGIES);
    const group = params['group']!;
    this.#room.broker.definitions.put(KIND, group, strategy);
    await this.#room.broker.definitions.durable();
    return { value: { group, strategy } };
  }

  #forget({ params, query }: ActionCall): null {
    const filter = query.get('filter') ?? textField({}, 'filter');
    for (const group of this.#room.groups.list()) {
      if (group.name !== params['group'] || group.filter !== filter) continue;
      this.#room.groups.forget(group);
      return null;
    }
    throw new BrokerError('unknown-queue', `no group '${params['group']}' of '${filter}'.`);
  }
}

function rowOf(group: SharedGroup): Json {
  const { name, filter, queue, members, onlineCount, strategyName } = group;
  return {
    group: name,
    filter,
    strategy: strategyName,
    members: members.size,
    online: onlineCount,
    lag: queue.readyCount,
    inFlight: queue.unackedCount,
  };
}
