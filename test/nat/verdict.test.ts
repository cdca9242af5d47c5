import { describe, expect, test } from 'vitest';
import type { Observations, Sample } from '../../src/nat/observations.ts';
import { contradictedServers, judge, mappingOf, natType } from '../../src/nat/verdict.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { forSeeds } from '../support/seeds.ts';

const LOCAL = '192.168.1.2';
const LOCAL_PORT = 50_000;

function endpoint(text: string): Endpoint {
  const [address = '', port] = text.split(':');
  return { address, port: Number(port) };
}

/** One server for each list of `[asked, mapped]`. */
function samplesOf(...servers: (readonly [to: string, mapped: string])[][]): Sample[] {
  let order = 0;
  return servers.flatMap((pairs, server) =>
    pairs.map(([to, mapped]) => ({
      ...{ server, to: endpoint(to), mapped: endpoint(mapped), localPort: LOCAL_PORT },
      ...{ main: true, burst: 1, order: order++ },
    })),
  );
}

function observed(samples: readonly Sample[], more: Partial<Observations> = {}): Observations {
  return {
    ...{ localAddress: LOCAL, localAddresses: [LOCAL], samples },
    ...{ filtering: undefined, poisonable: undefined, hairpin: undefined, armingTtl: undefined },
    ...{ silence: samples.length === 0, ...more },
  };
}

const A = '45.80.9.10:3478';
const A2 = '45.80.9.10:3479';
const B = '45.80.9.11:3478';
const B2 = '45.80.9.11:3479';

describe('the dual-STUN table', () => {
  const local = `198.51.0.7:${LOCAL_PORT}`;
  const own = { localAddress: '198.51.0.7', localAddresses: ['198.51.0.7'] };

  test('1.2.3.4:5000 | 1.2.3.4:5000 | Cone NAT (traversable)', () => {
    expect(judge(observed(samplesOf([[A, '1.2.3.4:5000']], [[B, '1.2.3.4:5000']]))).type).toBe('cone');
  });

  test('1.2.3.4:5000 | 1.2.3.4:6001 | Symmetric NAT (hard to traverse)', () => {
    expect(judge(observed(samplesOf([[A, '1.2.3.4:5000']], [[B, '1.2.3.4:6001']]))).type).toBe('symmetric');
  });

  test('Public IP = Local IP | Public IP = Local IP | Open (no NAT)', () => {
    expect(judge(observed(samplesOf([[A, local]], [[B, local]]), own)).type).toBe('open');
  });

  test('No response | No response | Unknown (use relay)', () => {
    const verdict = judge(observed([]));
    expect(verdict).toMatchObject({
      type: 'unknown',
      mapping: 'unknown',
      udp_blocked: true,
      allocation: null,
    });
  });
});

test.each(['192.168.1.2', '10.0.0.5', '127.0.0.1', '100.64.0.9', '169.254.3.4'])(
  'a server that sees us at %s is on our own side of the NAT, and we are never open',
  (address) => {
    const mapped = `${address}:${LOCAL_PORT}`;
    const verdict = judge(
      observed(
        samplesOf([
          [A, mapped],
          [A2, mapped],
          [B, mapped],
        ]),
        {
          localAddress: address,
          localAddresses: [address],
          filtering: { otherAddress: true, otherPort: true },
        },
      ),
    );
    expect(verdict).toMatchObject({ type: 'unknown', mapping: 'unknown', filtering: 'unknown' });
  },
);

test('the same address with another port is translated all the same', () => {
  const mapped = '198.51.0.7:9999';
  const own = { localAddress: '198.51.0.7', localAddresses: ['198.51.0.7'] };
  expect(
    judge(
      observed(
        samplesOf([
          [A, mapped],
          [B2, mapped],
        ]),
        own,
      ),
    ).type,
  ).toBe('cone');
});

describe('mapping', () => {
  const seen = (ports: Record<string, number>) =>
    mappingOf(
      Object.entries(ports).map(([to, port]) => ({ to: endpoint(to), mapped: { address: '1.2.3.4', port } })),
    );

  test.each([
    ['the same for all', { [A]: 1, [A2]: 1, [B]: 1, [B2]: 1 }, 'endpoint-independent', 'addresses'],
    ['one for each address', { [A]: 1, [A2]: 1, [B]: 2, [B2]: 2 }, 'address-dependent', 'addresses'],
    [
      'one for each endpoint',
      { [A]: 1, [A2]: 2, [B]: 3, [B2]: 4 },
      'address-and-port-dependent',
      'addresses',
    ],
    [
      'ports differ at one address',
      { [A]: 1, [A2]: 2, [B]: 1, [B2]: 1 },
      'address-and-port-dependent',
      'addresses',
    ],
    ['one address, the same', { [A]: 1, [A2]: 1 }, 'endpoint-independent', 'ports'],
    ['one address, different', { [A]: 1, [A2]: 2 }, 'address-and-port-dependent', 'ports'],
    ['one port each, different: the worse', { [A]: 1, [B]: 2 }, 'address-and-port-dependent', 'addresses'],
    ['a single answer', { [A]: 1 }, 'unknown', null],
    ['none', {}, 'unknown', null],
  ] as const)('%s', (_, ports, mapping, confidence) => {
    expect(seen(ports)).toEqual({ mapping, confidence });
  });
});

test.each([
  ['none', 'none', 'open'],
  ['none', 'address-and-port-dependent', 'open'],
  ['endpoint-independent', 'endpoint-independent', 'full-cone'],
  ['endpoint-independent', 'address-dependent', 'restricted-cone'],
  ['endpoint-independent', 'address-and-port-dependent', 'port-restricted-cone'],
  ['endpoint-independent', 'unknown', 'cone'],
  ['address-dependent', 'endpoint-independent', 'symmetric'],
  ['address-and-port-dependent', 'address-and-port-dependent', 'symmetric'],
  ['unknown', 'unknown', 'unknown'],
] as const)('%s mapping and %s filtering is %s', (mapping, filtering, type) => {
  expect(natType(mapping, filtering)).toBe(type);
});

