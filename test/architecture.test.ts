import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findBreaches, isCore } from './support/architecture.ts';

const root = join(import.meta.dirname, '..');

function sourcesOf(folder: string): Map<string, string> {
  const entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return new Map(
    entries
      .filter((entry) => entry.endsWith('.ts'))
      .map((entry) => [
        `${folder}/${entry.replaceAll(sep, '/')}`,
        readFileSync(join(root, folder, entry), 'utf8'),
      ]),
  );
}

test('src keeps to its layers, its cores do no I/O, and no file is long', () => {
  const sources = sourcesOf('src');
  expect(sources.size).toBeGreaterThan(20);
  expect([...sources.keys()].filter(isCore).length).toBeGreaterThan(5);
  expect(findBreaches(sources)).toEqual([]);
});

describe('the checker catches an invented breach', () => {
  const breachesOf = (files: Record<string, string>) => findBreaches(new Map(Object.entries(files)));

  test.each([
    ['src/net/a.ts', "import { x } from '../tunnel/b.ts';", 'net may not import tunnel'],
    ['src/signaling/a.ts', "import type { X } from '../relay/b.ts';", 'signaling may not import relay'],
    ['src/relay/a.ts', "export * from '../signaling/b.ts';", 'relay may not import signaling'],
    ['src/cli/commands/a.ts', "import { x } from '../../tunnel/b.ts';", 'cli may not import tunnel'],
    ['src/tunnel/a.ts', "const x = await import('../cli/b.ts');", 'tunnel may not import cli'],
    ['src/errors.ts', "import { x } from './net/b.ts';", 'root may not import net'],
    ['src/tunnel/a.ts', "import { x } from '../index.ts';", 'tunnel may not import index'],
    ['src/relay/a.ts', "import { connect } from 'node:net';", 'is a core and imports node:net'],
    ['src/relay/a.ts', "import { readFile } from 'node:fs/promises';", 'imports node:fs/promises'],
    ['src/signaling/a.ts', "import { WebSocket } from 'ws';", 'is a core and imports ws'],
    ['src/tunnel/channel/channel-frame.ts', "import 'node:timers';", 'is a core and imports node:timers'],
    ['src/relay/a.ts', 'setTimeout(() => {}, 5);', 'is a core and uses setTimeout'],
    ['src/relay/a.ts', 'const at = Date.now();', 'is a core and uses Date'],
    ['src/relay/a.ts', 'const at = performance.now();', 'is a core and uses performance'],
    ['src/relay/a.ts', 'const x = Math.random();', 'is a core and uses Math.random'],
    ['src/signaling/a.ts', "import { randomBytes } from 'node:crypto';", 'is a core and uses randomBytes'],
    ['src/net/a.ts', 'x;\n'.repeat(351), 'has 351 lines'],
  ])('%s: %j', (file, text, breach) => {
    expect(breachesOf({ [file]: text }).join('\n')).toContain(breach);
  });

  test('a cycle, even of types', () => {
    const files = {
      'src/net/a.ts': "import { b } from './b.ts';",
      'src/net/b.ts': "import type { C } from './c.ts';",
      'src/net/c.ts': "export { a } from './a.ts';",
    };
    expect(breachesOf(files)).toEqual([
      'import cycle: src/net/a.ts → src/net/b.ts → src/net/c.ts → src/net/a.ts',
    ]);
  });

  test('and leaves alone what is allowed', () => {
    const files = {
      'src/relay/a.ts':
        "import type { Socket } from 'node:net';\nimport { B } from '../net/b.ts';\nimport { createHash } from 'node:crypto';\n" +
        "// Date.now()\nexport const f = (runtime: B) => runtime.randomBytes(4) + 'setTimeout(';",
      'src/relay/client.ts': "import { WebSocket } from 'ws';\nsetTimeout(() => {}, 5);",
      'src/net/b.ts':
        "import { createSocket } from 'node:dgram';\nexport type B = { randomBytes(n: number): string };",
      'src/cli/a.ts': "import { Client } from '../index.ts';\nimport { x } from '../errors.ts';",
    };
    expect(breachesOf(files)).toEqual([]);
  });
});
