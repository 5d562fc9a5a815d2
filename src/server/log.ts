/**
 * The server's log: pino underneath, one line per event on standard error, as text for people or as
 * JSON. Lines of one kind (level, scope and message) are limited, so that a broken client in a loop
 * cannot fill the disk; what was left out is counted and told.
 */
import { pino } from 'pino';
import type { Clock, Log, LogFields } from '#kit';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  readonly clock: Clock;
  /** Takes whole lines. */
  readonly write: (line: string) => void;
}

/** Log lines of one kind in a window; more are counted only. */
const LINES_PER_WINDOW = 10;
/** Length of that window. */
const WINDOW_MS = 10_000;
/** Messages are constants of the code, so there are few; this bounds a mistake. */
const KINDS_MAX = 2_000;

export function openLog(options: LogOptions): Log {
  const { format, write, clock } = options;
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: format === 'json' ? write : (line: string) => write(textOf(line)) },
  );
  const limit = new RateLimit(clock);
  const levels = LOG_LEVELS.indexOf(options.level);
  const emit = (level: LogLevel, message: string, fields: LogFields): void => {
    if (LOG_LEVELS.indexOf(level) < levels) return;
    // Who asks for debug lines wants them all.
    const leftOut =
      level === 'debug' ? 0 : limit.take(`${level} ${fields['scope'] ?? ''} ${message}`);
    if (leftOut === null) return;
    root[level](leftOut === 0 ? fields : { ...fields, leftOut }, message);
  };
  return scoped({}, emit);
}

type Emit = (level: LogLevel, message: string, fields: LogFields) => void;

function scoped(fixed: LogFields, emit: Emit): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      emit(level, message, { ...fixed, ...fields });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => scoped({ ...fixed, ...fields }, emit),
  };
}

interface Window {
  sinceMs: number;
  lines: number;
  leftOut: number;
}

class RateLimit {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Null: leave this line out. Otherwise the number of lines left out since the last one. */
  take(kind: string): number | null {
    const now = this.#clock.monotonicMs();
    let window = this.#windows.get(kind);
    if (window === undefined) {
      if (this.#windows.size >= KINDS_MAX) this.#windows.clear();
      window = { sinceMs: now, lines: 0, leftOut: 0 };
      this.#windows.set(kind, window);
    } else if (now - window.sinceMs >= WINDOW_MS) {
      window.sinceMs = now;
      window.lines = 0;
    }
    if (window.lines >= LINES_PER_WINDOW) {
      window.leftOut++;
      return null;
    }
    window.lines++;
    const { leftOut } = window;
    window.leftOut = 0;
    return leftOut;
  }
}

/** `2026-01-31T12:00:00.000Z warn  mqtt     message  key=value` */
function textOf(line: string): string {
  const { level, time, scope, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const head = `${time} ${String(level).padEnd(5)} ${String(scope ?? 'server').padEnd(8)} ${msg}`;
  const shown = Object.entries(fields).map(([name, value]) => ` ${name}=${shownValue(value)}`);
  return `${head}${shown.length === 0 ? '' : ` ${shown.join('')}`}\n`;
}

/** Bare words stay bare; everything else is quoted, so that no client can forge a line. */
function shownValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@*+-]+$/.test(value) ? value : JSON.stringify(value);
}
