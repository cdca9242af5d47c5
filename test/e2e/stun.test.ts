import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect } from 'vitest';
import { parseServerAddress } from '../../src/net/address.ts';
import { fetchGreeting } from '../../src/signaling/greeting-client.ts';
import { test, type World } from '../support/e2e.ts';

const HEADER = Buffer.from('000100002112a442', 'hex');
const XOR_MAPPED_ADDRESS = 0x0020;

/** A UDP socket on 127.0.0.1. */
async function bind(world: World, port = 0) {
  const socket = createSocket('udp4');
  world.onEnd(() => socket.close());
  await once(socket.bind(port, '127.0.0.1'), 'listening');
  return socket;
}

/** Asks with the bytes of RFC 8489 and nothing of ours; resolves with the port that the server saw, and the true one. */
async function ask(world: World, address: string, port: number) {
  const socket = await bind(world);
  const transaction = Buffer.from('twelve bytes');
  socket.send(Buffer.concat([HEADER, transaction]), port, address);
  const [answer, from] = (await once(socket, 'message')) as [Buffer, AddressInfo];
  expect(answer.readUInt16BE(0)).toBe(0x0101);
  expect(answer.subarray(8, 20)).toEqual(transaction);
  expect(from).toMatchObject({ address, port });
  return { seen: mappedPort(answer), own: socket.address().port };
}

function mappedPort(answer: Buffer): number | undefined {
  for (let at = 20; at + 4 <= answer.length; ) {
    const [type, length] = [answer.readUInt16BE(at), answer.readUInt16BE(at + 2)];
    if (type === XOR_MAPPED_ADDRESS) return answer.readUInt16BE(at + 6) ^ 0x2112;
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return undefined;
}

const greetingOf = (url: string) =>
  fetchGreeting({ address: parseServerAddress(url), trust: {}, timeoutMs: 5000 });

test('every port of every address answers, and the greeting names them', async ({ world }) => {
  const config =
    'stun: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] }\nmetrics: { listen: "127.0.0.1:0" }';
  const server = await world.server({ config, stun: true });
  const { stun } = await greetingOf(server.url);
  expect(stun?.addresses).toEqual(['127.0.0.1', '127.0.0.2']);
  expect(new Set(stun?.ports).size).toBe(2);
  expect(server.program.events).toMatchObject([{ event: 'ready', stun }]);
  for (const address of stun?.addresses ?? []) {
    for (const port of stun?.ports ?? []) {
      const { seen, own } = await ask(world, address, port);
      expect(seen).toBe(own);
    }
  }
  const [, metrics] = /metrics.*?(127\.0\.0\.1:\d+)/.exec(server.program.stderr) ?? [];
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  expect(text).toContain('\nunderpass_stun_answers_total 4\n');
});

test('public addresses are announced instead', async ({ world }) => {
  const config =
    'stun: { addresses: [127.0.0.1, 127.0.0.2], public_addresses: [192.0.2.1, 192.0.2.2], ports: [0, 0] }';
  const server = await world.server({ config, stun: true });
  expect((await greetingOf(server.url)).stun?.addresses).toEqual(['192.0.2.1', '192.0.2.2']);
});

test('wildcards are not announced: clients ask where they reached the server', async ({ world }) => {
  const server = await world.server({ config: 'stun: { addresses: [0.0.0.0], ports: [0] }', stun: true });
  const { stun } = await greetingOf(server.url);
  expect(stun).toEqual({ addresses: [], ports: [expect.any(Number)] });
  const { seen, own } = await ask(world, '127.0.0.1', stun?.ports[0] ?? 0);
  expect(seen).toBe(own);
});

test('by default each address of the machine answers from itself, and none is announced', async ({
  world,
}) => {
  const server = await world.server({ config: 'stun: { ports: [0] }', stun: true });
  const { stun } = await greetingOf(server.url);
  expect(stun).toEqual({ addresses: [], ports: [expect.any(Number)] });
  const own = Object.values(networkInterfaces()).flatMap((infos = []) => infos);
  const asked = own.filter(({ address, family }) => family === 'IPv4' && !address.startsWith('169.254.'));
  for (const { address } of asked) await ask(world, address, stun?.ports[0] ?? 0);
});

test('--no-stun, or the file, turns it off', async ({ world }) => {
  const off = await world.server({ config: 'stun: { ports: [0] }', args: ['--no-stun'] });
  expect((await greetingOf(off.url)).stun).toBeUndefined();
  const alsoOff = await world.server({ config: 'stun: { enabled: false }', stun: true });
  expect((await greetingOf(alsoOff.url)).stun).toBeUndefined();
});

test('a port that is taken: fatal where STUN was asked for, a warning where it is a default', async ({
  world,
}) => {
  const { port } = (await bind(world)).address();
  const config = world.file('asked.yml', `stun: { addresses: [127.0.0.1], ports: [${port}] }`);
  const listen = ['--listen', 'ws://127.0.0.1:0'];
  const asked = world.run(['server', '--json', ...listen, '-c', config]);
  await asked.event('error', { code: 'port_in_use' });
  expect(await asked.exit()).toBe(2);

  // Ours, or some other program's: the port is taken either way.
  await bind(world, 3478).catch(() => undefined);
  const server = await world.server({ stun: true });
  const { message } = await server.program.event('warning');
  expect(message).toContain('port 3478');
  expect((await greetingOf(server.url)).stun).toBeUndefined();
});
