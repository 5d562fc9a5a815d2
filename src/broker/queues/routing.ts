/** How a message gets from a partition to who is interested: queues, groups, live readers. */
import type { LogEngine } from '#storage';
import type { Interest, Plan } from '../addresses/interest.ts';
import type { ColdQueues } from '../cold/cold-queues.ts';
import type { Message } from '../records/message.ts';
import type { Partition, Touched } from '../streams/partition.ts';
import type { Queue } from './queue.ts';
import { QueueRoutes, ROUTES_KEPT_MAX } from './queue-routes.ts';
import type { Queues } from './queues.ts';
import { storedApart } from './stored-apart.ts';

export class Routing {
  readonly #engine: LogEngine;
  readonly #interest: Interest;
  readonly #queues: Queues;
  readonly #cold: ColdQueues;
  #spareRoutes: QueueRoutes | null = null;

  constructor(engine: LogEngine, interest: Interest, queues: Queues, cold: ColdQueues) {
    this.#engine = engine;
    this.#interest = interest;
    this.#queues = queues;
    this.#cold = cold;
  }

  /** The queues that hold a reference to this message, with what they note; null when none does. */
  routesOf(
    message: Message,
    plan: Plan,
    partition: Partition | null,
    extra: readonly Queue[],
  ): QueueRoutes | null {
    const captors = partition === null ? undefined : this.#queues.captors.get(partition);
    if (
      plan.queues.length === 0 &&
      plan.groups.length === 0 &&
      extra.length === 0 &&
      plan.cold === null &&
      captors === undefined
    ) {
      return null;
    }
    const routes = this.#newRoutes(partition);
    for (const { queue, matches } of plan.queues) {
      const meta = queue.meta === null ? 0 : queue.meta(message, matches);
      if (meta !== null) routes.add(queue, meta);
    }
    for (const { members, alias } of plan.groups) {
      const subscription = this.#interest.pick(members, message);
      if (subscription === null) {
        routes.groupsWithout++;
        continue;
      }
      const match = { subscription, alias };
      if (subscription.subscriber !== undefined) routes.groupMatches.push(match);
      const { queue } = subscription;
      if (queue === undefined) continue;
      const meta = queue.meta === null ? 0 : queue.meta(message, [match]);
      if (meta !== null) routes.add(queue, meta);
    }
    for (const queue of extra) routes.add(queue, 0);
    if (captors !== undefined) for (const queue of captors) routes.add(queue, 0);
    if (plan.cold !== null) this.#cold.collect(message, plan.cold, routes);
    return routes;
  }

  /** Those of `extra` alone that will not be found when the message is delivered late. */
  routesNow(plan: Plan, partition: Partition, extra: readonly Queue[]): QueueRoutes {
    const captors = this.#queues.captors.get(partition);
    const routes = this.#newRoutes(partition);
    for (const queue of extra) {
      const isFound = captors?.includes(queue) || plan.queues.some((one) => one.queue === queue);
      if (!isFound) routes.add(queue, 0);
    }
    return routes;
  }

  /** For the next message: most have a queue or none, and need no arrays of their own. */
  putAway(routes: QueueRoutes): void {
    if (routes.count > ROUTES_KEPT_MAX || routes.coldRows.length > ROUTES_KEPT_MAX) return;
    routes.clear();
    this.#spareRoutes = routes;
  }

  route(message: Message, routes: QueueRoutes, partition: Partition | null): void {
    const { queues, metas, count } = routes;
    for (let index = 0; index < count; index++) {
      const queue = queues[index]!;
      if (queue.cursor?.partition !== partition) this.#queues.holdReferences(queue);
      if (partition !== null) partition.touch(queue, storedApart(this.#engine, queue, partition));
      queue.route(message, metas[index]!);
    }
    if (partition !== null && routes.toCold) this.#cold.route(message, routes, partition);
  }

  deliver(message: Message, plan: Plan, routes: QueueRoutes | null): void {
    for (const { subscriber, matches } of plan.live) subscriber.receive(message, matches);
    if (routes === null) return;
    for (const match of routes.groupMatches)
      match.subscription.subscriber!.receive(message, [match]);
  }

  /** A message of a batch that was appended as it came. @param touched queues that refer to it */
  spread(message: Message, plan: Plan, partition: Partition, touched: Touched): void {
    const routes = this.routesOf(message, plan, partition, []);
    if (routes !== null) {
      for (let index = 0; index < routes.count; index++) {
        const queue = routes.queues[index]!;
        touched.add(queue, storedApart(this.#engine, queue, partition));
      }
      if (routes.toCold) touched.add(this.#cold, false);
      this.route(message, routes, partition);
    }
    this.deliver(message, plan, routes);
    if (routes !== null) this.putAway(routes);
  }

  /**
   * Messages that are on disk already, in their order.
   * @returns queues whose references are committed apart from what is done in this stretch
   */
  deliverLate(
    messages: readonly Message[],
    partition: Partition,
    planOf: (message: Message) => Plan,
  ): readonly Queue[] {
    const routed = new Set<Queue>();
    for (const message of messages) {
      const plan = planOf(message);
      const routes = this.routesOf(message, plan, partition, []);
      if (routes !== null) {
        for (let index = 0; index < routes.count; index++) routed.add(routes.queues[index]!);
        this.route(message, routes, partition);
      }
      this.deliver(message, plan, routes);
      if (routes !== null) this.putAway(routes);
    }
    const apart: Queue[] = [];
    for (const queue of routed) {
      queue.committed();
      if (storedApart(this.#engine, queue, partition)) apart.push(queue);
    }
    return apart;
  }

  #newRoutes(partition: Partition | null): QueueRoutes {
    const routes = this.#spareRoutes ?? new QueueRoutes();
    this.#spareRoutes = null;
    routes.partition = partition;
    return routes;
  }
}
