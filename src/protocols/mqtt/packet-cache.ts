/**
 * One encoding of a message for all its receivers; none of its own for the first ones, which are
 * mostly all. Subscribers that get it in the same shape (version, QoS, retain flag, subscription
 * identifier) share the bytes; only the packet identifier and DUP differ, and they are patched into
 * the receiver's own output. Holds the last message only.
 */
import type { Message } from '#broker';
import {
  type EncodedPublish,
  encodePublishFilled,
  fillProperties,
  NO_PAYLOAD,
  PassingPublish,
  type Properties,
  propertyScratch,
  type Version,
} from './codec/index.ts';
import { hasProperties, writeMessageProperties } from './message.ts';

const SHAPES = 16;
/** Receivers that get a copy of their own before bytes are made that all others share. */
const PASSINGS_MAX = 8;

export class PacketCache {
  #message: Message | null = null;
  #topic = '';
  readonly #shapes: (EncodedPublish | null)[] = new Array<EncodedPublish | null>(SHAPES).fill(null);
  #byId: Map<number, EncodedPublish> | null = null;
  /** Something is in `#shapes`. */
  #encoded = false;
  readonly #passing = new PassingPublish();
  /** What `#passing` is good for; -1 for nothing. */
  #passingShape = -1;
  #passings = 0;

  /** @param ids identifiers of the subscriptions that match, null for none */
  encode(
    message: Message,
    topic: string,
    qos: 0 | 1 | 2,
    retain: boolean,
    ids: readonly number[] | null,
    version: Version,
    nowMs: number,
  ): EncodedPublish {
    const own = version === 5 ? ids : null;
    // What remains of the expiry changes with time; several identifiers are rare.
    if (message.expiresAtMs !== 0 || (own !== null && own.length > 1)) {
      return encodeMessage(message, topic, qos, retain, own, 0, version, nowMs);
    }
    const shape = (version === 5 ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    if (message !== this.#message || topic !== this.#topic) {
      this.#reset(message, topic);
      const bare = own === null && (version < 5 || !hasProperties(message));
      const payload = message.value ?? NO_PAYLOAD;
      if (bare && this.#passing.set(topic, payload, qos, retain, version)) {
        this.#passingShape = shape;
        this.#passings = 1;
        return this.#passing;
      }
      this.#passingShape = -1;
    } else if (shape === this.#passingShape && own === null && this.#passings < PASSINGS_MAX) {
      this.#passings++;
      return this.#passing;
    }
    this.#encoded = true;
    if (own === null) {
      let encoded = this.#shapes[shape]!;
      if (encoded === null) {
        encoded = encodeMessage(message, topic, qos, retain, null, 0, version, nowMs);
        this.#shapes[shape] = encoded;
      }
      return encoded;
    }
    this.#byId ??= new Map();
    const key = own[0]! * SHAPES + shape;
    let encoded = this.#byId.get(key);
    if (encoded === undefined) {
      encoded = encodeMessage(message, topic, qos, retain, own, 0, version, nowMs);
      this.#byId.set(key, encoded);
    }
    return encoded;
  }

  /** Lets go of the message. */
  clear(): void {
    if (this.#message !== null) this.#reset(null, '');
    this.#passing.payload = NO_PAYLOAD;
    this.#passingShape = -1;
  }

  #reset(message: Message | null, topic: string): void {
    this.#message = message;
    this.#topic = topic;
    if (!this.#encoded) return;
    this.#encoded = false;
    this.#shapes.fill(null);
    this.#byId = null;
  }
}

/**
 * Encodes for one receiver; `alias` 0 for none, `topic` '' when the alias stands for it, `replyTo`
 * '' for no response topic.
 */
export function encodeMessage(
  message: Message,
  topic: string,
  qos: 0 | 1 | 2,
  retain: boolean,
  ids: readonly number[] | null,
  alias: number,
  version: Version,
  nowMs: number,
  replyTo = message.replyTo,
): EncodedPublish {
  propertyScratch.reset();
  if (version === 5) {
    writeMessageProperties(propertyScratch, message, replyTo);
    if (message.expiresAtMs !== 0 || alias !== 0 || ids !== null) {
      fillProperties(propertyScratch, ownProperties(message, ids, alias, nowMs));
    }
  }
  const payload = message.value ?? NO_PAYLOAD;
  return encodePublishFilled({ topic, payload, qos, retain, dup: false, packetId: 0 }, version);
}

function ownProperties(
  message: Message,
  ids: readonly number[] | null,
  alias: number,
  nowMs: number,
): Properties {
  const own: Properties = {};
  if (message.expiresAtMs !== 0) {
    // Rounded up: it never grows and never says 0 while the message is good [MQTT-3.3.2-6].
    own.messageExpirySec = Math.max(1, Math.ceil((message.expiresAtMs - nowMs) / 1000));
  }
  if (ids !== null) own.subscriptionIds = [...ids]; // [MQTT-3.3.4-3]
  if (alias !== 0) own.topicAlias = alias;
  return own;
}
