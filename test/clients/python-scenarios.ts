/** Runs the scenarios of one Python client, each in a process of its own, as one test each. */
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from './program.ts';
import { HOST, type ListenerName, type Server, startServer } from './server.ts';
import { python, ready } from './toolchains/index.ts';

const PROGRAMS = path.join(import.meta.dirname, 'programs', 'python');
const SCENARIO_TIMEOUT_MS = 90_000;

export type Scenarios = Readonly<Record<string, string>>;

/** Scenarios: name of the function in the program, and the title of the test. */
export async function pythonClient(
  client: string,
  program: string,
  listener: ListenerName,
  scenarios: Scenarios,
): Promise<void> {
  const { folder, missing } = await ready(python);
  describe(client, { skip: missing ?? false }, () => {
    let server: Server;
    before(async () => {
      server = await startServer();
    });
    after(() => server[Symbol.asyncDispose]());
    for (const [scenario, title] of Object.entries(scenarios)) {
      it(title, async () => {
        const port = String(server.ports[listener]);
        await runPython(folder ?? '', program, [HOST, port, scenario]);
      });
    }
  });
}

export function runPython(folder: string, program: string, args: readonly string[]) {
  return run('python3', pythonArguments(program, args), {
    env: pythonEnvironment(folder),
    timeoutMs: SCENARIO_TIMEOUT_MS,
  });
}

export function pythonArguments(program: string, args: readonly string[]): string[] {
  return ['-B', path.join(PROGRAMS, program), ...args];
}

export function pythonEnvironment(folder: string): Record<string, string> {
  return { PYTHONPATH: folder, PYTHONUNBUFFERED: '1' };
}
