import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidatePriority, type Gathered, gatherCandidates } from '../../src/nat/candidates.ts';
import type { LocalAddress } from '../../src/net/interfaces.ts';
import { ipFromBytes, scopeOf } from '../../src/net/ip.ts';

const EVERYTHING = { lanAddresses: true, allInterfaces: true };
const USUAL = { lanAddresses: true, allInterfaces: false };
const PUBLIC = '45.80.1.2';

function local(address: string, deadEnd = false): LocalAddress {
  const family = address.includes(':') ? 6 : 4;
  return { name: 'eth0', address, family, prefixLength: 24, deadEnd };
}

/** A player at home: one LAN address, one IPv6 address, a router that maps a port, and docker. */
const HOME: Gathered = {
  addresses: [
    local('127.0.0.1', true),
    local('172.17.0.1', true),
    local('192.168.1.20'),
    local('2a0e:a2::2'),
  ],
  ports: { 4: 5000, 6: 6000 },
  reflexive: [
    { address: PUBLIC, port: 41000 },
    { address: '2a0e:a2::2', port: 6000 },
  ],
  mapped: { address: PUBLIC, port: 42000 },
};

const brief = (gathered: Gathered, policy = USUAL) =>
  gatherCandidates(gathered, policy).map(
    ({ kind, source, address, port }) => `${kind} ${source} ${address} ${port}`,
  );

describe('the candidates of a machine', () => {
  it('are its own addresses, the mapped one, and what STUN saw, each once and best first', () => {
    expect(brief(HOME)).toEqual([
      'host interface 2a0e:a2::2 6000',
      'host interface 192.168.1.20 5000',
      `server-reflexive port-mapping ${PUBLIC} 42000`,
      `server-reflexive stun ${PUBLIC} 41000`,
    ]);
  });

  it('name no LAN address where that is not wanted, not even one that STUN saw', () => {
    const reflexive = [
      ...HOME.reflexive,
      { address: '192.168.1.20', port: 5000 },
      { address: '100.64.1.2', port: 5000 },
    ];
    expect(brief({ ...HOME, reflexive }, { lanAddresses: false, allInterfaces: true })).toEqual([
      'host interface 2a0e:a2::2 6000',
      `server-reflexive port-mapping ${PUBLIC} 42000`,
      `server-reflexive stun ${PUBLIC} 41000`,
    ]);
  });

  it('include dead ends when asked, last, and the loopback never', () => {
    expect(brief(HOME, EVERYTHING).filter((text) => text.startsWith('host'))).toEqual([
      'host interface 2a0e:a2::2 6000',
      'host interface 192.168.1.20 5000',
      'host interface 172.17.0.1 5000',
    ]);
  });

  it.each([
    ['of a router behind another NAT', { address: '100.64.1.2', port: 42000 }],
    ['of another public address', { address: '45.80.1.3', port: 42000 }],
    ['below port 1024', { address: PUBLIC, port: 1023 }],
  ])('leave a mapping out: %s', (_, mapped) => {
    expect(brief({ ...HOME, mapped }).filter((text) => text.includes('port-mapping'))).toEqual([]);
  });

  it('have a port to be reached at', () => {
    expect(brief({ ...HOME, ports: { 4: 5000 }, reflexive: [] })).toEqual([
      'host interface 192.168.1.20 5000',
    ]);
    expect(brief({ ...HOME, ports: {}, reflexive: [] })).toEqual([]);
  });

  it('on the internet itself are one, whatever STUN adds', () => {
    const gathered = {
      addresses: [local(PUBLIC)],
      ports: { 4: 5000 },
      reflexive: [{ address: PUBLIC, port: 5000 }],
    };
    expect(brief(gathered)).toEqual([`host interface ${PUBLIC} 5000`]);
  });

  it('keep IPv4 among many temporary IPv6 addresses', () => {
    const temporary = Array.from({ length: 20 }, (_, i) => local(`2a0e:a2::${i + 1}`));
    const hosts = brief({ ...HOME, addresses: [...temporary, local('192.168.1.20')] });
    expect(hosts[1]).toBe('host interface 192.168.1.20 5000');
    expect(hosts.filter((text) => text.startsWith('host'))).toHaveLength(8);
  });

  it('are no more than 16, whatever many servers say', () => {
    const reflexive = Array.from({ length: 40 }, (_, i) => ({ address: PUBLIC, port: 41000 + i }));
    expect(brief({ ...HOME, reflexive })).toHaveLength(16);
  });

  it('share a foundation where they live and die together', () => {
    const reflexive = [...HOME.reflexive, { address: PUBLIC, port: 41001 }];
    const foundations = gatherCandidates({ ...HOME, reflexive }, USUAL).map(({ foundation }) => foundation);
    expect(foundations).toEqual(['1', '2', '3', '4', '4']);
  });
});

