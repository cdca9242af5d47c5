import { expect, test } from 'vitest';
import { z } from 'zod';
import { UnderpassError } from '../../../src/errors.ts';
import { formatPath, parseYaml, readYamlFile } from '../../../src/tunnel/config/yaml-file.ts';
import { thrownBy } from '../../support/errors.ts';
import { Random } from '../../support/random.ts';
import { temporaryFile, temporaryFolder } from '../../support/temporary.ts';

const schema = z.strictObject({
  name: z.string().optional(),
  deep: z.strictObject({ port: z.int().min(1).optional(), list: z.array(z.string()).optional() }).optional(),
  kind: z.enum(['a', 'b']).optional(),
  needed: z.strictObject({ key: z.string() }).optional(),
  free: z.record(z.string(), z.boolean()).optional(),
});

const problemOf = (text: string) => {
  const error = thrownBy(() => parseYaml('f.yml', text, schema));
  expect(error.code).toBe('config_invalid');
  return error.message;
};

test('reads what fits the schema', () => {
  const text = '# hello\nname: "x"\ndeep: { port: 5, list: [a, b] }\nkind: b\n';
  expect(parseYaml('f.yml', text, schema).value).toEqual({
    name: 'x',
    deep: { port: 5, list: ['a', 'b'] },
    kind: 'b',
  });
});

test('an empty file is an empty configuration', () => {
  expect(parseYaml('f.yml', '', schema).value).toEqual({});
  expect(parseYaml('f.yml', '# nothing\n', schema).value).toEqual({});
});

test.each([
  ['name: x\ndeep:\n  prot: 5\n', 'f.yml:3: deep.prot: there is no such key'],
  ['colour: red\n', 'f.yml:1: colour: there is no such key'],
  ['needed:\n  kye: x\n', 'f.yml:2: needed.kye: there is no such key'],
  ['name: 12345\n', 'f.yml:1: name: must be text (put it in quotes)'],
  ['deep:\n  port: "5"\n', 'f.yml:2: deep.port: must be a number'],
  ['deep:\n  port: 5.5\n', 'f.yml:2: deep.port: must be a whole number'],
  ['deep:\n  port: 0\n', 'f.yml:2: deep.port: must be at least 1'],
  ['\n\ndeep:\n  list:\n    - a\n    - 1\n', 'f.yml:6: deep.list[1]: must be text (put it in quotes)'],
  ['deep:\n  list: a\n', 'f.yml:2: deep.list: must be a list'],
  ['deep:\n', 'f.yml:1: deep: must be a block of keys'],
  ['needed: {}\n', 'f.yml:1: needed.key: is missing'],
  ['kind: c\n', 'f.yml:1: kind: must be a or b'],
  ['free:\n  x: yes\n', 'f.yml:2: free.x: must be true or false'],
  ['- a\n', 'f.yml:1: (top level): must be a block of keys'],
  ['name: a\ndeep: {}\nname: b\n', 'f.yml:3: name: appears twice'],
  ['deep:\n  port: 1\n  port: 2\n', 'f.yml:3: deep.port: appears twice'],
  ['free: { "1": true, 1: true }\n', 'f.yml:1: free.1: appears twice'],
  ['name: &n x\nkind: *n\n', 'f.yml:2: kind: aliases are not supported'],
  ['deep:\n  <<: { port: 1 }\n', 'f.yml:2: deep.<<: there is no such key'],
  ['__proto__: { port: 1 }\n', 'f.yml:1: __proto__: there is no such key'],
  ['name: x\n---\nname: y\n', 'f.yml:2: name: is not valid YAML (multiple docs)'],
  ['deep:\n  list: [a\n', 'f.yml:3: deep.list: is not valid YAML'],
  ['name: !secret x\n', 'f.yml:1: name: is not valid YAML (tag resolve failed)'],
  ['name:\n\tx\n', 'f.yml:2: name: is not valid YAML'],
])('%j: %s', (text, message) => {
  expect(problemOf(text)).toContain(message);
});

test('no value of the file is quoted', () => {
  for (const text of ['name: "hunter2\n', 'name: [hunter2\nx: }', 'name: hunter2: y\n', 'kind: hunter2\n']) {
    expect(problemOf(text)).not.toContain('hunter2');
  }
});

test('deep nesting is refused before it can exhaust the stack', () => {
  for (const opening of ['[', '{a: ', '- ', '- - ']) {
    expect(problemOf(opening.repeat(50_000))).toBe('f.yml:1: (top level): is nested too deeply');
  }
});

test('a bomb of aliases is refused, not expanded', () => {
  const level = (n: number) =>
    `l${n}: &l${n} [${Array(9)
      .fill(`*l${n - 1}`)
      .join(', ')}]\n`;
  const bomb = `l0: &l0 boom\n${Array.from({ length: 20 }, (_, n) => level(n + 1)).join('')}`;
  expect(problemOf(bomb)).toContain('f.yml:2: l1[0]: aliases are not supported');
});

test('many keys take linear time', () => {
  const text = Array.from({ length: 20_000 }, (_, n) => `k${n}: 1\n`).join('');
  expect(problemOf(text)).toContain('k0: there is no such key');
}, 3_000);

test('files that cannot be read say why', () => {
  const folder = temporaryFolder();
  const missing = thrownBy(() => readYamlFile(`${folder}/missing.yml`, schema));
  expect(missing.message).toBe(`cannot read ${folder}/missing.yml: it does not exist`);
  expect(thrownBy(() => readYamlFile(folder, schema)).message).toContain('it is a folder');
  const large = temporaryFile('large.yml', '#'.repeat(256 * 1024 + 1));
  expect(thrownBy(() => readYamlFile(large, schema)).message).toContain('more than 262144 bytes');
  const binary = temporaryFile('binary.yml', Buffer.from([0x6e, 0xff, 0xfe]));
  expect(thrownBy(() => readYamlFile(binary, schema)).message).toContain('it is not UTF-8 text');
});

test('mutated files give an UnderpassError or a value, never anything else', () => {
  const seed = 20_40;
  const random = new Random(seed);
  const original = 'name: x\ndeep:\n  port: 5\n  list:\n    - a\n    - "b"\nfree: { k: true }\n';
  const spice = [
    '&a ',
    '*a',
    '!!',
    '? ',
    '---\n',
    '\t',
    '%',
    '"',
    "'",
    '[',
    '}',
    '\0',
    '|\n',
    '>\n',
    '<<: ',
    '\r',
  ];
  for (let round = 0; round < 3_000; round++) {
    let text = original;
    for (let edits = 1 + random.integer(4); edits > 0; edits--) {
      const at = random.integer(text.length + 1);
      text = text.slice(0, at) + random.pick(['', ...spice]) + text.slice(at + random.integer(3));
    }
    try {
      parseYaml('f.yml', text, schema);
    } catch (error) {
      expect(error, `seed ${seed}, round ${round}: ${JSON.stringify(text)}`).toBeInstanceOf(UnderpassError);
    }
  }
});

test('paths are written as one would in code', () => {
  expect(formatPath(['a', 'b', 0, 'c'])).toBe('a.b[0].c');
  expect(formatPath([])).toBe('(top level)');
});
