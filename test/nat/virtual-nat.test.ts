import { describe, expect, it } from 'vitest';
import { ensure, forSeeds } from '../support/seeds.ts';
import type { VirtualSocket } from '../support/virtual-host.ts';
import type { Dependence, NatOptions } from '../support/virtual-nat.ts';
import type { PortAllocation } from '../support/virtual-ports.ts';
import { CONE, listen, SYMMETRIC, virtualWorld } from '../support/virtual-world.ts';

const BYTES = Buffer.from('hello');

const DEPENDENCES: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

describe('a NAT', () => {
  for (const mapping of DEPENDENCES) {
    for (const filtering of DEPENDENCES) {
      it(`maps ${mapping} and filters ${filtering}`, () => {
        const { four, behind } = virtualWorld();
        const { probe } = behind({ ...CONE, mapping, filtering, allocation: { pattern: 'random' } });
        expect(probe.mapping(four)).toBe(mapping);
        expect(probe.filtering(four)).toBe(filtering);
        expect(probe.poisonable(four)).toBe(mapping !== 'endpoint-independent');
      });
    }
  }

  it('forgets a mapping that is idle for 30 s, and keeps one that is used either way', () => {
    const { runtime, internet, four, behind } = virtualWorld();
    const { nat, host, probe } = behind({ ...CONE, allocation: { pattern: 'random' } });
    const socket = host.open({ family: 4 });
    const port = () => probe.ask(socket, four[0])?.mapped.port ?? 0;
    const first = port();
    runtime.advance(29_000);
    expect(port()).toBe(first);
    runtime.advance(29_000);
    internet.inject({ from: four[0], to: { address: nat.address, port: first }, bytes: BYTES });
    runtime.advance(29_000);
    expect(port()).toBe(first);
    runtime.advance(30_000);
    const second = port();
    expect(second).not.toBe(first);
    nat.flush();
    expect(port()).not.toBe(second);
  });

  it('forgets each destination for itself, and frees the ports of what it forgets', () => {
    const { runtime, internet, four, behind } = virtualWorld();
    const { nat, host, probe } = behind(CONE);
    const socket = host.open({ family: 4, port: 5000 });
    socket.send(BYTES, four[0]);
    socket.send(BYTES, four[1]);
    runtime.advance(20_000);
    socket.send(BYTES, four[0]);
    runtime.advance(15_000);
    const heard = listen(socket);
    for (const from of [four[0], four[1]]) {
      internet.inject({ from, to: { address: nat.address, port: 5000 }, bytes: BYTES });
    }
    runtime.advance(50);
    expect(heard).toEqual([four[0]]);
    nat.flush();
    expect(probe.ask(socket, four[0])?.mapped.port).toBe(5000);
  });

  it('blocks UDP when told to', () => {
    const { four, behind } = virtualWorld();
    const { nat, probe } = behind(CONE);
    nat.blockUdp = true;
    expect(probe.mapping(four)).toBe('unknown');
    nat.blockUdp = false;
    expect(probe.mapping(four)).toBe('endpoint-independent');
  });

  it('gives another port towards one destination where another host has the same port', () => {
    const { runtime, internet, four, nat, probe } = virtualWorld();
    const router = nat(CONE);
    const one = internet.addHost('192.168.1.2', router);
    const other = internet.addHost('192.168.1.3', router);
    other.open({ family: 4, port: 5000 }).send(BYTES, four[0]);
    runtime.advance(50);
    const asking = probe(one);
    const socket = asking.open(5000);
    const ports = four.map((to) => asking.ask(socket, to)?.mapped.port);
    expect(ports.map((port) => port === 5000)).toEqual([false, true, true, true]);
    expect(ports[0]).toBeGreaterThan(0);
    expect(asking.ask(socket, four[0])?.mapped.port).toBe(ports[0]);
  });

  it('tells two hosts with the same port apart by who answers, and gives the later one what strangers send', () => {
    const { runtime, internet, four, nat } = virtualWorld();
    const router = nat({ ...CONE, filtering: 'endpoint-independent' });
    const [first, second] = ['192.168.1.2', '192.168.1.3'].map((address) =>
      internet.addHost(address, router).open({ family: 4, port: 5000 }),
    ) as [VirtualSocket, VirtualSocket];
    const ears = [listen(first), listen(second)];
    first.send(BYTES, four[0]);
    second.send(BYTES, four[3]);
    for (const from of [four[0], four[1], four[3]]) {
      internet.inject({ from, to: { address: CONE.address, port: 5000 }, bytes: BYTES });
    }
    runtime.advance(50);
    expect(ears).toEqual([[four[0]], [four[1], four[3]]]);
  });
});

