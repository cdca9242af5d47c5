import { describe, expect, test } from 'vitest';
import { DiscoveryWorld, PUBLIC_ADDRESS } from '../support/discovery-world.ts';
import { forSeeds } from '../support/seeds.ts';
import type { Dependence } from '../support/virtual-nat.ts';
import type { PortAllocation } from '../support/virtual-ports.ts';

const DEPENDENCES: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

describe.each(DEPENDENCES)('%s mapping', (mapping) => {
  test.each(DEPENDENCES)('with %s filtering is recognised, in time', (filtering) => {
    const pattern = mapping === 'endpoint-independent' ? 'preserving' : 'random';
    forSeeds(10, (_, seed) => {
      const world = new DiscoveryWorld(seed, { mapping, filtering, allocation: { pattern } });
      const { report, mappedAfter = Number.NaN, elapsed } = world.discover();
      expect(report).toMatchObject({ mapping, filtering, mapping_confidence: 'addresses' });
      expect(report).toMatchObject({ public_address: PUBLIC_ADDRESS, local_address: '192.168.1.2' });
      expect(report.allocation?.pattern).toBe(pattern);
      expect(mappedAfter).toBeLessThan(500);
      expect(elapsed).toBeLessThan(1500);
    });
  });
});

describe('allocation', () => {
  const of = (allocation: PortAllocation, seed = 1) =>
    new DiscoveryWorld(seed, { mapping: 'address-and-port-dependent', allocation }).discover().report
      .allocation;

  test('sequential, any step and direction', () => {
    forSeeds(60, (random, seed) => {
      const step = (1 + random.integer(30)) * random.pick([1, -1]);
      expect(of({ pattern: 'sequential', step }, seed)).toEqual({ pattern: 'sequential', step, range: null });
    });
  });

  test('sequential with gaps', () => {
    forSeeds(60, (_, seed) => {
      const jittered = of({ pattern: 'sequential', step: 1, jitter: [1, 1, 1, 2, 3, 4] }, seed);
      expect(jittered?.pattern).toBe('sequential');
    });
  });

  test('out of a block', () => {
    forSeeds(60, (random, seed) => {
      const size = 300 + random.integer(600);
      const allocation = of({ pattern: 'block', first: 20_480, size }, seed);
      expect(allocation?.pattern).toBe('block');
      const [low = 0, high = 0] = allocation?.range ?? [];
      expect(low).toBeLessThan(20_480 + size);
      expect(high).toBeGreaterThan(20_480);
    });
  });

  test('another port that is always the same', () => {
    const world = new DiscoveryWorld(1, { allocation: { pattern: 'constant' } });
    expect(world.discover().report.allocation?.pattern).toBe('constant');
  });
});

describe('no NAT', () => {
  test('and no firewall is open', () => {
    const { report } = new DiscoveryWorld(1, undefined).discover();
    expect(report).toMatchObject({ type: 'open', mapping: 'none', filtering: 'none', cgnat: false });
    expect(report).toMatchObject({ public_address: '45.80.5.2', allocation: { pattern: 'preserving' } });
  });

  test('but a stateful firewall', () => {
    const world = new DiscoveryWorld(1, undefined);
    world.host.firewall = 'stateful';
    const { report } = world.discover();
    expect(report).toMatchObject({ type: 'open', mapping: 'none', filtering: 'address-and-port-dependent' });
  });
});

describe('the finer behaviours', () => {
  test.each([true, false])('poisonable: %s', (poisonable) => {
    forSeeds(20, (_, seed) => {
      expect(new DiscoveryWorld(seed, { poisonable }).discover().report.poisonable).toBe(poisonable);
    });
  });

  test.each([true, false])('hairpin: %s', (hairpin) => {
    expect(new DiscoveryWorld(1, { hairpin }).discover().report.hairpin).toBe(hairpin);
  });

  test('one NAT is opened with a TTL of 2, and that rules no carrier NAT out', () => {
    expect(new DiscoveryWorld(1, {}).discover().report).toMatchObject({ arming_ttl: 2, cgnat: null });
  });

  test('where everything is let in, no TTL can be told', () => {
    const world = new DiscoveryWorld(1, { filtering: 'endpoint-independent' }, {}, true);
    expect(world.discover().report).toMatchObject({ type: 'full-cone', arming_ttl: null, cgnat: null });
  });

  test('a NAT that counts is opened with the same, also when it skips ports', () => {
    forSeeds(20, (_, seed) => {
      const allocation = { pattern: 'sequential', step: -1, jitter: [1, 1, 1, 2, 3, 4] } as const;
      const world = new DiscoveryWorld(seed, { mapping: 'address-and-port-dependent', allocation });
      expect(world.discover().report.arming_ttl).toBe(2);
    });
  });
});

