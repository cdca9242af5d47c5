import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type FromServer, parseServerMessage } from '../../src/signaling/messages.ts';

const challenge = Buffer.alloc(32).toString('base64url');

/** What a client makes of `stun` in a greeting. The rest of it is always read. */
function read(stun: unknown): FromServer<'hello'>['stun'] {
  const text = JSON.stringify({ type: 'hello', protocol: [1], server_version: 'x', challenge, stun });
  const hello = parseServerMessage(text) as FromServer<'hello'>;
  expect(hello).toMatchObject({ protocol: [1], server_version: 'x', challenge });
  return hello.stun;
}

it.each([
  { addresses: [], ports: [3478, 3479] },
  { addresses: ['192.0.2.1', '2001:db8::1'], ports: [1] },
  { addresses: ['127.0.0.1', '10.0.0.1'], ports: [65535] },
  {
    addresses: Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`),
    ports: Array.from({ length: 16 }, (_, i) => i + 1),
  },
])('reads $addresses $ports', (stun) => {
  expect(read(stun)).toEqual(stun);
});

it('brings addresses into the one form in which they are compared', () => {
  const stun = { addresses: ['2001:DB8:0::1', '::ffff:192.0.2.1'], ports: [3478] };
  expect(read(stun)?.addresses).toEqual(['2001:db8::1', '192.0.2.1']);
});

const good = { addresses: ['192.0.2.1'], ports: [3478] };
it.each([
  undefined,
  null,
  'x',
  [],
  {},
  { ...good, addresses: undefined },
  { ...good, addresses: ['example.org'] },
  { ...good, addresses: ['192.0.2.1:3478'] },
  { ...good, addresses: ['1.2.3'] },
  { ...good, addresses: ['fe80::1%eth0'] },
  { ...good, addresses: ['192.0.2.1', 7] },
  { ...good, addresses: new Array(17).fill('192.0.2.1') },
  // A server that named these would have its clients send to everybody, or to nobody.
  { ...good, addresses: ['224.0.0.1'] },
  { ...good, addresses: ['ff02::1'] },
  { ...good, addresses: ['255.255.255.255'] },
  { ...good, addresses: ['0.0.0.0'] },
  { ...good, addresses: ['::ffff:0.0.0.0'] },
  { ...good, ports: [] },
  { ...good, ports: [0] },
  { ...good, ports: [65536] },
  { ...good, ports: [3478.5] },
  { ...good, ports: ['3478'] },
  { ...good, ports: new Array(17).fill(3478) },
])('takes %j for none', (stun) => {
  expect(read(stun)).toBeUndefined();
});

it('lets no nonsense break the greeting', () => {
  const list = fc.oneof(fc.anything(), fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.integer(), fc.string())));
  fc.assert(fc.property(fc.record({ addresses: list, ports: list }), (stun) => void read(stun)));
});
