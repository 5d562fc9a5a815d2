/**
 * What crosses from protocol to protocol: messages in neutral words, and which of them a protocol
 * can write at all. The expectations come from the tables of docs/mapping.md, not from the code.
 */
import { randomBytes } from 'node:crypto';

export const PROTOCOLS = ['mqtt', 'kafka', 'nats', 'amqp'] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

/** A typed header value is one that only AMQP can write: number, boolean, table, array. */
export type HeaderValue = string | Buffer | number | boolean | object;

export interface Sample {
  readonly title: string;
  readonly ids: string;
  readonly from: readonly ProtocolName[];
  readonly value: Buffer | null;
  readonly key?: string;
  /** In order; names may repeat. */
  readonly headers?: readonly (readonly [name: string, value: HeaderValue])[];
  readonly messageId?: string;
  readonly correlation?: Buffer;
  readonly reply?: string;
  readonly contentType?: string;
  readonly timestampMs?: number;
  readonly expiryMs?: number;
  readonly priority?: number;
}

/** What a reader saw, with the columns of the table put back into neutral words. */
export interface Seen {
  /** The name under which the reader's protocol showed it. */
  readonly name: string;
  readonly value: Buffer | null;
  /** The mark `_b.null`: the value was null, and this protocol can only show it as empty. */
  readonly markedNull: boolean;
  readonly key: string | null;
  /** Neither the table's own names nor hints. */
  readonly headers: readonly (readonly [name: string, value: HeaderValue])[];
  /** The hints `_b.t.<name>`, by name. */
  readonly hints: Readonly<Record<string, string>>;
  readonly messageId: string | null;
  readonly correlation: Buffer | null;
  readonly reply: string | null;
  readonly contentType: string | null;
  readonly timestampMs: number | null;
  /** What is left of its life. */
  readonly expiryMs: number | null;
  readonly priority: number | null;
}

/** A message that the reader's own library could not make sense of is an error. */
export type Outcome = Seen | Error;

const text = (words: string) => Buffer.from(words);
const bytes = (...values: number[]) => Buffer.from(values);

export const SAMPLES: readonly Sample[] = [
  { title: 'a plain text', ids: 'X60', from: PROTOCOLS, value: text('plain') },
  {
    title: 'a message with everything',
    ids: 'X60 X12',
    from: PROTOCOLS,
    value: text('full'),
    key: 'key-1',
    headers: [
      ['colour', 'red'],
      ['size', 'large'],
    ],
    messageId: 'message-1',
    correlation: text('correlation-1'),
    reply: 'crossing-replies',
    contentType: 'text/plain',
    timestampMs: 1_700_000_000_123,
    expiryMs: 120_000,
    priority: 5,
  },
  {
    title: 'a value of all 256 bytes',
    ids: 'X60',
    from: PROTOCOLS,
    value: Buffer.from(Array.from({ length: 256 }, (_, n) => n)),
  },
  { title: 'an empty value', ids: 'X60 X6', from: PROTOCOLS, value: Buffer.alloc(0) },
  { title: 'a null value', ids: 'X60 X6', from: ['kafka'], value: null, key: 'gone' },
  { title: 'a value of 1 MiB', ids: 'X60 X28', from: PROTOCOLS, value: randomBytes(1024 * 1024) },
  {
    title: 'text beyond ASCII in key and headers',
    ids: 'X60 X38',
    from: ['mqtt', 'kafka', 'amqp'],
    value: text('äöü €'),
    key: 'schlüssel-€-😀',
    headers: [['größe', 'groß 😀']],
  },
  {
    title: 'a header value that is not UTF-8',
    ids: 'X8 X38',
    from: ['kafka', 'amqp'],
    value: text('binary header'),
    headers: [
      ['raw', bytes(0xff, 0xfe, 0x00, 0x80)],
      ['after', 'text'],
    ],
  },
  {
    title: 'repeated header names',
    ids: 'X10',
    from: ['mqtt', 'kafka', 'nats', 'amqp'],
    value: text('repeated'),
    headers: [
      ['twice', 'one'],
      ['twice', 'two'],
      ['once', 'three'],
    ],
  },
  {
    title: 'typed header values',
    ids: 'X8',
    from: ['amqp'],
    value: text('typed'),
    headers: [
      ['number', 42],
      ['large', 2 ** 40],
      ['yes', true],
      ['table', { inner: { deep: 'x' }, list: [1, 'two'] }],
    ],
  },
  {
    title: 'a header value with line ends',
    ids: 'X9',
    from: ['mqtt', 'kafka', 'amqp'],
    value: text('injection'),
    headers: [['innocent', 'x\r\nInjected: yes\r\n\r\nbody']],
  },
  {
    title: 'a header name with a colon and line ends',
    ids: 'X9',
    from: ['mqtt', 'kafka', 'amqp'],
    value: text('name injection'),
    headers: [['bad: x\r\nInjected', 'yes']],
  },
  {
    title: 'binary correlation data',
    ids: 'X60 X38',
    from: ['mqtt', 'kafka'],
    value: text('binary correlation'),
    correlation: bytes(0xff, 0x00, 0x80, 0x0d, 0x0a),
  },
  {
    title: 'a long correlation',
    ids: 'X60',
    from: ['mqtt', 'kafka', 'nats'],
    value: text('long correlation'),
    correlation: text('c'.repeat(300)),
  },
  {
    title: 'a fleeting message with a fractional life',
    ids: 'X11 X12',
    from: ['kafka', 'amqp'],
    value: text('fleeting'),
    expiryMs: 90_500,
  },
];
