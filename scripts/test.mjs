/**
 * The whole test suite: `node scripts/test.mjs [--full] [--only group,group]`. Plain JavaScript
 * that any Node from 20 on can start: the pinned Node runs everything that matters. Ends with one
 * line of counts; with CI=true a skipped test is a failure. `--full` runs the long tier too and
 * writes docs/test-report.md.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs, { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const SCRATCH = path.join(ROOT, '.cache', 'test');
const GROUP_TIMEOUT_MS = 15 * 60_000;
const TEST_TIMEOUT_MS = 5 * 60_000;
/** How much longer things may take in the full tier. */
const FULL_FACTOR = 8;

reexecute();

const full = process.argv.includes('--full');
const only = argument('--only')?.split(',');
const patience = full ? FULL_FACTOR : 1;
const strict = process.env.CI === 'true';
const startedAt = performance.now();

/**
 * The groups, in order. Those marked `beside` run at the same time as the first ones, on the second
 * core. Where a server and its clients are processes, two files run at a time, or one (`alone`).
 * The full tier only runs what is `long`.
 */
const GROUPS = [
  { name: 'types', command: ['tsc'] },
  { name: 'lint', command: ['biome', 'check', '--error-on-warnings'] },
  {
    name: 'unit',
    isolation: 'none',
    files: [
      'src/!(protocols|storage)/**/*.test.ts',
      'test/*.test.ts',
      'test/contract/**/*.test.ts',
      'scripts/*.test.ts',
    ],
  },
  // A process of its own: some of these measure memory.
  { name: 'storage', isolation: 'none', files: ['src/storage/**/*.test.ts'] },
  { name: 'protocols', beside: true, isolation: 'none', files: ['src/protocols/**/*.test.ts'] },
  // The same once more, with slots that belong to two owners.
  {
    name: 'two-owners',
    isolation: 'none',
    long: true,
    env: { TEST_OWNERS: '2' },
    files: ['src/protocols/**/*.test.ts', 'test/contract/**/*.test.ts'],
  },
  { name: 'fuzz', isolation: 'none', files: ['test/fuzz/**/*.test.ts'] },
  { name: 'simulation', isolation: 'none', files: ['test/simulation/**/*.test.ts'] },
  { name: 'bench', isolation: 'none', files: ['bench/**/*.test.ts'] },
  { name: 'faults', alone: true, files: ['test/faults/**/*.test.ts'] },
  { name: 'clients', toolchains: true, files: ['test/clients/**/*.test.ts'] },
  { name: 'crossing', toolchains: true, files: ['test/crossing/**/*.test.ts'] },
  { name: 'object-store', toolchains: true, files: ['test/object-store/**/*.test.ts'] },
  { name: 'overload', alone: true, files: ['test/overload/**/*.test.ts'] },
  { name: 'bad-input', alone: true, files: ['test/bad-input/**/*.test.ts'] },
  { name: 'crash', alone: true, files: ['test/crash/**/*.test.ts'] },
  { name: 'bank', alone: true, long: true, toolchains: true, files: ['test/bank/**/*.test.ts'] },
  { name: 'power-cut', alone: true, long: true, files: ['test/power-cut/**/*.test.ts'] },
];

mkdirSync(SCRATCH, { recursive: true });
const groups = GROUPS.filter(
  (group) => (only === undefined || only.includes(group.name)) && (full || !group.long),
);
// Foreign toolchains install while the checks and unit tests run; later groups wait for them.
const installing = groups.some((group) => group.toolchains) ? installToolchains() : null;
const results = [];
const beside = groups.filter((group) => group.beside).map(runGroup);
for (const group of groups.filter((each) => !each.beside)) {
  // What talks to a server has both cores for itself.
  if (group.toolchains || group.alone) await Promise.all([installing, ...beside]);
  await runGroup(group);
}
await Promise.all(beside);
const toolchains = await installing;
finish();

/** Starts the same script again under the pinned Node when another one runs it. */
function reexecute() {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  const pinned = path.join(ROOT, 'node_modules', name, 'bin', binary);
  if (process.env.TEST_PINNED_NODE !== undefined || !existsSync(pinned)) {
    if (Number(process.versions.node.split('.')[0]) >= 24) return;
    console.error(
      `Node ${process.version} is too old to run the tests and ${name} is not installed.`,
    );
    process.exit(1);
  }
  const environment = { ...process.env, TEST_PINNED_NODE: pinned };
  const { status } = spawnSync(pinned, process.argv.slice(1), {
    stdio: 'inherit',
    env: environment,
  });
  process.exit(status ?? 1);
}

async function runGroup(group) {
  const result = group.command ? await check(group) : await runTests(group);
  results.push(result);
  print(result);
}

/** A checker of the source as a whole: one passed or one failed. */
async function check(group) {
  const [tool, ...args] = group.command;
  const { code, output, seconds } = await execute(bin(tool), args);
  const ok = code === 0;
  if (!ok) console.log(output);
  return {
    name: group.name,
    seconds,
    passed: ok ? 1 : 0,
    failed: ok ? 0 : 1,
    skipped: 0,
    skips: [],
    failures: ok ? [] : [group.command.join(' ')],
  };
}

