/** What admin is given to show and to change; `server` fills it in. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Broker } from '#broker';
import type { Instance, ResourceRow } from '#contract';
import type { Clock, Log, Metrics } from '#kit';

export interface AdminProtocol {
  readonly name: string;
  readonly resources: readonly ResourceRow[];
  readonly instance: Pick<Instance, 'list' | 'actions'>;
}

export interface AdminListener {
  readonly name: string;
  readonly transport: string;
  readonly addresses: readonly { readonly address: string; readonly port: number }[];
  readonly connections: number;
}

/** An object store for older records, and what waits to go there. */
export interface AdminRemote {
  readonly bucket: string;
  readonly state: 'off' | 'ok' | 'away';
  readonly awaySinceMs: number | null;
  readonly reason: string;
  readonly objects: number;
  readonly bytes: number;
  readonly localBytes: number;
  readonly cacheBytes: number;
  readonly waitingObjects: number;
  readonly waitingBytes: number;
  readonly waitingDeletes: number;
  readonly missingObjects: number;
  readonly strayObjects: number;
}

/** How far a check of the disk is, and what it found. */
export interface AdminCheckStatus {
  readonly state: 'none' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Bytes that were read. */
  readonly bytes: number;
  readonly problems: readonly {
    readonly file: string;
    readonly position: number;
    readonly bytes: number;
    readonly what: string;
    readonly kind: string;
    readonly logId: number;
    readonly from: number;
    readonly to: number;
  }[];
  readonly reason: string;
}

export interface AdminCheck {
  start(bytesPerSecond: number): void;
  cancel(): Promise<void>;
  status(): AdminCheckStatus;
}

export interface AdminStorage {
  readonly health: string;
  /** What the last start found and did. */
  readonly report: {
    readonly milliseconds: number;
    readonly entriesReplayed: number;
    readonly tornBytes: number;
    readonly damaged: readonly {
      readonly logId: number;
      readonly from: number;
      readonly to: number;
      readonly file: string;
      readonly reason: string;
    }[];
  };
  usage(): Readonly<Record<string, number>>;
  readonly check: AdminCheck;
  /** The object store; null when the server has none and nothing of one. */
  remote(): AdminRemote | null;
  checkpoint(): Promise<void>;
}

export interface AdminBan {
  readonly kind: string;
  readonly value: string;
  readonly reason: string;
  readonly sinceMs: number;
  readonly untilMs: number | null;
}

/** Who may not come in. */
interface AdminBans {
  list(): Iterable<AdminBan>;
  add(ban: { kind: BanKind; value: string; reason?: string; forMs?: number }): AdminBan;
  lift(kind: BanKind, value: string): boolean;
}

export const BAN_KINDS = ['client', 'client-pattern', 'user', 'address', 'range'] as const;
export type BanKind = (typeof BAN_KINDS)[number];

/** Sends clients away, at a rate. */
interface AdminDrain {
  start(plan: { perSecond: number; reference: string }): Promise<void>;
  status(): { state: string; perSecond: number; sent: number; left: number };
}

export interface AdminContext {
  readonly broker: Broker;
  readonly storage: AdminStorage;
  readonly protocols: readonly AdminProtocol[];
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly serverId: string;
  listeners(): readonly AdminListener[];
  readonly bans: AdminBans;
  readonly drain: AdminDrain;
  /** Loads TLS files again; resolves with how many identities are new. @throws BrokerError */
  reloadTls(): Promise<number>;
  /** Reads the files of users and rules again; resolves with how many. @throws BrokerError */
  reloadAuth(): Promise<{ readonly users: number; readonly rules: number }>;
  /** `starting` until every listener is open, `stopping` from the first sign of the end. */
  phase(): 'starting' | 'ready' | 'stopping';
  /** Why a request must not be answered because of its Host or Origin, or null. */
  refusal(headers: IncomingHttpHeaders): string | null;
}
