import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { loadQuiche } from '../../src/quic/binding.ts';
import { echo, test } from '../support/e2e.ts';

const support = await loadQuiche();

test('the demo fetches every file over both paths, checks every byte, and ends by itself', async ({
  world,
}) => {
  const TMPDIR = world.home('tmp');
  const demo = world.run(['demo', '--json'], 'player', { env: { TMPDIR } });
  expect(await demo.exit(), demo.output).toBe(0);
  const kinds = support.available ? ['relayed', 'direct'] : ['relayed'];
  const told = demo.events.filter(({ event }) => event === 'path');
  expect(told).toMatchObject(kinds.map((kind) => ({ kind, target: 'demo', rtt_ms: expect.any(Number) })));
  const fetched = demo.events.filter(({ event }) => event === 'fetched');
  expect(fetched.map(({ path, ok }) => [path, ok])).toEqual(
    kinds.flatMap((kind) => Array(3).fill([kind, true])),
  );
  const bytes = fetched.reduce((sum, event) => sum + Number(event.bytes), 0);
  const reason = support.available ? null : 'unsupported';
  expect(demo.events.at(-1)).toMatchObject({ event: 'verified', files: 3, bytes, paths: kinds, reason });
  // Everything stays on this machine.
  if (support.available) expect(told[1]?.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  // It leaves nothing behind, neither in the temporary folder nor at home.
  expect(readdirSync(TMPDIR)).toEqual([]);
  expect(readdirSync(world.home('player'))).toEqual([]);
});

test('the demo for people says what it does', async ({ world }) => {
  const demo = world.run(['demo']);
  expect(await demo.exit(), demo.output).toBe(0);
  expect(demo.stdout).toMatch(
    /a server[\s\S]+a publisher[\s\S]+a subscriber[\s\S]+relayed by the server[\s\S]+round trip[\s\S]+It works/,
  );
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