describe('what the network and servers do to it', () => {
  const CONE = {
    type: 'port-restricted-cone',
    allocation: { pattern: 'preserving' },
    poisonable: false,
  } as const;

  test('a twentieth of all packets lost each way changes nothing that matters', () => {
    let right = 0;
    forSeeds(100, (_, seed) => {
      const world = new DiscoveryWorld(seed, { filtering: 'address-dependent' });
      world.internet.lossPercent = 5;
      const { report, elapsed } = world.discover();
      expect(report.mapping).toBe('endpoint-independent');
      expect(elapsed).toBeLessThanOrEqual(1500);
      if (report.filtering === 'address-dependent') right++;
    });
    expect(right).toBeGreaterThanOrEqual(98);
  });

  test('jitter that changes the order of packets changes no mapping', () => {
    forSeeds(50, (_, seed) => {
      const world = new DiscoveryWorld(seed, {});
      world.internet.jitterMs = 30;
      expect(world.discover().report).toMatchObject({ type: 'port-restricted-cone' });
    });
  });

  test('a server far away takes its time, and is understood', () => {
    const world = new DiscoveryWorld(1, { filtering: 'address-dependent' });
    world.internet.latencyMs = 250;
    const { report, elapsed } = world.discover();
    expect(report).toMatchObject({ type: 'restricted-cone' });
    expect(elapsed).toBeLessThanOrEqual(1500);
  });

  test.each([
    ['repeated answers', { duplicate: 3 }],
    ['slow answers', { delayMs: 150 }],
  ])('%s', (_, manners) => {
    expect(new DiscoveryWorld(1, {}, manners).discover().report).toMatchObject(CONE);
  });

  test('answers from the wrong address are no answers', () => {
    const world = new DiscoveryWorld(1, undefined, { wrongSource: { address: '45.80.66.6', port: 3478 } });
    expect(world.discover().report).toMatchObject({ type: 'unknown', servers: [{ status: 'silent' }] });
  });

  test('answers that come too late are no answers', () => {
    const { report, elapsed } = new DiscoveryWorld(1, {}, { delayMs: 1600 }).discover();
    expect(report).toMatchObject({ type: 'unknown', udp_blocked: true });
    expect(elapsed).toBeLessThanOrEqual(1500);
  });

  test('UDP is blocked', () => {
    const world = new DiscoveryWorld(1, {});
    if (world.nat) world.nat.blockUdp = true;
    const { report, elapsed } = world.discover();
    expect(report).toMatchObject({
      udp_blocked: true,
      type: 'unknown',
      mapping: 'unknown',
      public_address: null,
    });
    expect(elapsed).toBeLessThanOrEqual(1000);
  });
});

describe('several servers', () => {
  const OTHER = { addresses: ['45.80.20.1', '45.80.20.2'], ports: [3478, 3479] };

  test('one that is dead costs little time and nothing else, even the first', () => {
    forSeeds(10, (_, seed) => {
      const allocation = { pattern: 'sequential', step: 3 } as const;
      const world = new DiscoveryWorld(
        seed,
        { mapping: 'address-and-port-dependent', allocation },
        { silent: true },
      );
      const other = world.internet.addStunServer(OTHER);
      const { report, mappedAfter } = world.discover([world.server.endpoints, other.endpoints]);
      expect(report).toMatchObject({
        type: 'symmetric',
        filtering: 'address-and-port-dependent',
        allocation: { pattern: 'sequential', step: 3 },
        servers: [{ status: 'silent' }, { status: 'answered' }],
      });
      expect(mappedAfter).toBeLessThan(500);
    });
  });

  test.each([
    ['less trusted than another', 1],
    ['the most trusted, against two', 0],
  ])('one that lies, %s, costs nothing but itself, and is named', (_, place) => {
    forSeeds(10, (_random, seed) => {
      const world = new DiscoveryWorld(seed, { filtering: 'address-dependent' });
      const lie = { lie: () => ({ address: '66.66.66.66', port: 6666 }) };
      const liar = world.internet.addStunServer(OTHER, lie);
      const third = world.internet.addStunServer({ addresses: ['45.80.30.1'], ports: [3478] });
      const servers = [world.server.endpoints, ...(place === 0 ? [third.endpoints] : [])];
      servers.splice(place, 0, liar.endpoints);
      const { report } = world.discover(servers);
      expect(report).toMatchObject({ type: 'restricted-cone', public_address: PUBLIC_ADDRESS });
      expect(report.servers.map(({ status }) => status === 'contradicted')).toEqual(
        servers.map((__, index) => index === place),
      );
    });
  });

  test('one that answers at one endpoint only names the others itself', () => {
    const world = new DiscoveryWorld(1, { mapping: 'address-dependent', allocation: { pattern: 'random' } });
    const { report } = world.discover([world.server.endpoints.slice(0, 1)]);
    expect(report).toMatchObject({
      mapping: 'address-dependent',
      mapping_confidence: 'addresses',
      filtering: 'address-and-port-dependent',
    });
  });

  test('one address tells by ports alone, and nothing of the filter', () => {
    const world = new DiscoveryWorld(1, {});
    const single = world.internet.addStunServer({ addresses: ['45.80.20.1'], ports: [3478, 3479] });
    const { report } = world.discover([single.endpoints]);
    expect(report).toMatchObject({
      ...{ mapping: 'endpoint-independent', mapping_confidence: 'ports' },
      ...{ filtering: 'unknown', type: 'cone', poisonable: null },
    });
  });

  test('two of one endpoint each are the dual-STUN table', () => {
    const two = (mapping: Dependence) => {
      const world = new DiscoveryWorld(1, { mapping, allocation: { pattern: 'random' } });
      const [a, b] = ['45.80.20.1', '45.80.20.2'].map((address) =>
        world.internet.addStunServer({ addresses: [address], ports: [3478] }),
      );
      return world.discover([a?.endpoints ?? [], b?.endpoints ?? []]).report;
    };
    expect(two('endpoint-independent').type).toBe('cone');
    expect(two('address-and-port-dependent').type).toBe('symmetric');
  });

  test('a server cannot send us into our own house, nor to a port below 1024', () => {
    for (const [address, port] of [
      ['192.168.1.1', 5000],
      ['45.80.77.7', 80],
      ['224.0.0.1', 5000],
    ] as const) {
      const world = new DiscoveryWorld(1, {});
      const visited = new Set<string>();
      world.internet.onPacket = ({ to }) => {
        visited.add(to.address);
        return undefined;
      };
      const rogue = world.internet.addStunServer({ addresses: ['45.80.20.1', address], ports: [3478, port] });
      world.discover([rogue.endpoints.slice(0, 1)]);
      expect([...visited]).not.toContain(address);
    }
  });

  test('none at all is over at once', () => {
    const { report, elapsed } = new DiscoveryWorld(1, {}).discover([]);
    expect(elapsed).toBe(0);
    expect(report).toMatchObject({ type: 'unknown', servers: [], udp_blocked: false });
  });
});

