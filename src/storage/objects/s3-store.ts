/**
 * `ObjectStore` in a bucket that speaks the S3 protocol. Whole objects only, so nothing here has to
 * be consistent beyond one request. A bucket that cannot be reached, or refuses, is BrokerError
 * `remote-unavailable`; what the bucket said is in its message.
 */
import { createHash } from 'node:crypto';
import type { Clock, Metrics, Random, Timers } from '#kit';
import type { FillObject, ObjectStore, StoredObject } from './object-store.ts';
import type { S3Answer, S3Place } from './s3-http.ts';
import { S3_LIMITS, type S3Limits } from './s3-limits.ts';
import { isMissing, S3Failure, S3Requests, unavailable } from './s3-requests.ts';
import { abortOld, S3Upload } from './s3-upload.ts';
import { elements, escapeXml, keyDecoder, textIn } from './s3-xml.ts';

export interface S3StoreOptions {
  readonly place: S3Place;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly metrics: Metrics;
  /** Those that differ from `S3_LIMITS`. */
  readonly limits?: Partial<S3Limits>;
}

/** Keys that one request may delete. */
const DELETE_MAX = 1_000;
const LIST_BYTES_MAX = 16 * 2 ** 20;
/** What an answer may be longer than the bytes that were asked for. */
const EXTRA_BYTES = 65_536;
const RANGE_STATUS = { partial: 206, outside: 416 };

export class S3Store implements ObjectStore {
  readonly #options: S3StoreOptions;
  readonly #limits: S3Limits;
  readonly #requests: S3Requests;
  readonly #prefix: string;

  /** Costs no request: the bucket may be away. */
  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#limits = { ...S3_LIMITS, ...options.limits };
    this.#requests = new S3Requests({ ...options, limits: this.#limits });
    this.#prefix = options.place.prefix;
  }

  async put(name: string, fill: FillObject): Promise<void> {
    const upload = new S3Upload(this.#requests, this.#limits, this.#prefix + name);
    try {
      await fill((chunks) => upload.write(chunks));
      await upload.finish();
    } catch (error) {
      await upload.abandon();
      throw unavailable(error);
    }
  }

  async get(name: string, from: number, length: number): Promise<Buffer> {
    if (length <= 0) return Buffer.alloc(0);
    try {
      const { body } = await this.#requests.send(
        {
          method: 'GET',
          key: this.#prefix + name,
          headers: { range: `bytes=${from}-${from + length - 1}` },
          answerBytesMax: length + EXTRA_BYTES,
        },
        (answer) => rangeFault(answer, from, length),
      );
      return body;
    } catch (error) {
      if (error instanceof S3Failure && error.status === RANGE_STATUS.outside) {
        return Buffer.alloc(0);
      }
      if (isMissing(error, 'NoSuchKey')) throw missing(name, error);
      throw unavailable(error);
    }
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    try {
      for (let next = ''; ; ) {
        const page = await this.#page(prefix, next === '' ? {} : { 'continuation-token': next });
        found.push(...page.objects);
        next = page.next;
        if (next === '') break;
      }
    } catch (error) {
      throw unavailable(error);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** A page of the objects whose names come after this one, in the order of their bytes. */
  async listAfter(name: string): Promise<readonly StoredObject[]> {
    try {
      const more: Record<string, string> =
        name === '' ? {} : { 'start-after': this.#prefix + name };
      return (await this.#page('', more)).objects;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** @param more where the page begins */
  async #page(prefix: string, more: Readonly<Record<string, string>>) {
    const query = {
      'list-type': '2',
      prefix: this.#prefix + prefix,
      'encoding-type': 'url',
      'max-keys': String(this.#limits.pageKeys),
      ...more,
    };
    const request = { method: 'GET', key: '', query, answerBytesMax: LIST_BYTES_MAX } as const;
    const { body } = await this.#requests.send(request);
    const xml = body.toString('utf8');
    const decode = keyDecoder(xml);
    const objects = elements(xml, 'Contents').map((entry) => {
      const key = decode(textIn(entry, 'Key'));
      return { name: key.slice(this.#prefix.length), bytes: Number(textIn(entry, 'Size')) };
    });
    const isCut = textIn(xml, 'IsTruncated') === 'true';
    return { objects, next: isCut ? textIn(xml, 'NextContinuationToken') : '' };
  }

  async deleteMany(names: readonly string[]): Promise<void> {
    try {
      for (let first = 0; first < names.length; first += DELETE_MAX) {
        await this.#deleteSome(names.slice(first, first + DELETE_MAX));
      }
    } catch (error) {
      throw unavailable(error);
    }
  }

  /**
   * Removes the parts of uploads that a process began a day ago and never ended; how many. Younger
   * ones may belong to another process that shares the prefix.
   */
  async dropUnfinished(): Promise<number> {
    try {
      const beforeMs = this.#options.clock.nowMs() - this.#limits.unfinishedMs;
      return await abortOld(this.#requests, this.#prefix, beforeMs);
    } catch (error) {
      throw unavailable(error);
    }
  }

  async close(): Promise<void> {
    this.#requests.close();
  }

  async #deleteSome(names: readonly string[]): Promise<void> {
    const keys = names.map(
      (name) => `<Object><Key>${escapeXml(this.#prefix + name)}</Key></Object>`,
    );
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${keys.join('')}</Delete>`);
    await this.#requests.send(
      {
        method: 'POST',
        key: '',
        query: { delete: '' },
        headers: { 'content-md5': createHash('md5').update(body).digest('base64') },
        body,
        answerBytesMax: LIST_BYTES_MAX,
      },
      deleteFault,
    );
  }
}

/** Every byte that was asked for and is there must have come, and no other. */
function rangeFault(answer: S3Answer, from: number, length: number): S3Failure | null {
  const wrong = (what: string): S3Failure => new S3Failure(what, answer.status, '', true);
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '');
  const { body } = answer;
  if (answer.status !== RANGE_STATUS.partial || range === null) {
    // A bucket may answer with the whole object when the range covers it.
    if (answer.status === 200 && from === 0 && body.length <= length) return null;
    return wrong('the bucket did not answer with the range that was asked for');
  }
  const [first, last, total] = [Number(range[1]), Number(range[2]), Number(range[3])];
  const expected = Math.min(from + length, total) - from;
  if (first === from && last - first + 1 === expected && body.length === expected) return null;
  return wrong(`the bucket answered with ${body.length} bytes of ${range[0]}`);
}

/** Single keys may fail in an answer that is a success. */
function deleteFault({ status, body }: S3Answer): S3Failure | null {
  for (const entry of elements(body.toString('utf8'), 'Error')) {
    const word = textIn(entry, 'Code');
    if (word === 'NoSuchKey') continue;
    const passing = word !== 'AccessDenied';
    return new S3Failure(`${word} ${textIn(entry, 'Message')}`, status, word, passing);
  }
  return null;
}

function missing(name: string, cause: unknown): Error {
  return Object.assign(new Error(`ENOENT: ${name}`, { cause }), { code: 'ENOENT' });
}
