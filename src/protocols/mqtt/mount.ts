/**
 * The mount point of a listener: levels put before every topic and filter of its clients, which do
 * not see them. Everything behind the codec (rules, queues, retained values, tables for
 * administrators) has the whole names; only what a client says and hears is without them.
 *
 * Names that begin with `$` do not exist under a mount point, as `#` must not match them: nobody
 * publishes to them, and those of others are not shown. The forms that wrap a name (`$share/g/...`,
 * `$delayed/10/...`) have it wrapped with its prefix.
 */
import { BrokerError } from '#kit';
import type { Properties } from './codec/index.ts';
import { isDelayed } from './handlers/delayed.ts';
import { EXCLUSIVE_PREFIX, levelCount, plainFilter } from './topics.ts';

const DOLLAR = 0x24;
const PLACEHOLDER = /\$\{(clientid|username)\}/g;
/** What a name may not hold that becomes a level, or a part of one. */
const NO_LEVEL = /[/+#\0]/;
const NO_PREFIX = /^\$(?!\{)|^\/|\/\/|[+#\0]/;

/** @throws BrokerError `bad-configuration` for what cannot stand before topics */
export function checkMountPoint(text: string): void {
  const rest = text.replace(PLACEHOLDER, 'x');
  if (NO_PREFIX.test(text) || /[{}]/.test(rest)) {
    const rule = 'levels such as plant/${username}, without wildcards and without $ at their start';
    throw new BrokerError('bad-configuration', `mount-point "${text}": ${rule} are meant.`);
  }
}

/** The mount point of one client; null when its names cannot be levels. */
export function mountPointOf(text: string, clientId: string, user: string): Mount | null {
  let fits = true;
  const filled = text.replace(PLACEHOLDER, (_, name: string) => {
    const value = name === 'clientid' ? clientId : user;
    if (value === '' || NO_LEVEL.test(value)) fits = false;
    return value;
  });
  if (!fits || filled.charCodeAt(0) === DOLLAR) return null;
  return new Mount(filled.endsWith('/') ? filled : `${filled}/`);
}

export class Mount {
  /** Ends with `/`. */
  readonly prefix: string;
  /** Levels that it adds. */
  readonly levels: number;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.levels = levelCount(prefix) - 1;
  }

  /** The whole name of a topic that the client publishes to; null when there is no such name. */
  topic(name: string): string | null {
    if (name.charCodeAt(0) !== DOLLAR) return this.prefix + name;
    if (!isDelayed(name)) return null;
    const at = name.indexOf('/', '$delayed/'.length) + 1;
    // Without a topic it is refused further on, for its form.
    if (at === 0 || at === name.length) return name;
    const inner = this.topic(name.slice(at));
    return inner === null ? null : name.slice(0, at) + inner;
  }

  /** The whole form of a filter; one whose form is wrong stays as it is, and is refused for it. */
  filter(filter: string): string {
    if (filter.charCodeAt(0) !== DOLLAR) return this.prefix + filter;
    const inner = plainFilter(filter);
    if (inner === null || (inner === '' && filter === EXCLUSIVE_PREFIX)) return filter;
    return filter.slice(0, filter.length - inner.length) + this.prefix + inner;
  }

  /** True when a whole filter can match nothing but what lies below the mount point. */
  holds(filter: string): boolean {
    return plainFilter(filter)?.startsWith(this.prefix) === true;
  }

  /** What the client sees of a whole topic; null when that is nothing. */
  shown(topic: string): string | null {
    const { prefix } = this;
    if (!topic.startsWith(prefix) || topic.length === prefix.length) return null;
    return topic.charCodeAt(prefix.length) === DOLLAR ? null : topic.slice(prefix.length);
  }

  /** The properties of a message or will from the client, its response topic with the prefix. */
  properties(from: Properties): Properties {
    const { responseTopic, ...rest } = from;
    if (responseTopic === undefined) return from;
    const whole = this.topic(responseTopic);
    return whole === null ? rest : { ...rest, responseTopic: whole };
  }

  /** The response topic as the client sees it; '' when it cannot reach that. */
  shownResponse(replyTo: string): string {
    return replyTo === '' ? '' : (this.shown(replyTo) ?? '');
  }
}
