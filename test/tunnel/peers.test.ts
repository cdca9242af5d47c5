import { expect, test } from 'vitest';
import type { LinkPath } from '../../src/tunnel/link/link.ts';
import { addressOf, PeerMeter, type PeerStatus, Peers } from '../../src/tunnel/peers.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const relayed: LinkPath = { kind: 'relayed', rtt: 20, reason: 'searching' };
const direct = (remote: string): LinkPath => ({
  kind: 'direct',
  rtt: 2,
  strategy: 'bracket',
  remote,
  elapsed: 1,
});

function table() {
  const runtime = new VirtualRuntime();
  const told: (readonly PeerStatus[])[] = [];
  const peers = new Peers(runtime, (list) => told.push(list));
  const join = (peer: string) => {
    const link = {
      path: relayed as LinkPath | undefined,
      closed: 0,
      close: () => {
        link.closed += 1;
      },
    };
    const meter = new PeerMeter();
    peers.add(peer, { identity: `id-${peer}`, address: '192.0.2.7', link, meter });
    return { link, meter };
  };
  return { runtime, told, peers, join };
}

test('who is connected, by which path, for how long, and how much', () => {
  const { runtime, peers, join } = table();
  const { link, meter } = join('AAAA');
  const status = {
    ...{ peer: 'AAAA', identity: 'id-AAAA', address: '192.0.2.7', address_claimed: true },
    ...{ kind: 'relayed', strategy: null, seconds: 0, bytes_in: 0, bytes_out: 0, connections: 0, flows: 0 },
  };
  expect(peers.list()).toEqual([status]);
  runtime.advance(12_400);
  link.path = direct('203.0.113.9:41000');
  Object.assign(meter, { bytesIn: 1, bytesOut: 2, connections: 3, flowsOf: () => 4 });
  const now = {
    ...{ ...status, address: '203.0.113.9', address_claimed: false, kind: 'direct', strategy: 'bracket' },
    ...{ seconds: 12, bytes_in: 1, bytes_out: 2, connections: 3, flows: 4 },
  };
  expect(peers.list()).toEqual([now]);
  link.path = undefined;
  expect(peers.remove('AAAA')).toMatchObject({ kind: null, address_claimed: true, bytes_in: 1 });
  expect([peers.list(), peers.remove('AAAA'), runtime.pendingTimers]).toEqual([[], undefined, 0]);
});

test('a change is told once a minute, and nothing when there is none', () => {
  const { runtime, told, peers, join } = table();
  runtime.advance(600_000);
  expect(told).toHaveLength(0);
  const { meter } = join('AAAA');
  runtime.advance(59_999);
  expect(told).toHaveLength(0);
  runtime.advance(1);
  expect(told).toHaveLength(1);
  runtime.advance(300_000);
  expect(told).toHaveLength(1);
  meter.bytesIn += 1;
  runtime.advance(60_000);
  expect(told.map((list) => list[0]?.bytes_in)).toEqual([0, 1]);
  join('BBBB');
  peers.remove('AAAA');
  runtime.advance(60_000);
  expect(told.at(-1)?.map(({ peer }) => peer)).toEqual(['BBBB']);
  peers.remove('BBBB');
  runtime.advance(600_000);
  expect([told.length, runtime.pendingTimers]).toEqual([3, 0]);
});

test('one of them can be closed', () => {
  const { peers, join } = table();
  const [one, two] = [join('AAAA'), join('BBBB')];
  expect([peers.close('BBBB'), peers.close('CCCC')]).toEqual([true, false]);
  expect([one.link.closed, two.link.closed]).toEqual([0, 1]);
});

test.each([
  [undefined, { address: '192.0.2.7', port: 0, claimed: true }],
  [relayed, { address: '192.0.2.7', port: 0, claimed: true }],
  [direct('203.0.113.9:41000'), { address: '203.0.113.9', port: 41000, claimed: false }],
  [direct('[2001:db8::1]:7'), { address: '2001:db8::1', port: 7, claimed: false }],
])('where a peer is: %j', (path, address) => {
  expect(addressOf(path, '192.0.2.7')).toEqual(address);
});
