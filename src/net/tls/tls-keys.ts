/**
 * The TLS identity of listeners as it is now. A reload replaces it for the handshakes to come;
 * connections that are open keep what they agreed on. When new files cannot be used the old ones
 * stay in force, and the log says why.
 */
import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import type { SecureContext } from 'node:tls';
import type { Log, Timer, Timers } from '#kit';
import {
  type ClientCertificates,
  clientCertificates,
  type KeyFiles,
  type Pair,
  readKeyFiles,
  type TlsSettings,
} from './key-files.ts';

/** Several files change one after the other; the load waits until this long nothing changed. */
const SETTLE_MS = 200;

export class TlsKeys {
  readonly settings: TlsSettings;
  readonly clients: ClientCertificates;
  #files: KeyFiles;
  readonly #watchers = new Set<(first: Pair) => void>();

  private constructor(settings: TlsSettings, files: KeyFiles) {
    this.settings = settings;
    this.clients = clientCertificates(settings);
    this.#files = files;
  }

  /** @throws BrokerError `bad-configuration` */
  static async load(settings: TlsSettings): Promise<TlsKeys> {
    return new TlsKeys(settings, await readKeyFiles(settings));
  }

  /** For clients that name no host, or one that is in no certificate. */
  get first(): Pair {
    return this.#files.pairs[0];
  }

  pairFor(serverName: string): Pair {
    const found = this.#files.pairs.find(({ leaf }) => leaf.checkHost(serverName) !== undefined);
    return found ?? this.first;
  }

  /** For the SNI extension of a handshake. */
  readonly choose = (
    serverName: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void => done(null, this.pairFor(serverName).context);

  /** The OCSP response for a certificate that was chosen, by its DER bytes. */
  stapleFor(leaf: Buffer): Buffer | null {
    return this.#files.pairs.find((pair) => pair.leaf.raw.equals(leaf))?.staple ?? null;
  }

  /** Calls with the first pair after every reload. */
  onChange(watcher: (first: Pair) => void): void {
    this.#watchers.add(watcher);
  }

  /** @returns whether anything was new. @throws BrokerError, and nothing is changed then */
  async reload(): Promise<boolean> {
    const fresh = await readKeyFiles(this.settings);
    const same =
      fresh.bytes.length === this.#files.bytes.length &&
      fresh.bytes.every((bytes, index) => bytes.equals(this.#files.bytes[index]!));
    if (same) return false;
    this.#files = fresh;
    for (const watcher of this.#watchers) watcher(this.first);
    return true;
  }

  /** Folders of the files: what replaces a file is a rename into its folder. */
  get folders(): Set<string> {
    const { cert, key, ca, crl, ocsp } = this.settings;
    const files = [...cert, ...key, ...ocsp, ca, crl].filter((file) => file !== '');
    return new Set(files.map((file) => path.dirname(path.resolve(file))));
  }
}

/** All TLS identities of a server: listeners with the same options share one. */
export class TlsKeyRing {
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #keys = new Map<string, TlsKeys>();
  readonly #watched = new Map<string, FSWatcher>();
  #settling: Timer | null = null;

  constructor(timers: Timers, log: Log) {
    this.#timers = timers;
    this.#log = log;
  }

  /** Null where no certificate is configured. @throws BrokerError `bad-configuration` */
  async keysFor(settings: TlsSettings): Promise<TlsKeys | null> {
    const { cert, key, ca, verify, crl, ocsp, minVersion, ciphers, watch: watched } = settings;
    if (cert.length === 0 && key.length === 0) return null;
    const own: TlsSettings = {
      ...{ cert, key, ca, verify, crl, ocsp, minVersion, ciphers },
      watch: watched,
    };
    const name = JSON.stringify(own);
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const keys = await TlsKeys.load(own);
    this.#keys.set(name, keys);
    if (own.watch) for (const folder of keys.folders) this.#watch(folder);
    return keys;
  }

  /** Loads all files again. @returns how many identities are new @throws BrokerError */
  async reload(): Promise<number> {
    let changed = 0;
    for (const keys of this.#keys.values()) if (await keys.reload()) changed++;
    if (changed > 0) this.#log.info('TLS files were loaded again', { changed });
    return changed;
  }

  close(): void {
    this.#settling?.cancel();
    this.#settling = null;
    for (const watcher of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  #watch(folder: string): void {
    if (this.#watched.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#changed());
      watcher.on('error', (error) => this.#blind(folder, error));
      this.#watched.set(folder, watcher);
    } catch (error) {
      this.#blind(folder, error);
    }
  }

  #blind(folder: string, error: unknown): void {
    this.#log.warn('TLS files are not watched; ask for a reload when they change', {
      folder,
      reason: error instanceof Error ? error.message : String(error),
    });
  }

  #changed(): void {
    this.#settling?.cancel();
    this.#settling = this.#timers.after(SETTLE_MS, () => {
      this.#settling = null;
      this.reload().catch((error: unknown) => {
        this.#log.error('changed TLS files cannot be used; the old ones stay in force', {
          reason: error instanceof Error ? error.message : String(error),
        });
      });
    });
  }
}
