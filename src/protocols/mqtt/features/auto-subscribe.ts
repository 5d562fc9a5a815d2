/** Every client is subscribed to some filters when it connects (M180). */
import type { Json } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import type { FilterRequest } from '../codec/index.ts';
import type { Link } from '../connection.ts';
import type { Room } from '../room.ts';
import { type Afterwards, takeSubscription } from '../subscribing.ts';
import type { Feature } from './feature.ts';
import { booleanField, integerField, onlyFields, textField } from './fields.ts';
import type { SessionWatch } from './hooks.ts';
import { filled } from './placeholders.ts';
import { RuleList } from './rule-list.ts';

const KIND = 'mqtt.auto-subscribe';
const FIELDS = ['filter', 'qos', 'noLocal', 'retainAsPublished', 'retainHandling'];

export class AutoSubscribe implements Feature, SessionWatch {
  readonly #room: Room;
  readonly #rules: RuleList<FilterRequest>;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    const fixed = room.options.autoSubscribe.map(ruleOfText);
    this.#rules = new RuleList(room.broker, KIND, fixed, ruleOfJson, () => {});
    room.hooks.watchSessions(this);
    this.actions = [
      {
        method: 'GET',
        path: 'auto-subscribe',
        summary: 'Lists the filters that every MQTT client is subscribed to.',
        run: () => ({ rows: this.#rules.all.map(({ name, value }) => ({ name, ...value })) }),
      },
      {
        method: 'PUT',
        path: 'auto-subscribe/:name',
        summary: 'Subscribes every MQTT client that connects from now on to a filter.',
        run: async ({ params, body }) => {
          await this.#rules.put(params['name']!, { ...ruleOfBody(body) });
          return null;
        },
      },
      {
        method: 'DELETE',
        path: 'auto-subscribe/:name',
        summary: 'Ends an automatic subscription for clients that connect from now on.',
        run: async ({ params }) => {
          await this.#rules.remove(params['name']!);
          return null;
        },
      },
    ];
  }

  connected(link: Link): void {
    const { session } = link;
    if (session === null || this.#rules.all.length === 0) return;
    const after: Afterwards = [];
    for (const { name, value } of this.#rules.all) {
      const filter = filled(value.filter, session);
      const request = { ...value, filter: link.mount?.filter(filter) ?? filter };
      const code = takeSubscription({ session, request, id: 0, bridge: false }, after);
      if (code < 0x80) continue;
      const { clientId: client } = session;
      this.#room.log.warn('an automatic subscription was refused', { client, rule: name, code });
    }
    for (const call of after) call();
    session.replaySoon();
  }

  close(): void {
    this.#rules.close();
  }
}

/** `inbox/%c qos=1 nl=1 rap=1 rh=2` */
function ruleOfText(text: string): FilterRequest {
  const [filter = '', ...settings] = text.trim().split(/\s+/);
  const given: Record<string, number> = {};
  for (const setting of settings) {
    const form = /^(qos|nl|rap|rh)=([0-2])$/.exec(setting);
    if (form === null) throw new BrokerError('bad-configuration', `auto-subscribe: "${setting}"`);
    given[form[1]!] = Number(form[2]);
  }
  return {
    filter,
    qos: (given['qos'] ?? 0) as 0 | 1 | 2,
    noLocal: given['nl'] === 1,
    retainAsPublished: given['rap'] === 1,
    retainHandling: (given['rh'] ?? 0) as 0 | 1 | 2,
  };
}

function ruleOfBody(body: ActionCall['body']): FilterRequest {
  onlyFields(body, FIELDS);
  return {
    filter: textField(body, 'filter'),
    qos: integerField(body, 'qos', [0, 2], 0) as 0 | 1 | 2,
    noLocal: booleanField(body, 'noLocal', false),
    retainAsPublished: booleanField(body, 'retainAsPublished', false),
    retainHandling: integerField(body, 'retainHandling', [0, 2], 0) as 0 | 1 | 2,
  };
}

function ruleOfJson(value: Json): FilterRequest {
  return ruleOfBody(value as ActionCall['body']);
}
