/**
 * Frames to objects and back: request and response headers, and per API the readers and writers
 * that `compile.ts` makes when a version is first met. No I/O, no state of a connection.
 */
import { compileReader, compileWriter, type Read, type Write } from './compile.ts';
import { MESSAGES } from './messages/index.ts';
import type { Reader } from './reader.ts';
import type { Decoded, Encodable, MessagePair, RequestOf, ResponseOf, Rows } from './rows.ts';
import type { Writer } from './writer.ts';

/** Readers and writers of one set of rows, by version. */
class Versions<Of extends Rows> {
  readonly #rows: Of;
  readonly #flexible: number;
  readonly #readers: Read<Of>[] = [];
  readonly #writers: Write<Of>[] = [];

  constructor(rows: Of, flexible: number) {
    this.#rows = rows;
    this.#flexible = flexible;
  }

  read(reader: Reader, version: number): Decoded<Of> {
    let read = this.#readers[version];
    if (read === undefined) {
      read = compileReader(this.#rows, version, version >= this.#flexible);
      this.#readers[version] = read;
    }
    return read(reader);
  }

  write(writer: Writer, version: number, message: Encodable<Of>): void {
    let write = this.#writers[version];
    if (write === undefined) {
      write = compileWriter(this.#rows, version, version >= this.#flexible);
      this.#writers[version] = write;
    }
    write(writer, message);
  }
}

/**
 * One API with its codecs. `request.write` and `response.read` are the client's side, for tests.
 */
export class Api<Pair extends MessagePair = MessagePair> {
  readonly pair: Pair;
  readonly request: Versions<Pair['request']>;
  readonly response: Versions<Pair['response']>;

  constructor(pair: Pair) {
    this.pair = pair;
    this.request = new Versions<Pair['request']>(pair.request, pair.flexible);
    this.response = new Versions<Pair['response']>(pair.response, pair.flexible);
  }

  supports(version: number): boolean {
    return version >= this.pair.versions[0] && version <= this.pair.versions[1];
  }

  readRequest(reader: Reader, version: number): RequestOf<Pair> {
    return this.request.read(reader, version);
  }

  /** A whole response frame, size and header included. */
  writeResponse(
    writer: Writer,
    version: number,
    correlationId: number,
    body: ResponseOf<Pair>,
  ): void {
    const frame = writer.open();
    writer.int32(correlationId);
    // A client cannot know yet what the server speaks, so ApiVersions keeps header version 0 (K1).
    if (version >= this.pair.flexible && this.pair.key !== API_VERSIONS_KEY) writer.unsigned(0);
    this.response.write(writer, version, body);
    writer.close(frame);
  }
}

const API_VERSIONS_KEY = 18;

const apis = new Map<number, Api>(MESSAGES.map((pair) => [pair.key, new Api(pair)]));

/** The API of a message pair of `messages/`. */
export function apiOf<Pair extends MessagePair>(pair: Pair): Api<Pair> {
  return apis.get(pair.key) as unknown as Api<Pair>;
}

export function apiByKey(key: number): Api | undefined {
  return apis.get(key);
}

/** The `apiKeys` of an ApiVersions response, computed from the rows (K2, K3). */
export const ADVERTISED: readonly { apiKey: number; minVersion: number; maxVersion: number }[] =
  MESSAGES.map((pair) => ({
    apiKey: pair.key,
    minVersion: pair.advertisedFrom ?? pair.versions[0],
    maxVersion: pair.versions[1],
  }));

export interface RequestHeader {
  apiKey: number;
  apiVersion: number;
  correlationId: number;
  /** The client id's bytes inside the frame; both 0 when it is null or empty. */
  clientIdAt: number;
  clientIdEnd: number;
}

/** Reads key, version and correlation id: what every header version begins with. */
export function readHeaderStart(reader: Reader): RequestHeader {
  return {
    apiKey: reader.int16('requestApiKey'),
    apiVersion: reader.int16('requestApiVersion'),
    correlationId: reader.int32('correlationId'),
    clientIdAt: 0,
    clientIdEnd: 0,
  };
}

/** Reads the rest of header version 1 or, for flexible versions, 2. */
export function readHeaderRest(reader: Reader, header: RequestHeader, flexible: boolean): void {
  const size = reader.int16('clientId');
  if (size > reader.end - reader.at) reader.fail('clientId', `${size} bytes do not fit`);
  if (size > 0) {
    header.clientIdAt = reader.at;
    reader.at += size;
    header.clientIdEnd = reader.at;
  }
  if (flexible) reader.skipTags('header.tags');
}
