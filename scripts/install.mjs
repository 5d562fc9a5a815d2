/**
 * Makes sure that node_modules is what package-lock.json says, and does nothing when it is: run
 * before `npm start` and `npm test`. Plain JavaScript for any Node from 20 on, because it is what
 * brings the pinned Node. No install script of any package runs.
 *
 *   node scripts/install.mjs             everything
 *   node scripts/install.mjs --omit=dev  what the server needs
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.resolve(
  import.meta.dirname ?? path.dirname(fileURLToPath(import.meta.url)),
  '..',
);
const LOCK = path.join(ROOT, 'package-lock.json');
const MODULES = path.join(ROOT, 'node_modules');
const STAMP = path.join(MODULES, '.robustmq-installed.json');

/**
 * @param {{ withDev: boolean }} wanted
 * @returns {string | null} what went wrong, as a sentence
 */
export function ensureInstalled({ withDev }) {
  // Installed from the registry as a package: npm has placed the dependencies beside it.
  if (!existsSync(LOCK)) return null;
  const lock = readFileSync(LOCK);
  const state = createHash('sha256')
    .update(lock)
    .update(process.platform + process.arch);
  const digest = state.digest('hex');
  if (isStamped(digest, withDev)) return null;
  if (isLink(MODULES)) {
    return (
      `${MODULES} is a symbolic link: installing would empty what it leads to, so nothing was ` +
      'done. Remove the link, or install where it leads to.'
    );
  }
  if (!isComplete(JSON.parse(lock.toString()), withDev)) {
    const problem = install(withDev);
    if (problem !== null) return problem;
  }
  writeFileSync(STAMP, `${JSON.stringify({ digest, withDev })}\n`);
  return null;
}

/** npm removes what is in the folder first, also behind a link that somebody else's copy needs. */
function isLink(file) {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function isStamped(digest, withDev) {
  try {
    const stamp = JSON.parse(readFileSync(STAMP, 'utf8'));
    return stamp.digest === digest && (stamp.withDev || !withDev);
  } catch {
    return false;
  }
}

/** Somebody ran npm by hand: its own record of node_modules then agrees with the lock file. */
function isComplete(lock, withDev) {
  let installed;
  try {
    const record = readFileSync(path.join(MODULES, '.package-lock.json'), 'utf8');
    installed = JSON.parse(record).packages;
  } catch {
    return false;
  }
  return Object.entries(lock.packages).every(([name, wanted]) => {
    if (name === '' || wanted.optional || (wanted.dev && !withDev)) return true;
    return installed[name]?.version === wanted.version && existsSync(path.join(ROOT, name));
  });
}

function install(withDev) {
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (!withDev) flags.push('--omit=dev');
  process.stderr.write('Installing dependencies …\n');
  if (npm(['ci', ...flags]) === 0) return null;
  // The lock file does not fit package.json, as in the middle of a change.
  if (npm(['install', '--no-save', ...flags]) === 0) return null;
  return `npm could not install the dependencies; "npm ci --ignore-scripts" in ${ROOT} says why.`;
}

function npm(args) {
  const options = { cwd: ROOT, stdio: ['ignore', 2, 2] };
  const script = process.env.npm_execpath;
  // Under npm: the same npm, run by the Node that runs it, not by one that is about to be replaced.
  if (script !== undefined && /npm-cli\.c?js$/.test(script)) {
    const node = process.env.npm_node_execpath ?? process.execPath;
    return spawnSync(node, [script, ...args], options).status;
  }
  const windows = process.platform === 'win32';
  return spawnSync(windows ? 'npm.cmd' : 'npm', args, { ...options, shell: windows }).status;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const problem = ensureInstalled({ withDev: !process.argv.includes('--omit=dev') });
  if (problem !== null) {
    process.stderr.write(`${problem}\n`);
    process.exitCode = 1;
  }
}
