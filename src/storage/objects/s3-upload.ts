/**
 * One object on its way into a bucket: in one request when it is small, else in parts, a bounded
 * number at a time. The bucket shows it when the last request has succeeded, and never a part of
 * it.
 */
import { createHash, type Hash } from 'node:crypto';
import type { S3Limits } from './s3-limits.ts';
import { failureOf, isMissing, S3Failure, type S3Requests } from './s3-requests.ts';
import { elements, escapeXml, keyDecoder, textIn } from './s3-xml.ts';

const ANSWER_BYTES_MAX = 65_536;

export class S3Upload {
  readonly #requests: S3Requests;
  readonly #limits: S3Limits;
  readonly #key: string;
  readonly #free: Buffer[] = [];
  readonly #tags: string[] = [];
  readonly #shipping = new Set<Promise<void>>();
  #part: Buffer | null = null;
  #filled = 0;
  #hash: Hash = createHash('md5');
  #bytes = 0;
  #uploadId = '';
  #failure: unknown = null;

  constructor(requests: S3Requests, limits: S3Limits, key: string) {
    this.#requests = requests;
    this.#limits = limits;
    this.#key = key;
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        this.#part ??= this.#free.pop() ?? this.#newPart();
        const part: Buffer = this.#part;
        if (this.#filled === part.length) {
          await this.#ship();
          continue;
        }
        const piece = chunk.subarray(at, at + part.length - this.#filled);
        part.set(piece, this.#filled);
        this.#hash.update(piece);
        this.#filled += piece.length;
        this.#bytes += piece.length;
        at += piece.length;
      }
    }
  }

  async finish(): Promise<void> {
    if (this.#uploadId === '') return this.#putWhole();
    if (this.#filled > 0) await this.#ship();
    await Promise.all(this.#shipping);
    if (this.#failure !== null) throw this.#failure;
    await this.#complete();
  }

  /** Takes back what the bucket has of it. Never rejects: what stays is removed by age. */
  async abandon(): Promise<void> {
    await Promise.all(this.#shipping);
    if (this.#uploadId === '') return;
    await abort(this.#requests, this.#key, this.#uploadId).catch(() => {});
  }

  #newPart(): Buffer {
    return Buffer.allocUnsafeSlow(this.#limits.partBytes);
  }

  async #putWhole(): Promise<void> {
    const body = this.#part?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    await this.#requests.send({
      method: 'PUT',
      key: this.#key,
      headers: { 'content-md5': this.#hash.digest('base64') },
      body,
      answerBytesMax: ANSWER_BYTES_MAX,
    });
  }

  /** Sends the part that is filled; waits while enough of them are under way. */
  async #ship(): Promise<void> {
    if (this.#uploadId === '') this.#uploadId = await this.#begin();
    while (this.#shipping.size >= this.#limits.partsInFlight) await Promise.race(this.#shipping);
    if (this.#failure !== null) throw this.#failure;
    const part = this.#part!;
    const job = this.#send(part, this.#filled, this.#tags.push(''), this.#hash.digest('base64'))
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .then(() => {
        this.#free.push(part);
        this.#shipping.delete(job);
      });
    this.#shipping.add(job);
    this.#part = null;
    this.#filled = 0;
    this.#hash = createHash('md5');
  }

  async #begin(): Promise<string> {
    const { body } = await this.#requests.send({
      method: 'POST',
      key: this.#key,
      query: { uploads: '' },
      answerBytesMax: ANSWER_BYTES_MAX,
    });
    const id = textIn(body.toString('utf8'), 'UploadId');
    if (id === '') throw new S3Failure('The bucket gave an upload no id.', 0, '', false);
    return id;
  }

  async #send(part: Buffer, bytes: number, number: number, md5: string): Promise<void> {
    const { headers } = await this.#requests.send({
      method: 'PUT',
      key: this.#key,
      query: { partNumber: String(number), uploadId: this.#uploadId },
      headers: { 'content-md5': md5 },
      body: part.subarray(0, bytes),
      answerBytesMax: ANSWER_BYTES_MAX,
    });
    this.#tags[number - 1] = headers.etag ?? '';
  }

  async #complete(): Promise<void> {
    const parts = this.#tags.map(
      (tag, index) =>
        `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`,
    );
    const xml = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
    let tries = 1;
    try {
      await this.#requests.send(
        {
          method: 'POST',
          key: this.#key,
          query: { uploadId: this.#uploadId },
          body: Buffer.from(xml),
          answerBytesMax: ANSWER_BYTES_MAX,
        },
        // The bucket may say yes first and find out later that it could not.
        (answer) => (answer.body.includes('<Error>') ? failureOf(answer) : null),
        () => tries++,
      );
    } catch (error) {
      // An earlier try may have done it although its answer was lost.
      if (tries === 1 || !isMissing(error, 'NoSuchUpload') || !(await this.#isThere())) throw error;
    }
  }

  async #isThere(): Promise<boolean> {
    const { headers } = await this.#requests.send({
      method: 'HEAD',
      key: this.#key,
      answerBytesMax: 0,
    });
    return Number(headers['content-length']) === this.#bytes;
  }
}

/** Removes the parts of uploads that began before `beforeMs` and did not end. */
export async function abortOld(
  requests: S3Requests,
  prefix: string,
  beforeMs: number,
): Promise<number> {
  const query: Record<string, string> = { uploads: '', prefix, 'encoding-type': 'url' };
  let aborted = 0;
  for (;;) {
    const { body } = await requests.send({
      method: 'GET',
      key: '',
      query,
      answerBytesMax: 16 * 2 ** 20,
    });
    const xml = body.toString('utf8');
    const decode = keyDecoder(xml);
    for (const upload of elements(xml, 'Upload')) {
      if (!(Date.parse(textIn(upload, 'Initiated')) < beforeMs)) continue;
      await abort(requests, decode(textIn(upload, 'Key')), textIn(upload, 'UploadId'));
      aborted++;
    }
    if (textIn(xml, 'IsTruncated') !== 'true') return aborted;
    const [keyMarker, idMarker] = [textIn(xml, 'NextKeyMarker'), textIn(xml, 'NextUploadIdMarker')];
    if (keyMarker === '') return aborted;
    query['key-marker'] = decode(keyMarker);
    query['upload-id-marker'] = idMarker;
  }
}

async function abort(requests: S3Requests, key: string, uploadId: string): Promise<void> {
  await requests.send({ method: 'DELETE', key, query: { uploadId }, answerBytesMax: 65_536 });
}
