/** Messages that an administrator publishes, one or many, as a client would (M194). */
import { type Json, type Message, slashSpelling } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import type { Properties, UserProperty } from '../codec/index.ts';
import { messageOf } from '../message.ts';
import { RetainedAnswer } from '../retained-answer.ts';
import type { Room } from '../room.ts';
import { topicName } from '../topics.ts';
import type { Feature } from './feature.ts';
import { booleanField, integerField, oneOf, onlyFields, textField } from './fields.ts';
import { isReadOnly } from './own-topics.ts';

/** Messages of one request. */
const BULK_MAX = 10_000;
const ENCODINGS = ['text', 'base64'] as const;
const FIELDS = [
  ...['topic', 'payload', 'encoding', 'qos', 'retain', 'client', 'expirySec', 'contentType'],
  ...['responseTopic', 'userProperties'],
];

type Body = ActionCall['body'];

export class PublishOnBehalf implements Feature {
  readonly #room: Room;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    this.actions = [
      {
        method: 'POST',
        path: 'publish',
        summary: 'Publishes a message over MQTT rules; "client" says in whose name and rights.',
        run: async ({ body, user }) => {
          await this.#publish(this.#message(body, user));
          return { value: { published: 1 } };
        },
      },
      {
        method: 'POST',
        path: 'publish/bulk',
        summary: 'Publishes up to 10000 messages in their order; says which were refused.',
        run: async ({ body, user }) => ({ value: await this.#bulk(body, user) }),
      },
    ];
  }

  async #bulk(body: Body, user: string): Promise<Json> {
    onlyFields(body, ['messages']);
    const list = body['messages'];
    if (!Array.isArray(list) || list.length > BULK_MAX) {
      throw new BrokerError('invalid-argument', `"messages" is no list of up to ${BULK_MAX}.`);
    }
    const refused: Json[] = [];
    const results = list.map(async (one: Json, index) => {
      try {
        await this.#publish(this.#message((one ?? {}) as Body, user));
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error;
        refused.push({ index, code: error.code, reason: error.message });
      }
    });
    await Promise.all(results);
    return { published: list.length - refused.length, refused };
  }

  #message(body: Body, user: string): Message {
    onlyFields(body, FIELDS);
    const { options, broker, sessions } = this.#room;
    const name = textField(body, 'topic');
    const topic = topicName(Buffer.from(name), options.topicLevelsMax);
    const encoding = oneOf(body, 'encoding', ENCODINGS, 'text');
    const payload = Buffer.from(
      textField(body, 'payload', ''),
      encoding === 'base64' ? 'base64' : 'utf8',
    );
    const qos = integerField(body, 'qos', [0, options.qosMax], 0) as 0 | 1 | 2;
    const retain = booleanField(body, 'retain', false);
    const address = slashSpelling.parse(topic);
    const message = messageOf(
      address,
      payload,
      qos,
      retain,
      propertiesOf(body),
      this.#room.nowMs(),
    );
    const client = textField(body, 'client', '');
    const session = sessions.get(client);
    if (client !== '' && session === undefined) {
      throw new BrokerError('precondition-failed', `there is no client '${client}'.`);
    }
    message.producer = client === '' ? 'admin' : client;
    const principal =
      session?.principal ??
      broker.principals.today({ name: user, id: 0, anonymous: false, superuser: false });
    if (principal === null) throw new BrokerError('not-authorized', `there is no user '${user}'.`);
    message.principal = principal;
    message.source = session ?? null;
    if (isReadOnly(topic) || !broker.authorize(principal, 'publish', address)) {
      throw new BrokerError('not-authorized', `to publish to '${topic}'.`);
    }
    return message;
  }

  #publish(message: Message): Promise<void> {
    const { broker, retained } = this.#room;
    return new Promise((resolve, reject) => {
      if (message.retain) retained.checkOffer(message);
      const published = (_: number, error: BrokerError | null): void =>
        error === null ? resolve() : reject(error);
      const answer = new RetainedAnswer({ published }, broker.lastValues);
      broker.publish(message, broker.target(message.address, 'first-level'), answer, 0);
      answer.kept(message.retain ? retained.keep(message) : -1);
    });
  }
}

function propertiesOf(body: Body): Properties {
  const properties: Properties = {};
  if (body['expirySec'] !== undefined) {
    properties.messageExpirySec = integerField(body, 'expirySec', [1, 0xffffffff]);
  }
  if (body['contentType'] !== undefined) properties.contentType = textField(body, 'contentType');
  if (body['responseTopic'] !== undefined) {
    properties.responseTopic = textField(body, 'responseTopic');
  }
  const pairs = body['userProperties'];
  if (pairs !== undefined) properties.userProperties = pairsOf(pairs);
  return properties;
}

function pairsOf(value: Json): UserProperty[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BrokerError('invalid-argument', '"userProperties" is no object of texts.');
  }
  return Object.entries(value).map(([name, text]) => [name, String(text)]);
}
