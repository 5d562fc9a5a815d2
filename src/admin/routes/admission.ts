/** Who may come in: the ban list, sending clients away, and the certificates of listeners. */
import { BrokerError } from '#kit';
import { type AdminBan, BAN_KINDS, type BanKind } from '../admin-context.ts';
import { created, done, type JsonObject, ok, page, type Route } from '../exchange.ts';
import { type FieldRows, readFields } from '../fields.ts';

const BAN_FIELDS = {
  kind: 'text',
  value: 'text',
  reason: 'text?',
  seconds: 'integer?',
} as const satisfies FieldRows;
const DRAIN_FIELDS = { perSecond: 'integer?', reference: 'text?' } as const satisfies FieldRows;

export const ADMISSION_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/bans',
    summary: 'Lists who may not come in.',
    run: (call) => page(call, [...call.context.bans.list()].map(banRow)),
  },
  {
    method: 'POST',
    path: '/api/v1/bans',
    summary: 'Bans a client, a pattern of clients, a user, an address or a range; sends them away.',
    async run({ context: { bans, broker }, body }) {
      const { kind, value, reason = '', seconds } = readFields(body, BAN_FIELDS);
      if (seconds !== undefined && seconds < 1) {
        throw new BrokerError('invalid-argument', 'seconds: 1 or more.');
      }
      const forMs = seconds === undefined ? {} : { forMs: seconds * 1000 };
      const ban = bans.add({ kind: kindOf(kind), value, reason, ...forMs });
      await broker.definitions.durable();
      return created(banRow(ban));
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/bans/:kind/:value',
    summary: 'Lifts a ban.',
    async run({ context: { bans, broker }, params }) {
      if (!bans.lift(kindOf(params['kind']!), params['value']!)) {
        throw new BrokerError('precondition-failed', 'there is no such ban.');
      }
      await broker.definitions.durable();
      return done;
    },
  },
  {
    method: 'GET',
    path: '/api/v1/drain',
    summary: 'Tells how far the clients are sent away.',
    run: ({ context }) => ok({ ...context.drain.status() }),
  },
  {
    method: 'POST',
    path: '/api/v1/drain',
    summary: 'Closes the ports of the protocols and sends the clients away at a rate.',
    run({ context: { drain }, body }) {
      const { perSecond = 0, reference = '' } = readFields(body, DRAIN_FIELDS);
      if (perSecond < 0) throw new BrokerError('invalid-argument', 'perSecond: 0 or more.');
      void drain.start({ perSecond, reference });
      return ok({ ...drain.status() });
    },
  },
  {
    method: 'POST',
    path: '/api/v1/tls/reload',
    summary: 'Loads certificates, keys and revocation lists again; connections stay open.',
    async run({ context }) {
      return ok({ changed: await context.reloadTls() });
    },
  },
];

function kindOf(text: string): BanKind {
  const kind = BAN_KINDS.find((each) => each === text);
  if (kind !== undefined) return kind;
  throw new BrokerError('invalid-argument', `kind: ${BAN_KINDS.join(', ')}.`);
}

function banRow({ kind, value, reason, sinceMs, untilMs }: AdminBan): JsonObject {
  return {
    kind,
    value,
    reason,
    since: new Date(sinceMs).toISOString(),
    until: untilMs === null ? null : new Date(untilMs).toISOString(),
  };
}
