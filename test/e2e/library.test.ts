import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';

test('a program embeds server and clients, closes them, and ends by itself', async ({ world }) => {
  const script = join(import.meta.dirname, '..', 'support', 'e2e-embedding.mjs');
  const program = world.script(script, [world.home('state')]);
  await program.until(() => program.stdout.includes('closed'), 'everything to be closed');
  const closed = performance.now();
  expect(await program.exit(), program.output).toBe(0);
  expect(performance.now() - closed).toBeLessThan(2000);
  expect(program.stderr).toBe('');
  expect(program.stdout.trim().split('\n')).toEqual([
    'echo embedded',
    'refused true invalid_secret',
    'closed undefined undefined',
  ]);
});
