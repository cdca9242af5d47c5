import { expect } from 'vitest';
import { parseServerAddress } from '../../src/net/address.ts';
import { fetchGreeting } from '../../src/signaling/greeting-client.ts';
import { freePort, NAME, SECRET, test } from '../support/e2e.ts';

const STUN = 'stun: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] }';

test('underpass nat needs no token, and prints one object', async ({ world }) => {
  const server = await world.server({ config: `${STUN}\nauth: { tokens: [secret-token] }`, stun: true });
  const program = world.run(['nat', '--server', server.url, '--json']);
  expect(await program.exited).toBe(0);
  expect(program.stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(JSON.parse(program.stdout)).toMatchObject({
    ...{ type: 'unknown', mapping: 'unknown', filtering: 'unknown', allocation: null, poisonable: null },
    ...{ hairpin: null, cgnat: null, udp_blocked: false, public_address: null, ipv6: null },
    ...{ local_address: '127.0.0.1', port_mapping: null, elapsed_ms: expect.any(Number) },
    servers: [{ server: expect.stringMatching(/^127\.0\.0\.1:\d+$/), status: 'answered' }],
  });
  expect(program.stderr).toBe('');
});

test('a person is told in sentences', async ({ world }) => {
  const server = await world.server({ config: STUN, stun: true });
  const program = world.run(['nat', '--server', server.url]);
  expect(await program.exited).toBe(0);
  expect(program.stdout).toContain('The STUN server is inside your own network');
  expect(program.stdout).toContain('Direct play with a friend who has');
});

test('a server without STUN is named, and so is one that is not there', async ({ world }) => {
  const without = await world.server();
  const asked = world.run(['nat', '--server', without.url, '--json']);
  expect(await asked.exited).toBe(4);
  expect(JSON.parse(asked.stdout)).toMatchObject({ event: 'error', code: 'stun_missing' });
  const gone = world.run(['nat', '--server', `ws://127.0.0.1:${await freePort()}`, '--json']);
  expect(await gone.exited).toBe(4);
  expect(JSON.parse(gone.stdout)).toMatchObject({ event: 'error', code: 'server_unreachable' });
});

test('other STUN servers are asked all the same, also while the server says nothing', async ({ world }) => {
  const server = await world.server({ config: STUN, stun: true });
  const address = parseServerAddress(server.url);
  const { stun } = await fetchGreeting({ address, trust: {}, timeoutMs: 5000 });
  const mute = await world.counterpart();
  const program = world.run([
    'nat',
    '--server',
    `ws://127.0.0.1:${mute.port}`,
    '--stun',
    `127.0.0.1:${stun?.ports[0]}`,
    '--json',
  ]);
  expect(await program.exited).toBe(0);
  const report = JSON.parse(program.stdout);
  expect(report.servers).toMatchObject([{ status: 'unreachable' }, { status: 'answered' }]);
  expect(report.elapsed_ms).toBeLessThan(2000);
});

test('a tunnel that may go direct tells its network, and one that may not does not ask', async ({
  world,
}) => {
  const server = await world.server({ config: STUN, stun: true });
  const flags = ['--name', NAME, '--secret', SECRET, ...server.access, '--json'];
  const tunnel = world.run(['p2p', '9', ...flags], 'publisher');
  await tunnel.event('ready');
  expect(await tunnel.event('nat')).toMatchObject({ local_address: '127.0.0.1' });
  tunnel.kill('SIGTERM');
  expect(await tunnel.exited).toBe(0);
  const relayed = world.run(['p2p', '9', ...flags, '--mode', 'relay'], 'publisher');
  await relayed.event('ready');
  relayed.kill('SIGTERM');
  expect(await relayed.exited).toBe(0);
  expect(relayed.events.map(({ event }) => event)).toEqual(['ready', 'closed']);
});
