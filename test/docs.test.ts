/** The reference pages say what the source says, and no link leads nowhere. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { conformancePages } from '../scripts/conformance.ts';
import { referencePages } from '../scripts/docs.ts';
import { protocols } from '../src/protocols/index.ts';
import { ROOT, readFiles } from './source-files.ts';

function assertCurrent(pages: ReadonlyMap<string, string>, command: string): void {
  for (const [file, text] of pages) {
    const full = path.join(ROOT, file);
    assert.ok(existsSync(full), `${file} is missing: run \`${command}\``);
    assert.equal(readFileSync(full, 'utf8'), text, `${file} is not current: run \`${command}\``);
  }
}

test('docs/errors.md, options.md and limits.md are what the source says', () => {
  const pages = referencePages();
  assert.equal(pages.size, 3);
  assertCurrent(pages, 'node scripts/docs.ts');
});

test('the conformance pages are what the test titles say', () => {
  const pages = conformancePages();
  assert.ok(pages.size >= 10);
  assertCurrent(pages, 'node scripts/docs.ts');
});

test('every protocol has its page', () => {
  for (const { name } of protocols) {
    assert.ok(
      existsSync(path.join(ROOT, `docs/protocols/${name}.md`)),
      `docs/protocols/${name}.md`,
    );
  }
});

/** The names that GitHub gives to headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

/** Why a relative link of a page leads nowhere; null when it leads somewhere. */
function brokenLink(file: string, target: string): string | null {
  const [place = '', anchor] = target.split('#');
  const full = place === '' ? path.join(ROOT, file) : path.join(ROOT, path.dirname(file), place);
  if (!existsSync(full)) return `${file}: ${target} is not there`;
  if (anchor === undefined || !full.endsWith('.md')) return null;
  return anchorsOf(readFileSync(full, 'utf8')).has(anchor)
    ? null
    : `${file}: ${target} has no such heading`;
}

test('relative links lead somewhere', () => {
  const pages = readFiles('{*.md,{docs,bench,test}/**/*.md}');
  assert.ok(pages.length > 10, `only ${pages.length} pages were read`);
  const broken = pages.flatMap(({ file, text }) => {
    const prose = text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/`[^`\n]*`/g, '');
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/i.test(target))
      .map((target) => brokenLink(file, decodeURIComponent(target)))
      .filter((why) => why !== null);
  });
  assert.deepEqual(broken, []);
});