describe('filtering', () => {
  const cone = samplesOf([
    [A, '1.2.3.4:5'],
    [B2, '1.2.3.4:5'],
  ]);
  const filteringOf = (filtering: Observations['filtering']) =>
    judge(observed(cone, { filtering })).filtering;

  test('is what came in', () => {
    expect(filteringOf({ otherAddress: true, otherPort: true })).toBe('endpoint-independent');
    expect(filteringOf({ otherAddress: false, otherPort: true })).toBe('address-dependent');
    expect(filteringOf({ otherAddress: false, otherPort: false })).toBe('address-and-port-dependent');
    expect(filteringOf(undefined)).toBe('unknown');
  });

  test('without a NAT: none, or a firewall', () => {
    const open = samplesOf([
      [A, `5.6.7.8:${LOCAL_PORT}`],
      [B2, `5.6.7.8:${LOCAL_PORT}`],
    ]);
    const own = { localAddress: '5.6.7.8', localAddresses: ['5.6.7.8'] };
    const of = (other: boolean) =>
      judge(observed(open, { ...own, filtering: { otherAddress: other, otherPort: other } }));
    expect(of(true)).toMatchObject({ mapping: 'none', filtering: 'none', type: 'open', cgnat: false });
    expect(of(false)).toMatchObject({
      mapping: 'none',
      filtering: 'address-and-port-dependent',
      type: 'open',
    });
  });
});

describe('a server that lies', () => {
  const grid = [A, A2, B, B2].map((to) => [to, '1.2.3.4:5000'] as const);

  test('about the port is not believed against two addresses of a more trusted one', () => {
    const samples = samplesOf(grid, [['9.9.9.9:3478', '1.2.3.4:6666']]);
    expect([...contradictedServers(samples)]).toEqual([1]);
    expect(judge(observed(samples))).toMatchObject({ type: 'cone', reflexive: { port: 5000 } });
  });

  test('is outvoted by two others, even the most trusted, and however many addresses it has', () => {
    const liar = ['9.9.9.9:3478', '9.9.9.9:3479', '9.9.9.8:3478'].map((to) => [to, '6.6.6.6:666'] as const);
    const samples = samplesOf(liar, [[A, '1.2.3.4:5000']], [[B, '1.2.3.4:5000']]);
    expect([...contradictedServers(samples)]).toEqual([0]);
    expect(judge(observed(samples))).toMatchObject({ type: 'cone', reflexive: { port: 5000 } });
  });

  test.each([
    ['one address', grid.slice(0, 2)],
    ['two addresses', grid],
  ])('about the address, with two of its own, changes nothing beside a trusted one with %s', (_, own) => {
    const liar = ['9.9.9.9:3478', '9.9.9.8:3479'].map((to) => [to, '6.6.6.6:666'] as const);
    const samples = samplesOf(own, liar);
    expect([...contradictedServers(samples)]).toEqual([1]);
    expect(judge(observed(samples))).toMatchObject({ type: 'cone', reflexive: { address: '1.2.3.4' } });
  });

  test('about the address is outvoted even where ports differ', () => {
    const symmetric = (to: string, port: number) => [[to, `1.2.3.4:${port}`] as const];
    const samples = samplesOf([['9.9.9.9:3478', '6.6.6.6:5000']], symmetric(A, 1025), symmetric(B, 1026));
    expect([...contradictedServers(samples)]).toEqual([0]);
    expect(judge(observed(samples)).reflexive?.address).toBe('1.2.3.4');
  });

  test('is not one behind whose back a NAT with several public addresses takes another', () => {
    const samples = samplesOf(
      [
        [A, '1.2.3.4:5000'],
        [B, '1.2.3.5:5000'],
      ],
      [['9.9.9.9:3478', '1.2.3.4:5000']],
    );
    expect(contradictedServers(samples).size).toBe(0);
    expect(judge(observed(samples)).type).toBe('symmetric');
  });

  test('is not found where it is one word against another', () => {
    expect(contradictedServers(samplesOf([[A, '1.2.3.4:5']], [[B, '1.2.3.4:6']])).size).toBe(0);
  });

  test('is not a server behind whose back a symmetric NAT changes ports', () => {
    forSeeds(200, (random) => {
      const port = () => 1024 + random.integer(64_000);
      const servers = Array.from({ length: 2 + random.integer(5) }, (_, i) => [
        [`45.80.${i}.1:3478`, `1.2.3.4:${port()}`] as const,
        [`45.80.${i}.1:3479`, `1.2.3.4:${port()}`] as const,
      ]);
      expect(contradictedServers(samplesOf(...servers)).size).toBe(0);
    });
  });
});

describe('CGNAT', () => {
  const behind = (more: Partial<Observations>) =>
    judge(
      observed(
        samplesOf([
          [A, '1.2.3.4:5'],
          [B2, '1.2.3.4:5'],
        ]),
        more,
      ),
    ).cgnat;

  test('is where the router itself is in shared address space, or packets need more than two hops', () => {
    expect(behind({ localAddress: '100.64.3.4' })).toBe(true);
    expect(behind({ armingTtl: 3 })).toBe(true);
  });

  test('two hops do not rule it out: the provider may filter nothing', () => {
    expect(behind({ armingTtl: 2 })).toBeNull();
    expect(behind({})).toBeNull();
  });
});
