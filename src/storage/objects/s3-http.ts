/**
 * One HTTP request to an S3 bucket and its answer: signed, bounded in time and size, never repeated
 * here. The signature is the matter of `aws4fetch`; connections are kept by the agent of
 * `node:http`.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { AwsV4Signer } from 'aws4fetch';
import type { Clock, Timer, Timers } from '#kit';
import type { S3Limits } from './s3-limits.ts';

export interface S3Place {
  /** `https://host` or `http://host:port`, without a path. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Before every name, such as `cluster-a/`; empty for the whole bucket. */
  readonly prefix: string;
  readonly region: string;
  /** `endpoint/bucket/key`; otherwise `bucket.endpoint/key`. */
  readonly pathStyle: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials; empty for others. */
  readonly sessionToken: string;
}

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Key of the object in the bucket; empty for the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Longest answer; a longer one is a failure. */
  readonly answerBytesMax: number;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Bodies are written in pieces of this size, so that progress is seen. */
const WRITE_BYTES = 262_144;
/** An error that the server explains takes at most this. */
const ERROR_BYTES_MAX = 65_536;

export class S3Http {
  readonly #place: S3Place;
  readonly #limits: S3Limits;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #agent: http.Agent;
  readonly #base: URL;
  /** Keys derived for signing, by day. */
  readonly #keys = new Map<string, ArrayBuffer>();

  constructor(place: S3Place, limits: S3Limits, clock: Clock, timers: Timers) {
    this.#place = place;
    this.#limits = limits;
    this.#clock = clock;
    this.#timers = timers;
    this.#base = new URL(place.endpoint);
    const options = { keepAlive: true, maxSockets: limits.requestsMax };
    this.#agent =
      this.#base.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
  }

  close(): void {
    this.#agent.destroy();
  }

  async roundTrip(request: S3Request): Promise<S3Answer> {
    const url = this.#urlOf(request);
    const { accessKeyId, secretAccessKey, sessionToken, region } = this.#place;
    const signer = new AwsV4Signer({
      method: request.method,
      url: url.href,
      headers: { ...request.headers },
      ...{ accessKeyId, secretAccessKey, region, service: 's3', cache: this.#keys },
      ...(sessionToken === '' ? {} : { sessionToken }),
      datetime: new Date(this.#clock.nowMs()).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    });
    const signed = await signer.sign();
    const length = request.body?.length ?? 0;
    const headers: Record<string, string> = { ...Object.fromEntries(signed.headers) };
    headers['host'] = url.host;
    if (length > 0 || request.method === 'PUT' || request.method === 'POST') {
      headers['content-length'] = String(length);
    }
    return this.#send(request, url, headers);
  }

  #urlOf({ key, query }: S3Request): URL {
    const { bucket, pathStyle } = this.#place;
    const url = new URL(this.#base);
    if (!pathStyle) url.hostname = `${bucket}.${url.hostname}`;
    const path = key.split('/').map(encodeURIComponent).join('/');
    url.pathname = pathStyle ? `/${bucket}/${path}` : `/${path}`;
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    // What is signed is `%20`, not the `+` of forms.
    url.search = url.search.replaceAll('+', '%20');
    return url;
  }

  #send(request: S3Request, url: URL, headers: Record<string, string>): Promise<S3Answer> {
    const client = url.protocol === 'https:' ? https : http;
    return new Promise<S3Answer>((resolve, reject) => {
      const outgoing = client.request(url, {
        agent: this.#agent,
        method: request.method,
        headers,
      });
      const watch = new Watch(this.#timers, this.#limits, (reason) => {
        outgoing.destroy(new Error(reason));
      });
      const fail = (error: Error): void => {
        watch.end();
        outgoing.destroy();
        reject(error);
      };
      outgoing.on('error', fail);
      outgoing.on('response', (incoming) => {
        watch.progress();
        collect(incoming, request, watch).then((answer) => {
          watch.end();
          resolve(answer);
        }, fail);
      });
      writeBody(outgoing, request.body, watch);
    });
  }
}

/** Writes piece by piece, each when the one before was taken. */
function writeBody(outgoing: http.ClientRequest, body: Buffer | undefined, watch: Watch): void {
  const next = (at: number): void => {
    watch.progress();
    if (body === undefined || at >= body.length) {
      outgoing.end();
      return;
    }
    outgoing.write(body.subarray(at, at + WRITE_BYTES), (error) => {
      // The failure itself is told by the 'error' event.
      if (!error) next(at + WRITE_BYTES);
    });
  };
  next(0);
}

async function collect(
  incoming: http.IncomingMessage,
  request: S3Request,
  watch: Watch,
): Promise<S3Answer> {
  const status = incoming.statusCode ?? 0;
  const bytesMax = status < 300 ? request.answerBytesMax : ERROR_BYTES_MAX;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    watch.progress();
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  const { headers } = incoming;
  const announced = headers['content-length'];
  if (request.method !== 'HEAD' && announced !== undefined && Number(announced) !== bytes) {
    throw new Error(`the answer has ${bytes} bytes instead of ${announced}`);
  }
  // One buffer of its own: a small answer must not keep a pooled block alive, or share it.
  const body = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(body, at);
  return { status, headers, body };
}

/** Ends a request that makes no progress, or takes too long in all. */
class Watch {
  readonly #timers: Timers;
  readonly #limits: S3Limits;
  readonly #late: (reason: string) => void;
  readonly #whole: Timer;
  #idle: Timer | null = null;
  #moved = false;
  #ended = false;

  constructor(timers: Timers, limits: S3Limits, late: (reason: string) => void) {
    this.#timers = timers;
    this.#limits = limits;
    this.#late = late;
    const { requestTimeoutMs } = limits;
    this.#whole = timers.after(requestTimeoutMs, () =>
      late(`the request took more than ${requestTimeoutMs} ms`),
    );
    this.#arm();
  }

  /** A byte moved. Only noted: the timer looks when it rings, so a chunk costs no timer. */
  progress(): void {
    this.#moved = true;
  }

  end(): void {
    this.#ended = true;
    this.#whole.cancel();
    this.#idle?.cancel();
  }

  #arm(): void {
    const { idleTimeoutMs } = this.#limits;
    // A stall ends after one to two times this.
    this.#idle = this.#timers.after(idleTimeoutMs, () => {
      if (this.#ended) return;
      if (!this.#moved) return this.#late(`no byte in ${idleTimeoutMs} ms`);
      this.#moved = false;
      this.#arm();
    });
  }
}
