/**
 * `$SYS`: published to who subscribed, every interval and only when there is somebody, and shown to
 * a new subscription at once. Nothing of it is stored. The addresses begin with `$`, so wildcards
 * at the first level do not see them [MQTT-4.7.2-1]; that nobody else publishes there is seen to by
 * `own-topics.ts`.
 */
import { matches, type Pattern, SERVER_PRINCIPAL, type Target } from '#broker';
import type { Host } from '#contract';
import type { Timer } from '#kit';
import type { Room } from '../room.ts';
import type { Feature } from './feature.ts';
import { ownMessage, ownTarget, tell } from './server-message.ts';
import { LOADS, newLoads, type SysRow, type SysSource, sysRows } from './sys-values.ts';

interface Place {
  readonly row: SysRow;
  readonly target: Target;
  readonly levels: readonly string[];
}

/** The name of this server in EMQX's part of the tree. */
export function nodeName(host: Host): string {
  return `robustmq@${host.serverId.replaceAll(/[/+#]/g, '_')}`;
}

export class SysTree implements Feature {
  readonly actions = [];
  readonly #room: Room;
  readonly #intervalMs: number;
  readonly #source: SysSource;
  readonly #loads = newLoads();
  readonly #places: readonly Place[];
  readonly #alarm: { readonly on: Target; readonly off: Target };
  readonly #unwatch: () => void;
  #timer: Timer | null = null;
  #tickedMs: number;

  constructor(room: Room, host: Host) {
    this.#room = room;
    this.#intervalMs = room.options.sysInterval;
    const node = nodeName(host);
    this.#tickedMs = room.monotonicMs();
    const maxima = { connections: 0, sessions: 0, heap: 0 };
    const startedMs = this.#tickedMs;
    this.#source = { room, host, node, startedMs, loads: this.#loads, maxima };
    const rows = this.#intervalMs > 0 ? sysRows(node) : [];
    this.#places = rows.map((row) => {
      const target = ownTarget(room.broker, row.topic);
      return { row, target, levels: row.topic.split('/') };
    });
    const alarms = `$SYS/brokers/${node}/alarms`;
    this.#alarm = {
      on: ownTarget(room.broker, `${alarms}/activate`),
      off: ownTarget(room.broker, `${alarms}/deactivate`),
    };
    this.#unwatch = room.broker.onHealth((health, reason) => this.#health(health, reason));
    if (this.#intervalMs > 0) this.#arm();
  }

  /** What a new subscription to a part of the tree gets at once. */
  *retained(pattern: Pattern): Generator<ReturnType<typeof ownMessage>> {
    if (pattern.parts[0] !== '$SYS') return;
    for (const { row, target, levels } of this.#places) {
      if (!matches(pattern, levels)) continue;
      const message = ownMessage(target, String(row.read(this.#source)), true);
      message.appendTimeMs = this.#room.nowMs();
      yield message;
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#unwatch();
  }

  #arm(): void {
    this.#timer = this.#room.timers.after(this.#intervalMs, () => this.#tick());
  }

  #tick(): void {
    this.#arm();
    const nowMs = this.#room.monotonicMs();
    const passedMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    this.#measure(passedMs);
    for (const { row, target } of this.#places) {
      tell(this.#room.broker, target, () => String(row.read(this.#source)), true);
    }
  }

  #measure(passedMs: number): void {
    const { maxima, room } = this.#source;
    maxima.connections = Math.max(maxima.connections, room.metrics.connections.value);
    maxima.sessions = Math.max(maxima.sessions, room.metrics.sessions.value);
    maxima.heap = Math.max(maxima.heap, process.memoryUsage().heapUsed);
    for (const [name, load] of this.#loads) load.tick(LOADS[name]!(this.#source), passedMs);
  }

  #health(health: string, reason: string): void {
    if (this.#intervalMs === 0 || this.#room.closing) return;
    const activated = health !== 'ok';
    const { broker } = this.#room;
    const target = activated ? this.#alarm.on : this.#alarm.off;
    if (!broker.wanted(target, SERVER_PRINCIPAL)) return;
    const at = this.#room.nowMs();
    const text = JSON.stringify({ name: 'storage', activated, details: { health, reason }, at });
    broker.publish(ownMessage(target, text, false), target, null, 0);
  }
}
