/**
 * The QUIC library: quiche, as a prebuilt native module. Only what is used here is declared. It
 * does no I/O and has no threads: datagrams go in and come out, and it says when it wants to be
 * asked again.
 */
import { createRequire } from 'node:module';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface QuicheConfig {
  setApplicationProtos(names: string[]): void;
  setMaxIdleTimeout(ms: number): void;
  setMaxRecvUdpPayloadSize(bytes: number): void;
  setMaxSendUdpPayloadSize(bytes: number): void;
  setInitialMaxData(bytes: number): void;
  setInitialMaxStreamDataBidiRemote(bytes: number): void;
  setInitialMaxStreamDataBidiLocal(bytes: number): void;
  setInitialMaxStreamDataUni(bytes: number): void;
  setInitialMaxStreamsBidi(count: number): void;
  setInitialMaxStreamsUni(count: number): void;
  setMaxStreamWindow(bytes: number): void;
  setMaxConnectionWindow(bytes: number): void;
  setActiveConnectionIdLimit(count: number): void;
  setDisableActiveMigration(disabled: boolean): void;
  enablePacing(on: boolean): void;
  grease(on: boolean): void;
}

interface QuichePathEvent {
  readonly type: 'New' | 'Validated' | 'Closed' | 'ReusedSourceConnectionId' | 'PeerMigrated';
  readonly old?: unknown;
  readonly new?: unknown;
  readonly peer?: HostPort;
}

export interface QuicheConnection {
  recv(datagram: Uint8Array, info: { readonly from: HostPort; readonly to: HostPort }): number;
  send(into: Uint8Array): [number, { readonly from: HostPort; readonly to: HostPort }] | null;
  streamRecv(id: number, into: Uint8Array): [number, boolean] | null;
  streamSend(id: number, bytes: Uint8Array, fin: boolean): number | null;
  streamShutdown(id: number, direction: number, code: number): unknown;
  readable(): Iterable<number>;
  writable(): Iterable<number>;
  timeout(): number | null;
  onTimeout(): void;
  newSourceCid(id: Uint8Array, resetToken: bigint, retireIfNeeded: boolean): number;
  sourceCidsLeft(): number;
  retiredScidNext(): Uint8Array | null;
  pathEventNext(): QuichePathEvent | null;
  close(app: boolean, code: number, reason: Uint8Array): unknown;
  peerCertChain(): Uint8Array[] | null;
  isEstablished(): boolean;
  isDraining(): boolean;
  isClosed(): boolean;
  isTimedOut(): boolean;
  peerError(): QuicheError | null;
  localError(): QuicheError | null;
}

export interface QuicheError {
  readonly isApp: boolean;
  readonly errorCode: number;
  readonly reason: Uint8Array;
}

interface QuicheHeader {
  readonly ty: number;
  readonly version: number;
  readonly dcid: Uint8Array;
  readonly scid: Uint8Array;
  readonly token?: Uint8Array;
}

export interface Quiche {
  readonly Config: {
    withBoringSslCtx(
      verifyPeer: boolean,
      verifyAllowFail: boolean,
      ca: Uint8Array | null,
      keys: Uint8Array[],
      certificates: Uint8Array[],
      signatures: string | null,
    ): QuicheConfig;
  };
  readonly Connection: {
    accept(
      sourceId: Uint8Array,
      originalId: Uint8Array | null,
      local: HostPort,
      remote: HostPort,
      config: QuicheConfig,
    ): QuicheConnection;
  };
  readonly Header: { fromSlice(datagram: Uint8Array, idLength: number): QuicheHeader };
  versionIsSupported(version: number): boolean;
  negotiateVersion(clientId: Uint8Array, ourId: Uint8Array, into: Uint8Array): number;
  retry(
    clientId: Uint8Array,
    ourId: Uint8Array,
    newId: Uint8Array,
    token: Uint8Array,
    version: number,
    into: Uint8Array,
  ): number;
}

let loaded: Quiche | null | undefined;

/** Null where there is no prebuilt module for this machine. */
export function loadQuiche(): Quiche | null {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  try {
    loaded = require(`@matrixai/quic-${process.platform}-${process.arch}`) as Quiche;
  } catch {
    loaded = null;
  }
  return loaded;
}
