/** The features beside the message path, one row each; a row that is gone is a feature that is. */
import type { Message, Pattern } from '#broker';
import type { Action, Host } from '#contract';
import type { Room } from '../room.ts';
import { AutoSubscribe } from './auto-subscribe.ts';
import { ClientBrowser } from './client-browser.ts';
import { DelayedBrowser } from './delayed-browser.ts';
import type { Feature } from './feature.ts';
import { Presence } from './presence.ts';
import { PublishOnBehalf } from './publish-on-behalf.ts';
import { RetainedBrowser } from './retained-browser.ts';
import { ShareGroups } from './share-groups.ts';
import { SlowSubscribers } from './slow-subscribers.ts';
import { SysTree } from './sys-tree.ts';
import { TopicMetrics } from './topic-metrics.ts';
import { TopicRewrite } from './topic-rewrite.ts';
import { Traces } from './trace.ts';

const FEATURES: readonly ((room: Room, host: Host) => Feature)[] = [
  (room, host) => new SysTree(room, host),
  (room, host) => new Presence(room, host),
  (room) => new AutoSubscribe(room),
  (room) => new TopicRewrite(room),
  (room) => new DelayedBrowser(room),
  (room) => new SlowSubscribers(room),
  (room) => new TopicMetrics(room),
  (room) => new Traces(room),
  (room) => new ShareGroups(room),
  (room) => new ClientBrowser(room),
  (room) => new PublishOnBehalf(room),
  (room) => new RetainedBrowser(room),
];

export class Features {
  readonly #features: readonly Feature[];
  readonly actions: readonly Action[];

  constructor(room: Room, host: Host) {
    this.#features = FEATURES.map((open) => open(room, host));
    this.actions = this.#features.flatMap(({ actions }) => actions);
  }

  /** What a new subscription gets like retained messages, although nothing keeps it. */
  *shown(pattern: Pattern): Generator<Message> {
    for (const feature of this.#features) {
      if (feature.retained !== undefined) yield* feature.retained(pattern);
    }
  }

  close(): void {
    for (const feature of this.#features.toReversed()) feature.close?.();
  }
}
