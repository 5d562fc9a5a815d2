/** Java programs that run for long: Kafka Streams, Connect, MirrorMaker 2. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Program, run } from './program.ts';

const PROGRAMS = path.join(import.meta.dirname, 'programs/java');
const COMPILE_TIMEOUT_MS = 60_000;
const SHOWN_LINES = 30;

export interface Start {
  readonly main: string;
  readonly args: readonly string[];
  readonly heapMb: number;
  /** Names of loggers that tell more than warnings. */
  readonly tell?: readonly string[];
}

/**
 * A folder for what Java programs leave behind (killed ones do not remove the native libraries that
 * they unpacked), and all that was started, which ends with it.
 */
export class Jvm {
  readonly folder: string;
  readonly #libraries: string;
  readonly #classes: string;
  readonly #temporary: string;
  readonly #started: Program[] = [];

  private constructor(folder: string, libraries: string) {
    this.folder = folder;
    this.#libraries = libraries;
    this.#classes = path.join(folder, 'classes');
    this.#temporary = path.join(folder, 'tmp');
  }

  static async open(libraries: string): Promise<Jvm> {
    const jvm = new Jvm(await mkdtemp(path.join(tmpdir(), 'robustmq-java-')), libraries);
    await mkdir(jvm.#temporary);
    return jvm;
  }

  /** Compiles one of the programs of the tests, for more than one start of it. */
  async compile(source: string): Promise<void> {
    const from = ['-cp', path.join(this.#libraries, '*'), path.join(PROGRAMS, source)];
    const args = ['-proc:none', '-d', this.#classes, ...from];
    await run('javac', args, { timeoutMs: COMPILE_TIMEOUT_MS });
  }

  start({ main, args, heapMb, tell = [] }: Start): Program {
    const quickStart = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];
    const log = 'org.slf4j.simpleLogger';
    const logging = [
      `-D${log}.defaultLogLevel=warn`,
      ...tell.map((name) => `-D${log}.log.${name}=info`),
    ];
    const program = new Program('java', [
      ...quickStart,
      `-Xmx${heapMb}m`,
      `-Djava.io.tmpdir=${this.#temporary}`,
      ...logging,
      ...['-cp', `${path.join(this.#libraries, '*')}${path.delimiter}${this.#classes}`],
      main,
      ...args,
    ]);
    this.#started.push(program);
    return program;
  }

  /** Waits for what the programs do elsewhere; when it fails, the error shows what they said. */
  async watch<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      const said = this.#started.map(({ lines }) => lines.slice(-SHOWN_LINES).join('\n'));
      throw new Error(`${String(error)}\n${said.join('\n---\n')}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((program) => program.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }
}
