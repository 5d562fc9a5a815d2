/**
 * From a publish to the broker: which exchange, which queues, which home. One object per channel;
 * it keeps the last route and the last properties, because publishers repeat themselves, and
 * compares bytes before it decodes anything (the hot path of this protocol).
 */
import {
  type Address,
  type Broker,
  flatAddress,
  Message,
  type Principal,
  type PublishSink,
  plainDotSpelling,
  type Queue,
  SERVER_PRINCIPAL,
  type Target,
} from '#broker';
import type { AmqpQueue } from './amqp-queue.ts';
import { type Content, DIRECT_REPLY_TO, delayOf } from './content.ts';
import { AmqpError, named, refusal } from './errors.ts';
import { DELAYED_TYPE } from './matchers.ts';
import { utf8Bytes } from './output.ts';
import type { Repeats } from './repeats.ts';
import { sameBytes } from './same-bytes.ts';
import { packNative } from './shown-properties.ts';
import {
  type AmqpExchange,
  brokerQueues,
  DEFAULT_EXCHANGE,
  exchangeStream,
  IMMEDIATE_MS,
  TOPIC_EXCHANGE,
  type VirtualHost,
} from './virtual-host.ts';

/** Routes kept per channel for publishers with many routing keys. */
const ROUTES_MAX = 256;
export interface Route {
  /** Exchange and routing key as two short strings, as they came. */
  readonly names: Buffer;
  readonly version: number;
  /** Version of users and rules that its right was found with. */
  readonly rights: number;
  readonly exchange: AmqpExchange;
  readonly key: string;
  readonly target: Target;
  /** Queues that get the message by reference. */
  readonly queues: readonly Queue[];
  /** Found by the exchanges or captured by a stream: it is not to be returned. */
  readonly routed: boolean;
  /** No stream stores it. */
  readonly memoryOnly: boolean;
  /** Queues among them that reject publishes when they are full. */
  readonly guarded: readonly AmqpQueue[];
  /** Its exchange lets messages wait. */
  readonly delaying: boolean;
  /** Its exchange takes a message once; null: as often as it comes. */
  readonly repeats: Repeats | null;
  /** False: headers decide, so the route is good for one message only. */
  readonly lasting: boolean;
}

export type Outcome = 'routed' | 'unroutable' | 'rejected';

/** What a publish tells about its sender. */
export interface Sender {
  readonly principal: Principal;
  readonly producer: string;
  readonly source: object;
  /** The server does it: it has a reason to publish a message again. */
  readonly mayRepeat?: boolean;
}

export class Publisher {
  readonly #host: VirtualHost;
  readonly #broker: Broker;
  readonly #sender: Sender;
  /** The last message that the broker took. */
  published: Message | null = null;
  #last: Route | null = null;
  readonly #routes = new Map<string, Route>();
  #native: Buffer | null = null;
  #nativeRoute: Route | null = null;
  #nativeContent: Content | null = null;

  constructor(host: VirtualHost, sender: Sender) {
    this.#host = host;
    this.#broker = host.broker;
    this.#sender = sender;
  }

  /** A publisher for what the server does by itself, without a client's rights. */
  static ofServer(host: VirtualHost, source: object): Publisher {
    return new Publisher(host, {
      ...{ principal: SERVER_PRINCIPAL, producer: '', source },
      mayRepeat: true,
    });
  }

  /**
   * Checks exchange and rights before the content has come, as far as the names tell.
   * @param at position of the exchange's length octet; the routing key follows
   * @throws AmqpError 404, 403
   */
  open(buffer: Buffer, at: number, end: number): Route {
    const last = this.#last;
    if (
      last !== null &&
      last.version === this.#host.version &&
      last.rights === this.#broker.principals.version &&
      sameBytes(last.names, buffer, at, end)
    ) {
      return last;
    }
    const id = buffer.toString('latin1', at, end);
    const known = this.#routes.get(id);
    if (known !== undefined && this.#isCurrent(known)) {
      this.#last = known;
      return known;
    }
    const route = this.#resolve(Buffer.from(buffer.subarray(at, end)), null);
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
    this.#routes.set(id, route);
    this.#last = route;
    return route;
  }

