import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FakeWorld } from '../../support/cli.ts';
import { temporaryFile } from '../../support/temporary.ts';

const settled = () => new Promise(setImmediate);

test('says where it listens and what to compare; SIGTERM drains', async () => {
  const world = new FakeWorld();
  const code = world.run('server', '--json', '--listen', '127.0.0.1:5', '--token', 'a', '--no-direct');
  await settled();
  expect(world.servers).toMatchObject([{ listen: { port: 5 }, tokens: ['a'], directEnabled: false }]);
  expect(world.loggers).toEqual(['info pretty']);
  expect(world.json).toMatchObject([
    {
      event: 'ready',
      role: 'server',
      listen: 'wss://0.0.0.0:4040',
      fingerprint: 'ab'.repeat(32),
      stun: { addresses: [], ports: [3478, 3479] },
    },
  ]);
  world.stop('SIGTERM');
  expect(await code).toBe(0);
  expect(world.calls).toEqual(['drained 10000', 'server closed']);
  expect(world.json.map(({ event }) => event)).toEqual(['ready', 'draining', 'closed']);
});

test('--no-stun answers none', async () => {
  const world = new FakeWorld();
  const code = world.run('server', '--json', '--no-stun');
  await settled();
  expect(world.servers[0]?.stun).toBeUndefined();
  expect(world.json).toMatchObject([{ event: 'ready', stun: null }]);
  world.stop('SIGINT');
  expect(await code).toBe(0);
});

test('what should not stay so is shown, after where it listens', async () => {
  const world = new FakeWorld();
  const start = world.context.startServer;
  world.context.startServer = async (...given) => ({ ...(await start(...given)), warnings: ['no STUN'] });
  const code = world.run('server', '--json');
  await settled();
  expect(world.json).toMatchObject([{ event: 'ready' }, { event: 'warning', message: 'no STUN' }]);
  world.stop('SIGINT');
  expect(await code).toBe(0);
});

test('SIGINT closes without draining', async () => {
  const world = new FakeWorld();
  const code = world.run('server');
  world.stop('SIGINT');
  expect(await code).toBe(0);
  expect(world.calls).toEqual(['server closed']);
});

test('SIGHUP reads the file again; a bad file changes nothing', async () => {
  const world = new FakeWorld();
  const file = temporaryFile('server.yml', 'auth: { tokens: [old] }\n');
  const code = world.run('server', '-c', file);
  await settled();
  writeFileSync(file, 'auth: { tokens: [new] }\n');
  world.hangup();
  expect(world.servers.map(({ tokens }) => tokens)).toEqual([['old'], ['new']]);
  writeFileSync(file, 'auth: { tokens: [] }\n');
  world.hangup();
  expect(world.servers).toHaveLength(2);
  expect(world.logged.at(-1)).toContain('the old one stays');
  expect(world.logged.at(-1)).toContain('auth.tokens: must not be empty');
  world.stop('SIGINT');
  expect(await code).toBe(0);
});

test('SIGHUP while the server starts changes nothing, and does not end it', async () => {
  const world = new FakeWorld();
  const file = temporaryFile('server.yml', 'auth: { tokens: [old] }\n');
  const unheard = world.hangup;
  const start = world.context.startServer;
  world.context.startServer = (config, options) => {
    expect(world.hangup).not.toBe(unheard);
    world.hangup();
    return start(config, options);
  };
  const code = world.run('server', '-c', file);
  await settled();
  expect(world.servers).toHaveLength(1);
  world.stop('SIGINT');
  expect(await code).toBe(0);
});

test('a server that cannot start ends with the code of the reason', async () => {
  const world = new FakeWorld();
  expect(await world.run('server', '-c', '/no/such.yml')).toBe(2);
  expect(await world.run('server', '--listen', 'x y')).toBe(2);
  expect(world.stderr).toContain("'x y' is not a valid address");
  expect(world.servers).toEqual([]);
});
