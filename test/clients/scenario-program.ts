/**
 * The scenarios of one foreign client that run in one process: it prints `ok NAME` or
 * `failed NAME REASON` for each, and each is one test. Starting a JVM for each would take longer
 * than what it shows.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Program } from './program.ts';
import { HOST, type Server, startServer } from './server.ts';

/** Everybody may do everything but below `forbidden`, where each scenario hears its refusals. */
const RULES = 'topic readwrite #\ntopic deny forbidden/#\n';
const SCENARIO_TIMEOUT_MS = 90_000;

export interface ScenarioProgram {
  readonly client: string;
  readonly missing: string | null;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** By the name that the program prints: the title of the test. */
  readonly scenarios: Readonly<Record<string, string>>;
}

/** Runs `command ...args HOST PORT WEBSOCKET_PORT` against a server of its own. */
export function mqttScenarios(what: ScenarioProgram): void {
  describe(what.client, { skip: what.missing ?? false }, () => {
    let server: Server;
    let folder: string;
    let program: Program;

    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'mqtt-rules-'));
      const rules = path.join(folder, 'acl');
      await writeFile(rules, RULES);
      server = await startServer({ flags: ['--auth-mosquitto-acl-file', rules] });
      const ports = [server.ports.mqtt, server.ports['mqtt-ws']].map(String);
      program = new Program(what.command, [...what.args, HOST, ...ports], { env: what.env ?? {} });
    });
    after(async () => {
      await program.kill();
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    for (const [scenario, title] of Object.entries(what.scenarios)) {
      it(title, async () => {
        const ended = new RegExp(`^(ok|failed) ${scenario}( |$)`);
        const said = await program.line((line) => ended.test(line), SCENARIO_TIMEOUT_MS);
        assert.equal(said, `ok ${scenario}`);
      });
    }

    it(`${what.client}: no further scenario failed`, async () => {
      const { code } = await program.end(SCENARIO_TIMEOUT_MS);
      assert.equal(code, 0, program.lines.slice(-20).join('\n'));
    });
  });
}