  #isCurrent({ version, rights }: Route): boolean {
    return version === this.#host.version && rights === this.#broker.principals.version;
  }

  /** A route is good for one message or for all that follow, until something changes. */
  #isGood(route: Route, content: Content): boolean {
    return route.lasting && content.moreKeys.length === 0 && this.#isCurrent(route);
  }

  /** Asks whether a message that came earlier may still go its way. @throws AmqpError 404, 403 */
  check(route: Route, content: Content): void {
    if (!this.#isGood(route, content)) this.#resolve(route.names, content);
  }

  /** @throws BrokerError when the broker cannot take it; nothing was published then. */
  publish(
    route: Route,
    content: Content,
    value: Buffer,
    sink: PublishSink | null,
    token: number,
  ): Outcome {
    // Much may have changed since its method came: the content may be long, a transaction longer.
    if (!this.#isGood(route, content)) route = this.#resolve(route.names, content);
    const { repeats } = route;
    if (repeats === null || this.#sender.mayRepeat === true) {
      return this.#take(route, content, value, sink, token);
    }
    const id = repeats.idOf(content);
    if (id === null) return this.#take(route, content, value, sink, token);
    const take = (told: PublishSink) => this.#take(route, content, value, told, token);
    return repeats.publish(id, content, sink, token, take);
  }

  #take(
    route: Route,
    content: Content,
    value: Buffer,
    sink: PublishSink | null,
    token: number,
  ): Outcome {
    if (route.delaying) {
      const delayMs = delayOf(content);
      if (delayMs > 0) {
        this.#host.delay(this.#sender, route, content, value, delayMs, sink, token);
        return 'routed';
      }
    }
    const message = this.#message(route, content, value);
    for (const queue of route.guarded) if (queue.refuses(message)) return 'rejected';
    if (message.expiresAtMs !== 0) watchHeads(route.queues);
    const filtered = this.#host.filteredCount;
    const taken = this.#broker.publish(message, route.target, sink, token, route.queues);
    this.published = message;
    if (route.routed) return 'routed';
    return taken - (this.#host.filteredCount - filtered) > 0 ? 'routed' : 'unroutable';
  }

  #message(route: Route, content: Content, value: Buffer): Message {
    const { target, memoryOnly } = route;
    // What is only in memory must not hold on to the whole chunk that it came in.
    const message = new Message(
      target.address,
      memoryOnly ? Buffer.from(value) : value,
      this.#host.origin,
    );
    const { properties } = content;
    message.headers = content.headers;
    message.key = content.key;
    message.qos = content.persistent ? 1 : 0;
    message.contentType = properties.contentType ?? '';
    message.contentEncoding = properties.contentEncoding ?? '';
    message.replyTo = content.replyTo;
    message.correlation = content.correlation;
    message.messageId = properties.messageId ?? '';
    message.timestampMs = content.timestampMs;
    message.priority = properties.priority ?? -1;
    if (content.expirationMs >= 0) {
      message.expiresAtMs = this.#host.clock.nowMs() + (content.expirationMs || IMMEDIATE_MS);
    }
    message.producer = this.#sender.producer;
    message.principal = this.#sender.principal;
    message.source = this.#sender.source;
    message.native = this.#nativeOf(route, content);
    return message;
  }

  /** The same names with the same properties share their bytes. */
  #nativeOf(route: Route, content: Content): Buffer {
    if (this.#native === null || this.#nativeRoute !== route || this.#nativeContent !== content) {
      this.#native = packNative(route.names, content.bytes);
      this.#nativeRoute = route;
      this.#nativeContent = content;
    }
    return this.#native;
  }

  #resolve(names: Buffer, content: Content | null): Route {
    const exchangeEnd = 1 + names[0]!;
    const exchangeName = names.toString('utf8', 1, exchangeEnd);
    const key = names.toString('utf8', exchangeEnd + 1);
    const exchange = this.#host.exchanges.get(exchangeName);
    if (exchange === undefined) throw refusal.noExchange(exchangeName);
    if (exchange.facts.internal) {
      throw new AmqpError(403, `cannot publish to internal ${named.exchange(exchangeName)}`);
    }
    const address = this.#addressOf(exchange, key);
    this.#authorize(exchange, address, key);
    const found = this.#found(exchange, key, content);
    return this.#routeOf(names, exchange, key, address, found);
  }

  /** All queues that exchanges find, and whether headers had a say. */
  #found(exchange: AmqpExchange, key: string, content: Content | null) {
    const { router } = this.#host;
    const queues = router.route(exchange, key, content?.table);
    let lasting = !router.viaHeaders;
    for (const more of content?.moreKeys ?? []) {
      this.#authorize(exchange, this.#addressOf(exchange, more), more);
      for (const queue of router.route(exchange, more, content?.table)) queues.add(queue);
      lasting = false;
    }
    return { queues, lasting };
  }

  #routeOf(
    names: Buffer,
    exchange: AmqpExchange,
    key: string,
    address: Address,
    { queues, lasting }: { queues: Set<AmqpQueue>; lasting: boolean },
  ): Route {
    const { version } = this.#host;
    const guarded = [...queues].filter((queue) => queue.guarded);
    const stream = this.#homeStream(exchange, key, queues.size > 0);
    const target = this.#broker.target(
      address,
      stream === null ? 'captured' : { stream, ...keyOf(exchange, key) },
    );
    return {
      names,
      version,
      rights: this.#broker.principals.version,
      exchange,
      key,
      target,
      queues: brokerQueues(queues),
      routed: queues.size > 0 || stream !== null,
      memoryOnly: stream === null,
      guarded,
      delaying: exchange.facts.type === DELAYED_TYPE,
      repeats: this.#host.repeatsOf(exchange.name),
      lasting,
    };
  }

  /**
   * Default exchange: the key's own stream. Others: the exchange's, if somebody gets the message.
   */
  #homeStream(exchange: AmqpExchange, key: string, routed: boolean): string | null {
    const { streams } = this.#broker;
    if (exchange.name === TOPIC_EXCHANGE) return null;
    if (exchange.name === DEFAULT_EXCHANGE) {
      const stream = streams.get(key);
      return stream === undefined || stream.hidden ? null : key;
    }
    const name = exchangeStream(exchange.name);
    return routed && streams.get(name) !== undefined ? name : null;
  }

  #addressOf(exchange: AmqpExchange, key: string): Address {
    if (exchange.name === TOPIC_EXCHANGE) return plainDotSpelling.parse(key);
    if (exchange.name !== DEFAULT_EXCHANGE) {
      const home = plainDotSpelling.parse(exchange.name.replaceAll('.', '%2E'));
      return key === '' ? home : plainDotSpelling.parse(`${plainDotSpelling.show(home)}.${key}`);
    }
    const known = this.#host.queues.has(key) || this.#broker.streams.get(key) !== undefined;
    // A key that is no queue may be where another protocol waits for an answer: `a.b` is its a/b.
    return known || key.startsWith(DIRECT_REPLY_TO)
      ? flatAddress(key)
      : plainDotSpelling.parse(key);
  }

  #authorize(exchange: AmqpExchange, address: Address, key: string): void {
    const { principal } = this.#sender;
    if (this.#broker.authorize(principal, 'publish', address)) return;
    const what =
      exchange.name === TOPIC_EXCHANGE
        ? `topic '${key}' in ${named.exchange(exchange.name)}`
        : exchange.name === DEFAULT_EXCHANGE
          ? named.queue(key)
          : named.exchange(exchange.name);
    throw refusal.access('write', what, principal.name);
  }
}

/** [A70] From its first message with an expiration on, a queue looks when its head ends. */
function watchHeads(queues: readonly Queue[]): void {
  for (const queue of queues) if (!queue.watch.on) queue.watchesHead = true;
}

function keyOf(exchange: AmqpExchange, key: string): { key?: Buffer } {
  return exchange.name === DEFAULT_EXCHANGE ? {} : { key: utf8Bytes(key) };
}