async function runTests(group) {
  const files = group.files.flatMap((pattern) => fs.globSync(pattern, { cwd: ROOT })).sort();
  const empty = { passed: 0, failed: 0, skipped: 0, skips: [], failures: [] };
  if (files.length === 0) return { name: group.name, seconds: 0, ...empty };
  const tally = path.join(SCRATCH, `${group.name}.json`);
  rmSync(tally, { force: true });
  const args = ['--test', `--test-reporter=${path.join(ROOT, 'scripts', 'test-reporter.mjs')}`];
  args.push(`--test-timeout=${TEST_TIMEOUT_MS * patience}`);
  args.push(`--test-isolation=${group.isolation ?? 'process'}`);
  if (group.isolation === undefined) args.push(`--test-concurrency=${group.alone ? 1 : 2}`);
  const { code, seconds } = await execute(process.execPath, [...args, ...files], {
    show: true,
    env: { ...group.env, TEST_TALLY: tally, TEST_TIER: full ? 'full' : 'fast' },
  });
  const counts = existsSync(tally)
    ? JSON.parse(readFileSync(tally, 'utf8'))
    : { ...empty, failed: 1, failures: [`${group.name} did not run to its end`] };
  // The runner saw a failure that no test explains: a crash while a file was loaded, for example.
  if (code !== 0 && counts.failed === 0) {
    counts.failed = 1;
    counts.failures.push(`${group.name} ended with code ${code}`);
  }
  return { name: group.name, seconds, ...counts };
}

async function installToolchains() {
  const script = path.join(ROOT, 'test', 'clients', 'toolchains', 'install.ts');
  if (!existsSync(script)) return '';
  const env = { TEST_TIER: full ? 'full' : 'fast' };
  const { output } = await execute(process.execPath, [script], { env });
  return output.trim();
}

/** Runs a command in the project's folder; its output is shown as it comes, or returned. */
function execute(command, args, { show = false, env = {} } = {}) {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), GROUP_TIMEOUT_MS * patience);
    child.on('error', (error) => {
      output += error.message;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output, seconds: (performance.now() - began) / 1000 });
    });
  });
}

function bin(tool) {
  const suffix = process.platform === 'win32' ? '.cmd' : '';
  return path.join(ROOT, 'node_modules', '.bin', `${tool}${suffix}`);
}

function argument(name) {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

function print({ name, passed, failed, skipped, seconds }) {
  const skips = skipped > 0 ? `, ${skipped} not run` : '';
  console.log(`${name.padEnd(12)}${passed} ok, ${failed} not ok${skips} (${seconds.toFixed(1)} s)`);
}

function finish() {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) {
    for (const key of Object.keys(total)) total[key] += result[key];
  }
  for (const { failures } of results) {
    for (const failure of failures) console.log(`FAILED  ${failure}`);
  }
  for (const { skips } of results) {
    for (const skip of skips)
      console.log(`${strict ? 'SKIPPED (a failure here)' : 'skipped'}  ${skip}`);
  }
  if (full) writeReport(total);
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  console.log(`in ${minutes} minutes, ${full ? 'full' : 'fast'} tier`);
  // A skip counts as a failure where nothing may be missing.
  if (strict) {
    total.failed += total.skipped;
    total.skipped = 0;
  }
  const skips = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skips}`);
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

function writeReport(total) {
  const cpus = os.cpus();
  const rows = results.map(
    ({ name, passed, failed, skipped, seconds }) =>
      `| ${name} | ${passed} | ${failed} | ${skipped} | ${seconds.toFixed(1)} |`,
  );
  const listed = (title, items) =>
    items.length === 0 ? [] : ['', `## ${title}`, '', ...items.map((item) => `- ${item}`)];
  const lines = [
    '# Test report of the full tier',
    '',
    'Written by `npm run test:full`; do not edit.',
    '',
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    `- Machine: ${cpus.length} x ${cpus[0]?.model ?? 'unknown'}, ${gigabytes(os.totalmem())} GB, ${os.type()} ${os.release()}`,
    `- Node ${process.version}`,
    `- Result: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`,
    '',
    '| group | passed | failed | skipped | seconds |',
    '|---|---|---|---|---|',
    ...rows,
    ...listed('Clients', clientVersions()),
    ...listed(
      'Failed',
      results.flatMap((result) => result.failures),
    ),
    ...listed(
      'Skipped',
      results.flatMap((result) => result.skips),
    ),
    '',
  ];
  writeFileSync(path.join(ROOT, 'docs', 'test-report.md'), lines.join('\n'));
}

function clientVersions() {
  const { devDependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const names = ['amqplib', 'kafkajs', 'mqtt', 'nats'];
  const node = names.map((name) => `${name} ${devDependencies[name]}`).join(', ');
  const foreign = (toolchains ?? '').split('\n').filter((line) => line !== '');
  return [`Node.js: ${node}`, ...foreign.map((line) => line.replace(/ \([^)]* s\)/, ''))];
}

function gigabytes(bytes) {
  return Math.round(bytes / 1024 ** 3);
}
