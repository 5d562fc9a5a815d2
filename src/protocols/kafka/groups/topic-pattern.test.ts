import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatternError } from './pattern-syntax.ts';
import { TopicPattern } from './topic-pattern.ts';

const NAMES = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abc',
  'orders',
  'orders.eu',
  'Orders-7',
  '__x',
  'a.b_c-d',
];

test('patterns match whole names as JavaScript does where both know the syntax K64', () => {
  const patterns = [
    ...['', 'a', 'a|b', 'a*b', '(?:a|b)+', 'a?b?c?', 'a{2}b', 'a{1,}b', '[a-c]+', '[^a]*', '.*'],
    ...['orders.*', 'orders\\..+', '^orders$', '\\w+', '\\w+\\.\\w+', '[\\w.-]+', '(a|ab)(c|bcd)?'],
    ...[
      '.*\\b-\\b.*',
      '\\Borders',
      'o(?:r(?:d)ers)',
      '(orders|orders\\.eu)',
      '[]a]b',
      '\\x61b',
      '.{3}',
    ],
    ...[
      '(a*)*',
      '(a+)+b',
      '((a|b)*)*c',
      '(?:)',
      'a|',
      '|a',
      '[.]',
      '[a\\-z]+',
      '\\D+',
      '[\\D]+',
      '{',
    ],
  ];
  for (const pattern of patterns) {
    // The one place where a bracket may come first differs.
    const theirs = new RegExp(`^(?:${pattern.replace('[]a]', '[\\]a]')})$`, 's');
    const ours = new TopicPattern(pattern);
    for (const name of NAMES) {
      assert.equal(ours.matches(name), theirs.test(name), `${pattern} on '${name}'`);
    }
  }
});

test("RE2's own syntax is known: flags, classes, names, quotes K64", () => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ['(?i)ORDERS', 'Orders', true],
    ['(?i:O)RDERS', 'orders', false],
    ['(?i)[a-f]+', 'ABC', true],
    ['(?i-i:x)', 'X', false],
    ['(?P<one>a)(?<two>b)', 'ab', true],
    ['[[:alpha:]]+', 'orders', true],
    ['[[:^alpha:]]+', '12', true],
    ['[[:digit:]_]+', '1_2', true],
    ['\\p{Lu}\\pL+', 'Orders', true],
    ['\\P{Lu}+', 'Orders', false],
    ['\\p{^Lu}+', 'orders', true],
    ['\\p{Latin}+', 'orders', true],
    ['\\Qa.b\\E.*', 'a.b_c-d', true],
    ['\\Qa.b', 'axb', false],
    ['\\Aorders\\z', 'orders', true],
    ['\\x{61}\\142', 'ab', true],
    ['ordé?rs', 'orders', false],
    ['a{,3}', 'a{,3}', true],
  ];
  for (const [pattern, name, matches] of cases) {
    assert.equal(new TopicPattern(pattern).matches(name), matches, `${pattern} on '${name}'`);
  }
});

test('what RE2 refuses is refused, and says where K64', () => {
  const bad = [
    ...[
      '(',
      ')',
      '[a',
      'a**',
      '*a',
      '+',
      'a{2}{3}',
      '(?=a)',
      '(?!a)',
      '(?<=a)',
      '(a)\\1',
      '\\',
      '\\k',
    ],
    ...['[z-a]', 'a{1001}', 'a{3,2}', '\\p{Nonsense}', '[[:nonsense:]]', '(?z)', '\\xZZ'],
    ...[`${'('.repeat(300)}${')'.repeat(300)}`, '((a{100}){100}){100}', '(a{1000}){1000}'],
  ];
  for (const pattern of bad) {
    assert.throws(() => new TopicPattern(pattern), PatternError, pattern);
  }
});

test('patterns that explode elsewhere take linear work K64', () => {
  for (const pattern of [
    '(a*)*b',
    '(a|a)*b',
    '(a|aa)+c',
    '(.*a){12}',
    '(a?){200}a{200}',
    '(\\w+\\.?)+!',
  ]) {
    const ours = new TopicPattern(pattern);
    ours.matches('a'.repeat(249));
    assert.ok(ours.work < 249 * 4000, `${pattern}: ${ours.work}`);
  }
  const learned = new TopicPattern('(a*)*b?');
  learned.matches('aaaa');
  const { work } = learned;
  learned.matches('aaaa');
  assert.ok(learned.work - work <= 4, 'what was learned is kept');
  // More states than are remembered.
  const wide = new TopicPattern('(a|b)*a(a|b){10}');
  for (let seed = 0; seed < 300; seed++) {
    const name = Array.from({ length: 40 }, (_, at) =>
      (seed * 31 + at * at * 7) % 5 < 2 ? 'a' : 'b',
    );
    assert.equal(wide.matches(name.join('')), name.at(-11) === 'a');
  }
});
