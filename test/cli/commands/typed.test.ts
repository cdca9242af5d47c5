import { expect, test } from 'vitest';
import type { PeerStatus } from '../../../src/index.ts';
import { FakeWorld } from '../../support/cli.ts';

const SECRET = 'Zq8-vK2_x9LmP4tR';
const access = ['--server', 's:1', '--secret', SECRET];
const friend: PeerStatus = {
  ...{ peer: 'AAAA', identity: '1-2', address: '203.0.113.9', address_claimed: false, kind: 'relayed' },
  ...{ strategy: null, seconds: 3, bytes_in: 1, bytes_out: 2, connections: 1, flows: 0 },
};

function published(...flags: string[]) {
  const world = new FakeWorld();
  void world.run('p2p', '80', '--name', 'a', ...access, ...flags);
  return world;
}

test('peers are listed when asked, as often as asked', () => {
  const world = published();
  world.type?.('peers');
  const [tunnel] = world.tunnels;
  if (tunnel) tunnel.peers = [friend];
  for (const line of ['peers', '', ' peers ']) world.type?.(line);
  const list =
    "1 friend of 'a':\n  AAAA, relayed, 203.0.113.9, for 3 s, 1 bytes in, 2 bytes out, 1 TCP, 0 UDP, key 1-2\n";
  expect(world.stdout).toBe(`Nobody is connected to 'a'.\n${list}${list}`);
  expect(world.stderr).toBe('');
});

test('a peer is closed by its name', () => {
  const world = published();
  const [tunnel] = world.tunnels;
  if (tunnel) tunnel.peers = [friend];
  world.type?.('close AAAA');
  world.type?.('close \u001bBBB');
  for (const line of ['close', 'close A B', 'peers all', 'quit']) world.type?.(line);
  expect(world.calls).toEqual(['closed AAAA', 'closed \u001bBBB']);
  const hint = 'is not understood; there are: peers, close PEER\n';
  expect(world.stderr).toBe(
    `Warning: there is no friend '?BBB'\n${['close', 'close A B', 'peers all', 'quit'].map((line) => `Warning: '${line}' ${hint}`).join('')}`,
  );
});

test('with --json a program asks, and gets events', () => {
  const world = new FakeWorld();
  world.isTerminal = false;
  void world.run('p2p', '80', '--name', 'a', ...access, '--json');
  const [tunnel] = world.tunnels;
  if (tunnel) tunnel.peers = [friend];
  world.type?.('peers');
  world.type?.('close x');
  expect(world.json).toMatchObject([
    { event: 'peers', name: 'a', peers: [friend] },
    { event: 'warning', message: "there is no friend 'x'" },
  ]);
});

test('standard input is left alone where nobody would ask', () => {
  const script = new FakeWorld();
  script.isTerminal = false;
  void script.run('p2p', '80', '--name', 'a', ...access);
  const subscriber = new FakeWorld();
  void subscriber.run('p2p', '80', '--target', 'a', ...access, '--json');
  expect([script.type, subscriber.type]).toEqual([undefined, undefined]);
});
