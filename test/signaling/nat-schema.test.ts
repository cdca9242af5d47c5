import { expect, it } from 'vitest';
import { ALLOCATION_PATTERNS, BEHAVIOURS, NAT_TYPES, type NatVerdict } from '../../src/nat/behaviour.ts';
import { type ClientMessage, encode, parseClientMessage } from '../../src/signaling/messages.ts';
import { natTypes } from '../../src/signaling/nat-schema.ts';
import { thrownBy } from '../support/errors.ts';
import { coneVerdict, symmetricVerdict, unknownVerdict } from '../support/verdict.ts';

const read = (verdict: unknown) =>
  parseClientMessage(JSON.stringify({ type: 'nat', nat: verdict })) as Extract<
    ClientMessage,
    { type: 'nat' }
  >;

const accepted: NatVerdict[] = [
  coneVerdict,
  symmetricVerdict,
  unknownVerdict,
  ...BEHAVIOURS.map((mapping) => ({ ...coneVerdict, mapping })),
  ...BEHAVIOURS.map((filtering) => ({ ...coneVerdict, filtering })),
  ...NAT_TYPES.map((type) => ({ ...coneVerdict, type })),
  ...ALLOCATION_PATTERNS.map((pattern) => ({
    ...symmetricVerdict,
    allocation: { pattern, step: 65535, range: [0, 65535] as const },
  })),
  { ...coneVerdict, mapping_confidence: 'ports', arming_ttl: 255, port_mapped: true },
];

it('takes every verdict that there can be', () => {
  for (const verdict of accepted) expect(read(verdict).nat).toEqual(verdict);
  expect(natTypes).toEqual(NAT_TYPES);
});

it('drops what it does not know, an address first of all', () => {
  const told = {
    ...coneVerdict,
    public_address: '192.0.2.7',
    allocation: { ...coneVerdict.allocation, at: 1 },
  };
  expect(read(told).nat).toEqual(coneVerdict);
});

const allocation = { pattern: 'block', step: null, range: [1024, 2047] };
it.each([
  ['type', 'cubic'],
  ['type', null],
  ['mapping', 'endpoint independent'],
  ['mapping', undefined],
  ['mapping_confidence', 'hearsay'],
  ['filtering', 1],
  ['allocation', {}],
  ['allocation', undefined],
  ['allocation', { ...allocation, pattern: 'alphabetical' }],
  ['allocation', { ...allocation, step: 65536 }],
  ['allocation', { ...allocation, step: -65536 }],
  ['allocation', { ...allocation, step: 0.5 }],
  ['allocation', { ...allocation, range: [1024] }],
  ['allocation', { ...allocation, range: [1024, 65536] }],
  ['allocation', { ...allocation, range: [-1, 1024] }],
  ['allocation', { ...allocation, range: [1, 2, 3] }],
  ['poisonable', 'yes'],
  ['hairpin', 0],
  ['cgnat', undefined],
  ['udp_blocked', null],
  ['arming_ttl', 0],
  ['arming_ttl', 256],
  ['arming_ttl', '2'],
  ['port_mapped', null],
  ['ipv6', '2001:db8::1'],
])('refuses a wrong %s: %j', (field, value) => {
  const error = thrownBy(() => read({ ...coneVerdict, [field]: value }));
  expect(error.code).toBe('protocol_error');
  expect(error.message).toContain(`nat.${field}`);
});

it('refuses it in a registration, too', () => {
  const register: ClientMessage = {
    type: 'register',
    request_id: 'r',
    name: 'x',
    secrets: [{ key_id: 0, hash: 'ab'.repeat(32) }],
    nat: symmetricVerdict,
  };
  expect(parseClientMessage(encode(register))).toEqual(register);
  const wrong = { ...register, nat: { ...symmetricVerdict, arming_ttl: 0 } };
  expect(thrownBy(() => parseClientMessage(JSON.stringify(wrong))).code).toBe('protocol_error');
});
