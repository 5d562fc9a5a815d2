import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mappedName, nameRules } from './name-rules.ts';

test('the first rule that fits the whole name makes the user K74 M154', () => {
  const rules =
    'RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,' +
    'RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L, RULE:.*CN=([^,]+).*/$1/U , DEFAULT';
  for (const [name, user] of [
    ['CN=serviceuser,OU=ServiceUsers,O=Unknown,C=Unknown', 'serviceuser'],
    ['CN=Robot-7,OU=Line 7,O=Plant', 'robot-7@line 7'],
    ['O=Plant,CN=duke', 'DUKE'],
    ['C=Unknown', 'C=Unknown'],
  ] as const) {
    assert.equal(mappedName(name, rules), user);
  }
});

test('a name that no rule fits is nobody, without rules it stays K74', () => {
  assert.equal(mappedName('robot', ''), 'robot');
  assert.equal(mappedName(null, 'DEFAULT'), null);
  assert.equal(mappedName('CN=a,CN=b', 'RULE:^CN=(\\w)$/$1/'), null);
  assert.equal(mappedName('CN=a', 'RULE:^CN=a$//'), null, 'nor is an empty one somebody');
  assert.equal(mappedName('a/b', 'RULE:^(\\w)\\/(\\w)$/$2$$1/'), 'b$a');
});

test('what is no rule is refused with the part that is wrong K74', () => {
  for (const text of ['nonsense', 'RULE:a/b', 'DEFAULT DEFAULT', 'RULE:(/x/', 'DEFAULT,RULE:a/']) {
    assert.throws(() => nameRules(text), { code: 'bad-configuration' }, text);
  }
});
