/** What protocols offer beyond lists, under their names: `/api/v1/mqtt/clients`. */
import type { Action } from '#contract';
import type { AdminProtocol } from '../admin-context.ts';
import { done, ok, page, type Reply, type Route } from '../exchange.ts';

export function actionRoutes(protocols: readonly AdminProtocol[]): readonly Route[] {
  return protocols.flatMap(({ name, instance }) =>
    (instance.actions ?? []).map((action) => routeOf(name, action)),
  );
}

function routeOf(protocol: string, action: Action): Route {
  const { method, summary } = action;
  return {
    method,
    path: `/api/v1/${protocol}/${action.path}`,
    summary,
    async run(call): Promise<Reply> {
      const { params, query, body, user } = call;
      const reply = await action.run({ params, query, body, user });
      if (reply === null) return done;
      if ('rows' in reply) return page(call, reply.rows);
      return 'text' in reply ? { status: 200, body: reply.text } : ok(reply.value);
    },
  };
}
