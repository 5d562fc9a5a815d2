/** Users, the rules on what they may do, and the routes of addresses to streams. */
import type { Action, Rule, User } from '#broker';
import { BrokerError } from '#kit';
import { type Call, created, done, type JsonObject, ok, page, type Route } from '../exchange.ts';
import { type FieldRows, readFields } from '../fields.ts';

const USER_FIELDS = {
  name: 'text',
  password: 'text',
  superuser: 'boolean?',
  loopbackOnly: 'boolean?',
  enabled: 'boolean?',
  roles: 'texts?',
} as const satisfies FieldRows;
const SETTINGS_FIELDS = {
  superuser: 'boolean?',
  loopbackOnly: 'boolean?',
  enabled: 'boolean?',
  roles: 'texts?',
} as const satisfies FieldRows;
const PASSWORD_FIELDS = { password: 'text' } as const satisfies FieldRows;
const RULE_FIELDS = {
  effect: 'text',
  principal: 'text',
  actions: 'texts',
  kind: 'text?',
  pattern: 'text',
  match: 'text?',
  host: 'text?',
} as const satisfies FieldRows;
const ROUTE_FIELDS = { pattern: 'text', stream: 'text', key: 'text?' } as const satisfies FieldRows;

export const USER_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/whoami',
    summary: 'Tells whose credentials the request carries.',
    run: ({ user }) => ok({ name: user }),
  },
  {
    method: 'GET',
    path: '/api/v1/users',
    summary: 'Lists the users.',
    run: (call) => page(call, call.context.broker.principals.users().map(userRow)),
  },
  {
    method: 'POST',
    path: '/api/v1/users',
    summary: 'Makes a user.',
    async run({ context: { broker }, body }) {
      const { name, password, ...settings } = readFields(body, USER_FIELDS);
      if (userOf(broker.principals.users(), name) !== undefined) {
        throw new BrokerError('precondition-failed', `the user '${name}' exists already.`);
      }
      await broker.principals.setUser(name, password, { superuser: false, ...settings });
      await broker.definitions.durable();
      return created(userRow(userOf(broker.principals.users(), name)!));
    },
  },
  {
    method: 'PUT',
    path: '/api/v1/users/:name/password',
    summary: 'Sets the password of a user.',
    async run(call) {
      const { password } = readFields(call.body, PASSWORD_FIELDS);
      const { name, superuser, loopbackOnly, enabled, roles } = find(call);
      const { principals, definitions } = call.context.broker;
      await principals.setUser(name, password, { superuser, loopbackOnly, enabled, roles });
      await definitions.durable();
      return done;
    },
  },
  {
    method: 'PUT',
    path: '/api/v1/users/:name',
    summary: 'Changes what a user is, but for its password; at once, also where it is connected.',
    async run(call) {
      const { name } = find(call);
      const settings = readFields(call.body, SETTINGS_FIELDS);
      const { principals, definitions } = call.context.broker;
      if (settings.superuser === false || settings.enabled === false) keepOne(call, name);
      principals.store.change(name, settings);
      await definitions.durable();
      return ok(userRow(find(call)));
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/users/:name',
    summary: 'Removes a user; its connections are closed.',
    async run(call) {
      const user = find(call);
      const { principals, definitions } = call.context.broker;
      keepOne(call, user.name);
      principals.removeUser(user.name);
      await definitions.durable();
      return done;
    },
  },
];

export const RULE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/rules',
    summary: 'Lists the rules that allow or deny actions on addresses.',
    run: (call) =>
      page(
        call,
        call.context.broker.principals.rules().map((rule) => ({ ...rule })),
      ),
  },
  {
    method: 'PUT',
    path: '/api/v1/rules/:name',
    summary: 'Adds or replaces a rule.',
    async run({ context: { broker }, params, body }) {
      const fields = readFields(body, RULE_FIELDS);
      const rule = {
        id: params['name']!,
        effect: effectOf(fields.effect),
        principal: fields.principal,
        actions: fields.actions as readonly Action[],
        pattern: fields.pattern,
        ...(fields.kind === undefined ? {} : { kind: fields.kind as Rule['kind'] & string }),
        ...(fields.match === undefined ? {} : { match: fields.match as Rule['match'] & string }),
        ...(fields.host === undefined ? {} : { host: fields.host }),
      };
      broker.principals.putRule(rule);
      await broker.definitions.durable();
      return ok(rule);
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/rules/:name',
    summary: 'Removes a rule.',
    async run({ context: { broker }, params }) {
      broker.principals.removeRule(params['name']!);
      await broker.definitions.durable();
      return done;
    },
  },
  {
    method: 'POST',
    path: '/api/v1/auth/reload',
    summary: 'Reads the files of users and rules again.',
    async run({ context }) {
      return ok({ ...(await context.reloadAuth()) });
    },
  },
  {
    method: 'GET',
    path: '/api/v1/routes',
    summary: 'Lists the routes of addresses to streams.',
    run: (call) =>
      page(
        call,
        [...call.context.broker.routes.list()].map((route) => ({ ...route })),
      ),
  },
  {
    method: 'PUT',
    path: '/api/v1/routes/:name',
    summary: 'Adds or replaces a route; it holds for what is published from then on.',
    async run({ context: { broker }, params, body }) {
      const { pattern, stream, key = 'none' } = readFields(body, ROUTE_FIELDS);
      if (key !== 'none' && key !== 'address') {
        throw new BrokerError('invalid-argument', 'key: none or address.');
      }
      const route = { name: params['name']!, pattern, stream, key } as const;
      broker.routes.put(route);
      await broker.definitions.durable();
      return ok(route);
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/routes/:name',
    summary: 'Removes a route.',
    async run({ context: { broker }, params }) {
      broker.routes.remove(params['name']!);
      await broker.definitions.durable();
      return done;
    },
  },
];

/** Without any, the next start would make the first user again, with its known password. */
function keepOne({ context }: Call, name: string): void {
  const users = context.broker.principals.users();
  if (users.some((user) => user.superuser && user.enabled && user.name !== name)) return;
  throw new BrokerError('precondition-failed', 'it is the last administrator.');
}

function effectOf(text: string): 'allow' | 'deny' {
  if (text === 'allow' || text === 'deny') return text;
  throw new BrokerError('invalid-argument', 'effect: allow or deny.');
}

function userOf(users: readonly User[], name: string): User | undefined {
  return users.find((user) => user.name === name);
}

function find({ context, params }: Call): User {
  const user = userOf(context.broker.principals.users(), params['name']!);
  if (user !== undefined) return user;
  throw new BrokerError('invalid-name', `there is no user '${params['name']}'.`);
}

function userRow({ name, superuser, loopbackOnly, ...more }: User): JsonObject {
  const { enabled, roles, mechanisms, source } = more;
  return { name, superuser, loopbackOnly, enabled, roles, mechanisms, source };
}
