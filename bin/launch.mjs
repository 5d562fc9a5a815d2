/**
 * Runs a program of src/ with the Node it needs. Plain JavaScript that any Node from 20 on reads.
 * The pinned Node is an optional dependency; where there is none for the platform, a Node from 24
 * on serves as well. Where this process can become the program it does; only an old Node without
 * `execve` stays beside it as a parent.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureInstalled } from '../scripts/install.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
// Types are stripped and code is compiled once, not at every start: 0.3 s instead of 0.8 s of CPU.
const COMPILE_CACHE = path.join(ROOT, 'node_modules', '.cache', 'robustmq');
const OWN_IMPORTS = new URL('own-imports.mjs', import.meta.url).href;
const MAJOR_PINNED = 26;
const MAJOR_MIN = 24;
const FATAL_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * @param {string} program path below the root, such as `src/server/main.ts`
 * @param {{ countsSignals?: boolean }} [options] the program listens for messages
 *   `{ signal, signals }`
 */
export async function launch(program, { countsSignals = false } = {}) {
  const problem = ensureInstalled({ withDev: false });
  if (problem !== null) return fail(problem);
  const script = path.join(ROOT, program);
  const major = Number(process.versions.node.split('.', 1)[0]);
  if (major >= MAJOR_PINNED) return runHere(script);
  const node = pinnedNode();
  if (node === null && major >= MAJOR_MIN) return runHere(script);
  if (node === null) {
    return fail(
      `Node ${MAJOR_MIN} or later is needed on ${process.platform}-${process.arch}; ` +
        `this is Node ${process.versions.node}. Get one from https://nodejs.org/.`,
    );
  }
  const args = ['--import', OWN_IMPORTS, script, ...process.argv.slice(2)];
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
  if (typeof process.execve === 'function') process.execve(node, [node, ...args], process.env);
  else runBeside(node, args, countsSignals);
}

async function runHere(script) {
  process.argv[1] = script;
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? COMPILE_CACHE);
  await import(OWN_IMPORTS);
  await import(pathToFileURL(script).href);
}

/** The Node that npm placed in node_modules for this platform, or null. */
function pinnedNode() {
  const system = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${system}-${process.arch}`;
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  // Beside us in a clone; one or two folders up when we are a dependency ourselves.
  for (const up of ['node_modules', '..', '../node_modules']) {
    const node = path.join(ROOT, up, name, 'bin', file);
    if (existsSync(node)) return node;
  }
  return null;
}

/**
 * The server gets signals as messages with their count: when a terminal sends Ctrl-C to both
 * processes, it must not take one for two. When this process is killed, the channel breaks and the
 * server ends as well. Other programs get the signals themselves.
 */
function runBeside(node, args, countsSignals) {
  const stdio = ['inherit', 'inherit', 'inherit', ...(countsSignals ? ['ipc'] : [])];
  const child = spawn(node, args, { stdio });
  let signals = 0;
  for (const signal of FATAL_SIGNALS) {
    process.on(signal, () => {
      if (countsSignals && child.connected) child.send({ signal, signals: ++signals }, () => {});
      else child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`${node} cannot be run: ${error.message}.`));
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0);
  });
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}
