import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { echo, test } from '../support/e2e.ts';

test('the demo fetches every file, checks every byte, and ends by itself', async ({ world }) => {
  const TMPDIR = world.home('tmp');
  const demo = world.run(['demo', '--json'], 'player', { env: { TMPDIR } });
  expect(await demo.exit(), demo.output).toBe(0);
  const fetched = demo.events.filter(({ event }) => event === 'fetched');
  expect(fetched.map(({ ok }) => ok)).toEqual([true, true, true]);
  const bytes = fetched.reduce((sum, event) => sum + Number(event.bytes), 0);
  expect(demo.events.at(-1)).toMatchObject({ event: 'verified', files: 3, bytes });
  // It leaves nothing behind, neither in the temporary folder nor at home.
  expect(readdirSync(TMPDIR)).toEqual([]);
  expect(readdirSync(world.home('player'))).toEqual([]);
});

test('the demo for people says what it does', async ({ world }) => {
  const demo = world.run(['demo']);
  expect(await demo.exit(), demo.output).toBe(0);
  expect(demo.stdout).toMatch(/a server[\s\S]+a publisher[\s\S]+a subscriber[\s\S]+It works/);
  expect(demo.stderr).toBe('');
});

test('the demo with a port is a tunnel around your own service, until Ctrl-C', async ({ world }) => {
  const TMPDIR = world.home('tmp');
  const service = await world.echoService();
  const demo = world.run(['demo', String(service.port), '--json'], 'player', { env: { TMPDIR } });
  const { listen } = await demo.event('demo', { service: `localhost:${service.port}` });
  expect(await echo(Number(String(listen).split(':').pop()))).toBe('ping');
  expect(await demo.stop('SIGINT')).toBe(0);
  expect(readdirSync(TMPDIR)).toEqual([]);
});
