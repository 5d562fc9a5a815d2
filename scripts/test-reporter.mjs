/**
 * A reporter for node:test: prints failures and skips as they come, one line per file, and writes
 * the counts to the file named by TEST_TALLY, so that several runs can be added up. It prints
 * no summary of its own.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';

const ROOT = path.resolve(import.meta.dirname ?? '.', '..');

/** @param {AsyncIterable<{ type: string, data: any }>} source */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from its default export
export default async function* report(source) {
  const tally = { passed: 0, failed: 0, skipped: 0, skips: [], failures: [] };
  for await (const { type, data } of source) {
    if (type === 'test:pass' || type === 'test:fail') {
      const line = count(tally, type, data);
      if (line !== '') yield line;
    } else if (type === 'test:stderr' || type === 'test:stdout') {
      if (process.env.TEST_OUTPUT === '1') yield data.message;
    }
  }
  writeFileSync(process.env.TEST_TALLY, JSON.stringify(tally));
}

function count(tally, type, data) {
  const suite = data.details?.type === 'suite';
  const where = data.file ? path.relative(ROOT, data.file) : '';
  if (data.skip !== undefined || data.todo !== undefined) {
    tally.skipped++;
    const reason =
      typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason given';
    tally.skips.push(`${data.name}: ${reason}`);
    return `  skipped  ${data.name}: ${reason}\n`;
  }
  if (type === 'test:pass') {
    if (!suite && !isFile(data)) tally.passed++;
    return '';
  }
  // A suite fails when a test in it does: that one is counted. Only its own hooks are its own
  // fault.
  const kind = data.details?.error?.failureType;
  if (suite && kind === 'subtestsFailed') return '';
  if (isFile(data) && kind === 'subtestsFailed') return '';
  tally.failed++;
  tally.failures.push(`${where}: ${data.name}`);
  // Its suite could not begin or went on without it; the suite says why.
  if (kind === 'cancelledByParent') return '';
  const cause = data.details?.error?.cause ?? data.details?.error;
  const text = typeof cause === 'string' ? cause : inspect(cause, { depth: 4 });
  const indented = text.split('\n').slice(0, 60).join('\n    ');
  return `  FAILED  ${where}${data.line ? `:${data.line}` : ''}  ${data.name}\n    ${indented}\n`;
}

/** With a process per file, each file is reported as a test too. */
function isFile(data) {
  return data.nesting === 0 && data.name.endsWith('.ts') && data.name.includes(path.sep);
}
