import { expect, test } from 'vitest';
import { MAX_TOLD, type PeerCandidate, Remotes } from '../../src/punch/remotes.ts';

const host = (address: string, port = 5000): PeerCandidate => ({ kind: 'host', address, port });

test.each([
  ['a private address', host('192.168.1.2')],
  ['a public one', host('45.80.1.2', 65_535)],
  ['IPv6', host('2a0e:a1::2', 1024)],
  ['a carrier’s', host('100.64.1.2')],
])('%s is taken', (_, candidate) => {
  expect(new Remotes(false).tell(candidate)).toEqual(candidate);
});

test.each([
  ['multicast', host('224.0.0.1')],
  ['multicast of IPv6', host('ff02::1')],
  ['broadcast', host('255.255.255.255')],
  ['this machine', host('127.0.0.1')],
  ['this machine over IPv6', host('::1')],
  ['this machine in disguise', host('::ffff:127.0.0.1')],
  ['nobody', host('0.0.0.0')],
  ['link-local', host('169.254.1.1')],
  ['link-local of IPv6', host('fe80::1%eth0')],
  ['a port of the system', host('45.80.1.2', 1023)],
  ['no port', host('45.80.1.2', 0)],
  ['too high a port', host('45.80.1.2', 65_536)],
  ['half a port', host('45.80.1.2', 5000.5)],
  ['a name', host('example.com')],
  ['nothing', host('')],
])('%s is refused, told or learned', (_, candidate) => {
  const remotes = new Remotes(false);
  expect(remotes.tell(candidate)).toBeUndefined();
  expect(remotes.all).toEqual([]);
});

test('strangers below port 1024 or from nowhere are not learned', () => {
  const remotes = new Remotes(false);
  expect(remotes.learn({ address: '45.80.1.2', port: 53 })).toBeUndefined();
  expect(remotes.learn({ address: '127.0.0.1', port: 5000 })).toBeUndefined();
});

test('this machine is allowed where tests say so', () => {
  expect(new Remotes(true).tell(host('127.0.0.1'))).toEqual(host('127.0.0.1'));
});

test('an address has one spelling and is told once', () => {
  const remotes = new Remotes(false);
  expect(remotes.tell(host('2A0E:00a1:0::2'))).toEqual(host('2a0e:a1::2'));
  expect(remotes.tell({ ...host('2a0e:a1::2'), kind: 'server-reflexive' })).toBeUndefined();
  expect(remotes.learn({ address: '2a0e:a1::2', port: 5000 })?.kind).toBe('host');
});

test('no more than 16 are told, and no more than 8 learned', () => {
  const remotes = new Remotes(false);
  const told = Array.from({ length: 40 }, (_, i) => remotes.tell(host('45.80.1.2', 5000 + i)));
  expect(told.filter((remote) => remote !== undefined)).toHaveLength(MAX_TOLD);
  const learned = Array.from({ length: 40 }, (_, i) =>
    remotes.learn({ address: '45.80.1.3', port: 5000 + i }),
  );
  expect(learned.filter((remote) => remote !== undefined)).toHaveLength(8);
  expect(remotes.learn({ address: '45.80.1.2', port: 5000 })?.kind).toBe('host');
  expect(remotes.all).toHaveLength(24);
});

test('the peer’s place in the internet is what servers saw, or its own global address', () => {
  const remotes = new Remotes(false);
  remotes.tell(host('192.168.1.2'));
  remotes.tell(host('2a0e:a1::2'));
  expect(remotes.reflexive).toBeUndefined();
  remotes.tell(host('45.80.5.2'));
  expect(remotes.reflexive?.address).toBe('45.80.5.2');
  remotes.tell({ ...host('45.80.1.2'), kind: 'server-reflexive' });
  expect(remotes.reflexive?.address).toBe('45.80.1.2');
});

test('the peer is certainly where it says so and our server has seen it, if that is on the internet', () => {
  const remotes = new Remotes(false);
  const isVouched = (address: string) => remotes.isVouched(address);
  for (const address of ['45.80.1.2', '192.168.1.2', '2a0e:a1::2']) remotes.tell(host(address));
  remotes.learn({ address: '45.80.1.4', port: 5000 });
  expect(['45.80.1.2', '2a0e:a1::2'].map(isVouched)).toEqual([false, false]);
  remotes.vouch(['45.80.1.2', '192.168.1.2', '45.80.1.3', '45.80.1.4', '127.0.0.1']);
  expect(isVouched('45.80.1.2')).toBe(true);
  for (const other of ['192.168.1.2', '2a0e:a1::2', '45.80.1.3', '45.80.1.4', '127.0.0.1'])
    expect(isVouched(other)).toBe(false);
  remotes.vouch(['2a0e:a1::2']);
  expect(['45.80.1.2', '2a0e:a1::2'].map(isVouched)).toEqual([false, true]);
});
