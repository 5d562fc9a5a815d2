/**
 * A foreign program as a child process: its output by lines, waiting for a line or for its end.
 * Each wait has a deadline and, when it passes, an error that shows what the program had said.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export const PATIENCE_MS = 20_000;

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. Absent: standard input is empty. */
  readonly input?: string | Buffer;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly text: string;
  readonly stderr: string;
}

interface Waiter {
  readonly wanted: (line: string) => boolean;
  readonly found: (line: string) => void;
}

export class Program {
  readonly lines: string[] = [];
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #title: string;
  readonly #stdout: Buffer[] = [];
  readonly #waiters = new Set<Waiter>();
  #stderr = '';

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    this.#title = `${command.split('/').at(-1)} ${args.join(' ')}`.slice(0, 200);
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: 'pipe',
    });
    this.#child = child;
    child.stdin.on('error', () => {}); // The program may end before it read its input.
    child.stdin.end(options.input);
    child.stdout.on('data', (chunk: Buffer) => this.#stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#see(line));
    }
    this.finished = this.#watchEnd();
    this.finished.catch(() => {}); // Whoever awaits it gets the error.
  }

  /** The first line, already printed or still to come, for which `wanted` holds. */
  async line(wanted: (line: string) => boolean, timeoutMs = PATIENCE_MS): Promise<string> {
    const past = this.lines.find(wanted);
    if (past !== undefined) return past;
    const { promise, resolve } = Promise.withResolvers<string>();
    const waiter = { wanted, found: resolve };
    this.#waiters.add(waiter);
    try {
      const ended = this.finished.then(() => Promise.reject(this.#complaint('ended without')));
      return await deadline(
        Promise.race([promise, ended]),
        timeoutMs,
        () => this.#complaint('did not print').message,
      );
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** Waits for the end; any exit code is an answer. */
  end(timeoutMs = PATIENCE_MS): Promise<Finished> {
    return deadline(this.finished, timeoutMs, () => this.#complaint('did not end').message).catch(
      (error: unknown) => {
        this.#child.kill('SIGKILL');
        throw error;
      },
    );
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.finished.catch(() => {});
  }

  async #watchEnd(): Promise<Finished> {
    const [code, signal] = await once(this.#child, 'close');
    const stdout = Buffer.concat(this.#stdout);
    return { code, signal, stdout, text: stdout.toString(), stderr: this.#stderr };
  }

  #see(line: string): void {
    this.lines.push(line);
    for (const waiter of this.#waiters) {
      if (waiter.wanted(line)) waiter.found(line);
    }
  }

  #complaint(what: string): Error {
    const said = this.lines.slice(-20).join('\n');
    return new Error(`${this.#title} ${what} the expected within its time. It said:\n${said}`);
  }
}

/** mosquitto_sub with its output by lines: into a pipe it would keep it back until it ends. */
export function mosquittoSub(args: readonly string[]): Program {
  return new Program('stdbuf', ['-oL', 'mosquitto_sub', ...args]);
}

/** Runs a program to its end and expects exit code 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: ProgramOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  const program = new Program(command, args, options);
  const finished = await program.end(options.timeoutMs);
  if (finished.code !== 0) {
    const how = finished.signal ?? `code ${finished.code}`;
    const output = `${finished.text}${finished.stderr}`.slice(-4000);
    throw new Error(`${command} ${args.join(' ')} ended with ${how}:\n${output}`);
  }
  return finished;
}

/** Rejects with `sentence()` when the promise takes longer. The timer does not outlive it. */
export async function deadline<T>(
  promise: Promise<T>,
  timeoutMs: number,
  sentence: () => string,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${sentence()} (${timeoutMs} ms)`)), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
