/** Where segments lie: the data folder, and the bucket when one is configured. */
import {
  BrokerError,
  type Clock,
  type Log,
  type Metrics,
  type Random,
  type Timers,
  type Values,
} from '#kit';
import {
  type ObjectStore,
  openS3Store,
  openTieredStore,
  REMOTE_PREFIX,
  type RemoteStore,
  type S3Place,
  type TieredStore,
  type TierStatus,
} from '#storage';
import type { STORAGE_OPTIONS } from './server-options.ts';

type StorageOptions = Values<typeof STORAGE_OPTIONS>;

/** The usual names of credentials, for those that the configuration leaves empty. */
const ENVIRONMENT = {
  accessKey: 'AWS_ACCESS_KEY_ID',
  secretKey: 'AWS_SECRET_ACCESS_KEY',
  sessionToken: 'AWS_SESSION_TOKEN',
} as const;
/** What needs no escaping in any place of the protocol. */
const PREFIX = /^[\w.\-/]*$/;

export interface ObjectStoreParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class ServerObjects {
  readonly #place: S3Place | null;
  /** In place of a configured bucket. */
  readonly #given: RemoteStore | null;
  readonly #options: StorageOptions;
  readonly #parts: ObjectStoreParts;
  #store: TieredStore | null = null;
  /** Told when the bucket answers again after an absence. */
  onBack: (() => void) | null = null;

  /** @throws BrokerError `bad-configuration` */
  constructor(options: StorageOptions, parts: ObjectStoreParts, given: RemoteStore | null) {
    this.#place = placeOf(options, process.env);
    this.#given = given;
    this.#options = options;
    this.#parts = parts;
  }

  /** False when streams cannot be set to use it: no bucket is configured. */
  get isThere(): boolean {
    return this.#place !== null || this.#given !== null;
  }

  /** Takes over the local store; `ObjectStore.close` of the result closes both. */
  async open(local: ObjectStore): Promise<ObjectStore> {
    const place = this.#place;
    const remote =
      this.#given ?? (place === null ? null : await openS3Store({ place, ...this.#parts }));
    this.#store = await openTieredStore({
      local,
      remote,
      remotePrefix: REMOTE_PREFIX,
      ...this.#parts,
      onBack: () => this.onBack?.(),
      limits: { cacheBytes: this.#options.remoteCacheSize, readBytes: this.#options.remoteMemory },
    });
    return this.#store;
  }

  status(): (TierStatus & { readonly bucket: string }) | null {
    const place = this.#place;
    const status = this.#store?.status() ?? null;
    // Without a bucket there is nothing to say, unless something once went to one.
    if (status === null || (place === null && status.objects === 0)) return null;
    const bucket = place === null ? '' : `${place.endpoint}/${place.bucket}/${place.prefix}`;
    return { bucket, ...status };
  }
}

/** @throws BrokerError `bad-configuration` that says what to set */
export function placeOf(
  options: StorageOptions,
  environment: Readonly<Record<string, string | undefined>>,
): S3Place | null {
  const { remoteBucket: bucket, remoteEndpoint, remotePrefix, remoteRegion: region } = options;
  if (bucket === '') {
    if (remoteEndpoint === '' && remotePrefix === '') return null;
    throw bad('storage.remote-bucket is needed for an object store.');
  }
  if (!PREFIX.test(remotePrefix)) {
    throw bad('storage.remote-prefix may hold letters, digits and . _ - / only.');
  }
  const accessKeyId = options.remoteAccessKey || environment[ENVIRONMENT.accessKey] || '';
  const secretAccessKey = options.remoteSecretKey || environment[ENVIRONMENT.secretKey] || '';
  if (accessKeyId === '' || secretAccessKey === '') {
    throw bad(
      `storage.remote-access-key and storage.remote-secret-key are needed (or ` +
        `${ENVIRONMENT.accessKey} and ${ENVIRONMENT.secretKey} in the environment).`,
    );
  }
  return {
    endpoint: endpointOf(remoteEndpoint, region),
    bucket,
    prefix: remotePrefix === '' || remotePrefix.endsWith('/') ? remotePrefix : `${remotePrefix}/`,
    region,
    // Servers of one's own seldom have a name per bucket; AWS wants one.
    pathStyle:
      options.remoteAddressing === 'auto'
        ? remoteEndpoint !== ''
        : options.remoteAddressing === 'path',
    accessKeyId,
    secretAccessKey,
    sessionToken: options.remoteSessionToken || environment[ENVIRONMENT.sessionToken] || '',
  };
}

function endpointOf(text: string, region: string): string {
  if (text === '') return `https://s3.${region}.amazonaws.com`;
  const url = URL.parse(text);
  const plain = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/';
  if (!plain || url.search !== '' || url.username !== '') {
    throw bad(`storage.remote-endpoint: '${text}' is no address such as https://host:port.`);
  }
  return url.origin;
}

function bad(detail: string): BrokerError {
  return new BrokerError('bad-configuration', detail);
}
