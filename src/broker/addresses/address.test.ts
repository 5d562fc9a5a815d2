import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  flatAddress,
  levelCodecs,
  plainDotSpelling,
  slashSpelling,
  strictDotSpelling,
} from './address.ts';

const nasty = fc.string({
  unit: fc.constantFrom(
    'a',
    'B',
    '.',
    '/',
    '%',
    '2',
    '5',
    'E',
    'F',
    '0',
    '3',
    'A',
    '*',
    '>',
    '+',
    '#',
    ' ',
    '$',
    'é',
    '\t',
  ),
  maxLength: 12,
});

describe('spellings of addresses', () => {
  for (const [name, codec] of Object.entries(levelCodecs)) {
    it(`${name}: decode(encode(x)) is x for every level X2`, () => {
      fc.assert(
        fc.property(nasty, (level) => assert.equal(codec.decode(codec.encode(level)), level)),
        { numRuns: 20_000 },
      );
    });
  }

  it('encode(decode(y)) is y for every legal native level X2', () => {
    const legal = {
      slash: (y: string) => !/[/+#\0]/.test(y),
      strictDot: (y: string) => y !== '' && y !== '*' && y !== '>' && !/[.\s]/.test(y),
      plainDot: (y: string) => !y.includes('.'),
    };
    for (const name of ['slash', 'strictDot', 'plainDot'] as const) {
      fc.assert(
        fc.property(nasty.filter(legal[name]), (y) =>
          assert.equal(levelCodecs[name].encode(levelCodecs[name].decode(y)), y),
        ),
        { numRuns: 20_000 },
      );
    }
  });

  it('an encoded level is never a wildcard and never a separator X2', () => {
    fc.assert(
      fc.property(nasty, (level) => {
        const strict = levelCodecs.strictDot.encode(level);
        assert.ok(strict !== '' && strict !== '*' && strict !== '>' && !/[.\s]/.test(strict));
        assert.ok(!/[/+#]/.test(levelCodecs.slash.encode(level)));
      }),
      { numRuns: 20_000 },
    );
  });

  it('whole addresses of several levels cross and come back X2', () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 2, maxLength: 4 }), (levels) => {
        const text = levels.map((level) => levelCodecs.slash.encode(level)).join('/');
        const address = slashSpelling.parse(text);
        for (const spelling of [strictDotSpelling, plainDotSpelling]) {
          const back = spelling.parse(spelling.show(address));
          assert.equal(back.text, text);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('a flat name is shown by its dots, a dot inside a longer address is escaped', () => {
    assert.equal(strictDotSpelling.show(flatAddress('a.b.c')), 'a.b.c');
    assert.equal(plainDotSpelling.show(flatAddress('a.b.c')), 'a.b.c');
    assert.equal(strictDotSpelling.show(slashSpelling.parse('x/a.b')), 'x.a%2Eb');
    assert.equal(slashSpelling.show(strictDotSpelling.parse('a.b/c.d')), 'a/b%2Fc/d');
    assert.equal(strictDotSpelling.show(slashSpelling.parse('a//b c/*')), 'a.%00.b%20c.%2A');
  });

  it('a flat name of another protocol with a slash is one level', () => {
    const address = flatAddress('tasks/mail');
    assert.equal(address.text, 'tasks%2Fmail');
    assert.equal(address.flatName, 'tasks/mail');
    assert.ok(address.flat);
  });

  it('only a dotted address without inner dots has a flat alias', () => {
    assert.equal(strictDotSpelling.parse('a.b.c').flatName, 'a.b.c');
    assert.equal(strictDotSpelling.parse('a.b%2Ec').flatName, null);
    assert.equal(slashSpelling.parse('a/b/c').flatName, null);
  });
});