test('a carrier’s NAT behind the router’s needs a TTL of 3, and that gives it away', () => {
  forSeeds(10, (_, seed) => {
    const world = new DiscoveryWorld(seed, {}, {}, true);
    expect(world.discover().report).toMatchObject({
      arming_ttl: 3,
      cgnat: true,
      type: 'port-restricted-cone',
    });
  });
});

test('a port that another host of the house has taken is not held against the NAT', () => {
  const world = new DiscoveryWorld(1, {});
  const { nat } = world;
  const neighbour = world.internet.addHost('192.168.1.3', nat);
  const rival = neighbour.open({ family: 4, port: 50_000 });
  for (const to of world.server.endpoints.slice(0, 2)) rival.send(Buffer.alloc(4), to);
  world.runtime.advance(100);
  const { report } = world.discover(undefined, [50_000]);
  expect(report).toMatchObject({ type: 'port-restricted-cone', allocation: { pattern: 'preserving' } });
});

test('a global IPv6 address is found beside all that', () => {
  const world = new DiscoveryWorld(1, {}, {}, false, '2a0e:a2::2');
  const server = world.internet.addStunServer({ addresses: ['2a0e:90::10'], ports: [3478] });
  const { report } = world.discover([[...world.server.endpoints, ...server.endpoints]]);
  expect(report).toMatchObject({ ipv6: '2a0e:a2::2', type: 'port-restricted-cone' });
});

test('it asks little of anybody', () => {
  forSeeds(20, (_, seed) => {
    const world = new DiscoveryWorld(seed, {
      mapping: 'address-and-port-dependent',
      allocation: { pattern: 'sequential', step: 1 },
    });
    const { socketsUsed } = world.discover();
    expect(socketsUsed).toBeLessThanOrEqual(16);
    expect(world.sent).toBeLessThan(130);
  });
});

describe('a NAT that keeps the port for the first destination only', () => {
  const mapping = 'address-and-port-dependent' as const;
  const far = (latency: number) => {
    const world = new DiscoveryWorld(1, { mapping, allocation: { pattern: 'preserving' } });
    world.internet.latencyMs = latency;
    return world.discover();
  };

  test.each([5, 20, 40, 100, 200, 300])('is not mistaken for another, at %i ms one way', (latency) => {
    const { report, mappedAfter } = far(latency);
    expect(report).toMatchObject({ type: 'symmetric', public_address: PUBLIC_ADDRESS });
    expect(mappedAfter).toBeLessThanOrEqual(Math.max(500, 2 * latency + 10));
  });
});

test('no server can aim us at somebody else: neither below port 1024 nor away from our own address', () => {
  for (const port of [53, 9999]) {
    const world = new DiscoveryWorld(1, {});
    const visited = new Set<string>();
    world.internet.onPacket = ({ to }) => {
      visited.add(`${to.address}:${to.port}`);
      return undefined;
    };
    let answers = 0;
    // At first it tells the truth, and later it names a victim.
    world.server.manners.lie = (mapped) => (++answers > 8 ? { address: '45.80.77.7', port } : mapped);
    world.discover();
    expect([...visited].filter((to) => to.startsWith('45.80.77.7'))).toEqual([]);
  }
});
