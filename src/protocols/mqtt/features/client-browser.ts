/**
 * Clients and their sessions for administrators (M194): list and filter, look into the queue and at
 * what is in flight, kick, subscribe and unsubscribe on behalf.
 */
import type { Json } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import { REASON, reasonSentence } from '../codec/index.ts';
import type { SessionView } from '../cold-sessions.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import { type Afterwards, takeSubscription } from '../subscribing.ts';
import { committed } from './delayed-browser.ts';
import type { Feature } from './feature.ts';
import { booleanField, integerField, onlyFields, textField } from './fields.ts';
import { queuedRows } from './queue-peek.ts';

const SUBSCRIBE_FIELDS = ['filter', 'qos', 'noLocal', 'retainAsPublished', 'retainHandling'];

export class ClientBrowser implements Feature {
  readonly #room: Room;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    this.actions = [...this.#looking(), ...this.#acting()];
  }

  #looking(): readonly Action[] {
    return [
      {
        method: 'GET',
        path: 'clients',
        summary: 'Lists MQTT clients: ?client= (part of the id), ?user=, ?ip=, ?connected=.',
        run: (call) => ({ rows: this.#rows(call) }),
      },
      {
        method: 'GET',
        path: 'clients/:client',
        summary: 'Shows an MQTT client and its session.',
        run: (call) => ({ value: clientRow(this.#find(call)) }),
      },
      {
        method: 'GET',
        path: 'clients/:client/subscriptions',
        summary: 'Lists the subscriptions of an MQTT client.',
        run: (call) => ({ rows: subscriptionRows(this.#find(call)) }),
      },
      {
        method: 'GET',
        path: 'clients/:client/queue',
        summary: 'Shows the next messages that wait for an MQTT client, without taking them.',
        run: async (call) => ({ rows: await queuedRows(this.#find(call)) }),
      },
      {
        method: 'GET',
        path: 'clients/:client/inflight',
        summary: 'Shows what was sent to an MQTT client and is not acknowledged.',
        run: (call) => ({ rows: this.#find(call).outbound?.list() ?? [] }),
      },
    ];
  }

  #acting(): readonly Action[] {
    return [
      {
        method: 'DELETE',
        path: 'clients/:client',
        summary: 'Disconnects an MQTT client; with ?session=true its session ends too.',
        run: async (call) => {
          const session = this.#find(call);
          session.link?.leave(REASON.administrativeAction, '');
          if (call.query.get('session') === 'true') this.#room.sessions.end(session);
          await committed(this.#room);
          return null;
        },
      },
      {
        method: 'POST',
        path: 'clients/:client/subscriptions',
        summary: 'Subscribes an MQTT client on its behalf, with its rights.',
        run: (call) => this.#subscribe(call),
      },
      {
        method: 'DELETE',
        path: 'clients/:client/subscriptions',
        summary: 'Ends a subscription of an MQTT client: ?filter=.',
        run: async (call) => {
          const session = this.#find(call);
          const filter = call.query.get('filter') ?? textField({}, 'filter');
          if (!session.unsubscribe(filter)) {
            throw new BrokerError('precondition-failed', `it has no subscription '${filter}'.`);
          }
          this.#room.hooks.unsubscribed(session, filter);
          await committed(this.#room);
          return null;
        },
      },
    ];
  }

  async #subscribe(call: ActionCall): Promise<{ value: Json }> {
    const session = this.#find(call);
    const { body } = call;
    onlyFields(body, SUBSCRIBE_FIELDS);
    const after: Afterwards = [];
    const request = {
      filter: textField(body, 'filter'),
      qos: integerField(body, 'qos', [0, 2], 0) as 0 | 1 | 2,
      noLocal: booleanField(body, 'noLocal', false),
      retainAsPublished: booleanField(body, 'retainAsPublished', false),
      retainHandling: integerField(body, 'retainHandling', [0, 2], 0) as 0 | 1 | 2,
    };
    const code = takeSubscription({ session, request, id: 0, bridge: false }, after);
    if (code >= 0x80) throw new BrokerError('precondition-failed', reasonSentence(code));
    await committed(this.#room);
    for (const call of after) call();
    session.runReplays();
    return { value: { client: session.clientId, filter: request.filter, qos: code } };
  }

  *#rows({ query }: ActionCall): Generator<Json> {
    const part = query.get('client') ?? '';
    const user = query.get('user');
    const ip = query.get('ip');
    const connected = query.get('connected');
    for (const session of this.#room.sessions.list()) {
      if (!session.clientId.includes(part)) continue;
      if (user !== null && session.principal.name !== user) continue;
      if (ip !== null && session.link?.connection.peer.address !== ip) continue;
      if (connected !== null && String(session.link !== null) !== connected) continue;
      yield clientRow(session);
    }
  }

  #find({ params }: ActionCall): Session {
    const session = this.#room.sessions.get(params['client']!);
    if (session !== undefined) return session;
    throw new BrokerError('precondition-failed', `there is no client '${params['client']}'.`);
  }
}

function clientRow(session: SessionView): Record<string, Json> {
  const { link, clientId, durable, principal, expirySec } = session;
  const peer = link?.connection.peer;
  return {
    client: clientId,
    connected: link !== null,
    user: principal.name,
    peer: peer === undefined ? null : `${peer.address}:${peer.port}`,
    listener: link?.connection.listener ?? null,
    version: link?.version ?? null,
    keepAliveSec: link?.keepAliveSec ?? null,
    durable,
    expirySec: Number.isFinite(expirySec) ? expirySec : null,
    subscriptions: session.subscriptionCount,
    queued: session.queue?.readyCount ?? 0,
    inFlight: session.inFlight,
    awaitingRelease: session.receivedCount,
    will: session.will?.packet.topic ?? null,
    disconnected:
      session.disconnectedAtMs === 0 ? null : new Date(session.disconnectedAtMs).toISOString(),
  };
}

function* subscriptionRows(session: Session): Generator<Json> {
  for (const each of session.subscriptions()) {
    const { filter, qos, noLocal, retainAsPublished, retainHandling, id } = each;
    yield { filter, qos, noLocal, retainAsPublished, retainHandling, id: id === 0 ? null : id };
  }
}