describe('allocation', () => {
  const steps = (ports: number[]) => ports.slice(1).map((port, i) => port - (ports[i] ?? 0));
  const drawn = (allocation: PortAllocation, seed: number, burn = 0) => {
    const { four, behind } = virtualWorld(seed);
    const { nat, probe } = behind({ ...SYMMETRIC, allocation });
    const ports = probe.ports(four, 8);
    nat.burn(burn);
    return [...ports, ...probe.ports(four, 1)];
  };

  it('is sequential, in steps of any size and direction, and goes on while others burn ports', () => {
    for (const step of [1, 2, -3, 17]) {
      const ports = drawn({ pattern: 'sequential', step }, 1, 5);
      expect(steps(ports)).toEqual([...Array(7).fill(step), 6 * step]);
    }
  });

  it('is jittered', () => {
    const found = steps(drawn({ pattern: 'sequential', step: -2, jitter: [1, 1, 3] }, 1)).map(
      (step) => step / -2,
    );
    expect(new Set(found)).toEqual(new Set([1, 3]));
  });

  it('begins again where the ports end', () => {
    forSeeds(20, (_, seed) => {
      const ports = drawn({ pattern: 'sequential', step: 9001 }, seed, 40);
      ensure(
        ports.every((port) => port >= 1024 && port <= 65_535),
        'ports are ports',
      );
      ensure(
        steps(ports).some((step) => step < 0),
        'it begins again',
      );
    });
  });

  it('stays within a block, and shares its ports when there are more mappings', () => {
    const { four, behind } = virtualWorld();
    const { probe } = behind({ ...SYMMETRIC, allocation: { pattern: 'block', first: 20_480, size: 16 } });
    const ports = probe.ports(four, 20);
    expect(new Set(ports.slice(0, 16)).size).toBe(16);
    expect(ports.slice(0, 16).every((port) => port >= 20_480 && port < 20_496)).toBe(true);
    expect(ports.slice(16)).toEqual([0, 0, 0, 0]);
    expect(probe.ask(probe.open(), four[1])?.mapped.port).toBeGreaterThanOrEqual(20_480);
  });

  it('is random over all ports', () => {
    forSeeds(20, (_, seed) => {
      const ports = drawn({ pattern: 'random' }, seed);
      ensure(Math.max(...ports) - Math.min(...ports) > 4096, 'ports are far apart');
    });
  });

  it('is constant for a socket, and another port than inside', () => {
    const { four, behind } = virtualWorld();
    const { probe } = behind({ ...CONE, allocation: { pattern: 'constant' } });
    const socket = probe.open(5000);
    const ports = four.map((to) => probe.ask(socket, to)?.mapped.port);
    expect(new Set(ports).size).toBe(1);
    expect(ports).not.toContain(5000);
  });

  it('preserves the port, for the first destination where the mapping depends on it', () => {
    const { four, behind } = virtualWorld();
    const { probe } = behind({ ...SYMMETRIC, allocation: { pattern: 'preserving' } });
    const socket = probe.open(5000);
    const ports = four.map((to) => probe.ask(socket, to)?.mapped.port);
    expect(ports[0]).toBe(5000);
    expect(new Set(ports).size).toBe(4);
  });
});

describe('hairpinning', () => {
  const call = (options: NatOptions) => {
    const { runtime, internet, four, nat, probe } = virtualWorld();
    const router = nat(options);
    const probes = ['192.168.1.2', '192.168.1.3'].map((address) => probe(internet.addHost(address, router)));
    const [one, other] = probes.map((asking) => {
      const socket = asking.open();
      const mapped = asking.ask(socket, four[0])?.mapped ?? { address: '', port: 0 };
      return { socket, mapped, heard: listen(socket) };
    });
    if (one === undefined || other === undefined) throw new Error('two hosts');
    one.socket.send(BYTES, other.mapped);
    other.socket.send(BYTES, one.mapped);
    runtime.advance(1);
    return { one, other };
  };

  it('brings packets back with the external source, through the filter', () => {
    const { one, other } = call({ ...CONE, hairpin: true, poisonable: true });
    expect(one.heard).toEqual([other.mapped]);
    expect(other.heard).toEqual([]);
    const open = call({ ...CONE, filtering: 'endpoint-independent', hairpin: true });
    expect(open.other.heard).toEqual([open.one.mapped]);
  });

  it('is off by default', () => {
    const { one, other } = call({ ...CONE, filtering: 'endpoint-independent' });
    expect([...one.heard, ...other.heard]).toEqual([]);
  });
});

describe('poisoning', () => {
  const firstPort = (options: NatOptions, arms: boolean) => {
    const { runtime, internet, four, behind } = virtualWorld();
    const { nat, probe } = behind(options);
    const socket = probe.open(5000);
    probe.ask(socket, four[0]);
    if (arms) socket.send(BYTES, four[3], { ttl: 2 });
    internet.inject({ from: four[3], to: { address: nat.address, port: 5000 }, bytes: BYTES });
    runtime.advance(50);
    return {
      towardsStranger: probe.ask(socket, four[3])?.mapped.port,
      towardsOthers: probe.ask(socket, four[2])?.mapped.port,
    };
  };

  it('costs the port towards who sent first, and nobody else', () => {
    const { towardsStranger, towardsOthers } = firstPort({ ...CONE, poisonable: true }, false);
    expect(towardsStranger).not.toBe(5000);
    expect(towardsStranger).toBeGreaterThan(0);
    expect(towardsOthers).toBe(5000);
  });

  it('is told apart by the port of the sender', () => {
    const { runtime, internet, four, behind } = virtualWorld();
    const { nat, probe } = behind({ ...CONE, filtering: 'address-dependent', poisonable: true });
    const socket = probe.open(5000);
    probe.ask(socket, four[0]);
    for (const from of [four[2], four[3]]) {
      internet.inject({ from, to: { address: nat.address, port: 5000 }, bytes: BYTES });
    }
    runtime.advance(50);
    const ports = four.slice(1).map((to) => probe.ask(socket, to)?.mapped.port);
    expect(ports.map((port) => port === 5000)).toEqual([true, false, false]);
  });

  it('is prevented by a packet that goes first, and by a NAT that drops', () => {
    expect(firstPort({ ...CONE, poisonable: true }, true).towardsStranger).toBe(5000);
    expect(firstPort(CONE, false).towardsStranger).toBe(5000);
  });

  it('is what a prober finds', () => {
    const { four, behind } = virtualWorld();
    expect(behind({ ...CONE, poisonable: true }).probe.poisonable(four)).toBe(true);
  });
});