describe('a priority', () => {
  it.each([
    ['host', 65535, 2130706431],
    ['peer-reflexive', 65535, 1862270975],
    ['server-reflexive', 65535, 1694498815],
    ['relayed', 65535, 16777215],
    ['relayed', 0, 255],
  ] as const)('of %s, local preference %i, is RFC 8445’s %i', (kind, preference, priority) => {
    expect(candidatePriority(kind, preference)).toBe(priority);
  });
});

describe('whatever a machine has and others tell', () => {
  const v4 = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.constantFrom(
      [10, 0, 0, 1],
      [192, 168, 1, 1],
      [127, 0, 0, 1],
      [224, 0, 0, 1],
      [100, 64, 0, 1],
      [45, 80, 1, 2],
    ),
  );
  const v6 = fc
    .tuple(
      fc.constantFrom(0x00, 0x2a, 0x20, 0xfd, 0xfe, 0xff),
      fc.uint8Array({ minLength: 15, maxLength: 15 }),
    )
    .map(([first, rest]) => [first, ...rest]);
  const address = fc.oneof(v4, v6).map((bytes) => ipFromBytes(Buffer.from(bytes)));
  const port = fc.integer({ min: 0, max: 65535 });
  const endpoint = fc.record({ address, port });
  const input = fc.record({
    addresses: fc.array(
      fc.tuple(address, fc.boolean()).map(([text, deadEnd]) => local(text, deadEnd)),
      { maxLength: 40 },
    ),
    ports: fc.record({ 4: port, 6: port }, { requiredKeys: [] }),
    reflexive: fc.array(endpoint, { maxLength: 40 }),
    mapped: fc.option(endpoint, { nil: undefined }),
  });
  const policy = fc.record({ lanAddresses: fc.boolean(), allInterfaces: fc.boolean() });

  it('the candidates keep every promise', () => {
    fc.assert(
      fc.property(input, policy, (gathered, wanted) => {
        const candidates = gatherCandidates(gathered, wanted);
        const hosts = candidates.filter(({ kind }) => kind === 'host');
        expect(candidates.length).toBeLessThanOrEqual(16);
        expect(hosts.length).toBeLessThanOrEqual(8);
        const endpoints = candidates.map((candidate) => `${candidate.address} ${candidate.port}`);
        expect(new Set(endpoints).size).toBe(endpoints.length);
        const priorities = candidates.map(({ priority }) => priority);
        expect(priorities).toEqual([...new Set(priorities)].sort((one, other) => other - one));
        for (const candidate of candidates) {
          const scope = scopeOf(candidate.address);
          expect(candidate.port).toBeGreaterThanOrEqual(1024);
          expect(['multicast', 'broadcast', 'loopback', 'link-local', 'unspecified']).not.toContain(scope);
          if (!wanted.lanAddresses) expect(scope).toBe('global');
        }
        const usable = gathered.addresses.filter(({ deadEnd }) => wanted.allInterfaces || !deadEnd);
        for (const host of hosts) expect(usable.map((one) => one.address)).toContain(host.address);
      }),
      { numRuns: 500 },
    );
  });
});
