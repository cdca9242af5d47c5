import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { NatOptions } from '../support/virtual-nat.ts';
import type { FourEndpoints, VirtualProbe } from '../support/virtual-probe.ts';
import type { Packet } from '../support/virtual-router.ts';
import { CONE, listen, SYMMETRIC, virtualWorld } from '../support/virtual-world.ts';

const BYTES = Buffer.from('hello');

describe('hops', () => {
  /** The smallest TTL with which a packet to a stranger opens the filter towards it. */
  const arming = ({ probe, four }: { probe: VirtualProbe; four: FourEndpoints }) =>
    [1, 2, 3, 4].find((ttl) => {
      const socket = probe.open();
      socket.send(BYTES, four[3], { ttl });
      return probe.ask(socket, four[0], 6) !== undefined;
    });

  it('end a packet of TTL 2 in the core, after it has made a mapping', () => {
    const { internet, four, behind } = virtualWorld();
    const { probe, host } = behind(SYMMETRIC);
    const seen: Packet[] = [];
    internet.onPacket = (packet) => {
      seen.push(packet);
      return undefined;
    };
    const [before = 0] = probe.ports(four, 1);
    for (const ttl of [1, 2]) host.open({ family: 4 }).send(BYTES, four[0], { ttl });
    const [after] = probe.ports(four, 1);
    expect(after).toBe(before + 2);
    expect(seen.filter(({ ttl }) => ttl < 10).map(({ ttl, from }) => [ttl, from.port])).toEqual([
      [1, before + 1],
    ]);
  });

  it('are counted: a NAT, a second one, a firewall', () => {
    const { internet, four, nat, probe, behind } = virtualWorld();
    expect(arming({ ...behind(CONE), four })).toBe(2);
    const carrier = nat({ ...CONE, address: '45.80.2.2', inside: '100.64.1.1/24' });
    const home = nat({ ...CONE, address: '100.64.1.2', behind: carrier });
    expect(arming({ probe: probe(internet.addHost('192.168.1.2', home)), four })).toBe(3);
    const walled = internet.addHost('45.80.5.2');
    walled.firewall = 'stateful';
    expect(arming({ probe: probe(walled), four })).toBe(2);
  });

  it('let no packet of TTL 3 past the far NAT', () => {
    const { runtime, internet, behind } = virtualWorld();
    const { host } = behind({ ...CONE, filtering: 'endpoint-independent' });
    const socket = host.open({ family: 4 });
    const far = internet.addHost('45.80.5.2').open({ family: 4 });
    socket.send(BYTES, far.local);
    const heard = listen(socket);
    const to = { address: '45.80.1.2', port: socket.local.port };
    for (const ttl of [2, 3]) far.send(BYTES, to, { ttl });
    runtime.advance(50);
    expect(heard).toHaveLength(1);
  });
});

describe('two NATs in a row', () => {
  const carried = (inner: Partial<NatOptions>, outer: Partial<NatOptions>) => {
    const all = virtualWorld();
    const carrier = all.nat({ ...CONE, address: '45.80.2.2', inside: '100.64.1.1/24', ...outer });
    const homes = ['100.64.1.2', '100.64.1.3'].map((address) =>
      all.internet.addHost('192.168.1.2', all.nat({ ...CONE, address, behind: carrier, ...inner })),
    );
    return { ...all, homes };
  };

  it('behave as the stricter of each', () => {
    const { homes, probe, four } = carried(
      { filtering: 'endpoint-independent' },
      { ...SYMMETRIC, address: '45.80.2.2', filtering: 'address-dependent' },
    );
    for (const home of homes) {
      expect(probe(home).mapping(four)).toBe('address-and-port-dependent');
      expect(probe(home).filtering(four)).toBe('address-dependent');
    }
  });

  it('show the outer address, and bring neighbours together where the outer one hairpins', () => {
    const { homes, probe, four, runtime } = carried(
      { filtering: 'endpoint-independent' },
      { filtering: 'endpoint-independent', hairpin: true },
    );
    const [one, other] = homes.map((home) => {
      const asking = probe(home);
      const socket = asking.open();
      return { socket, mapped: asking.ask(socket, four[0])?.mapped, heard: [] as Endpoint[] };
    });
    if (one?.mapped === undefined || other?.mapped === undefined) throw new Error('no answer');
    expect([one.mapped.address, other.mapped.address]).toEqual(['45.80.2.2', '45.80.2.2']);
    const heard = listen(other.socket);
    one.socket.send(BYTES, other.mapped);
    runtime.advance(1);
    expect(heard).toEqual([one.mapped]);
  });
});

describe('a LAN', () => {
  it('carries packets between its hosts, and lets none for it out', () => {
    const { runtime, internet, nat } = virtualWorld();
    const router = nat(CONE);
    const one = internet.addHost('192.168.1.2', router).open({ family: 4 });
    const other = internet.addHost('192.168.1.3', router).open({ family: 4 });
    const crossing: Packet[] = [];
    internet.onPacket = (packet) => {
      crossing.push(packet);
      return 'drop';
    };
    const heard = listen(other);
    one.send(BYTES, other.local, { ttl: 1 });
    one.send(BYTES, { address: '192.168.1.77', port: 1 });
    runtime.advance(0);
    expect(heard).toEqual([one.local]);
    expect(crossing).toEqual([]);
  });
});

describe('a host without NAT', () => {
  it('hears everybody, or only answers where it is behind a firewall', () => {
    const { runtime, internet, four, probe } = virtualWorld();
    const host = internet.addHost('45.80.5.2');
    const probing = probe(host);
    expect([probing.mapping(four), probing.filtering(four)]).toEqual(['none', 'endpoint-independent']);
    host.firewall = 'stateful';
    expect([probing.mapping(four), probing.filtering(four)]).toEqual(['none', 'address-and-port-dependent']);
    const socket = probing.open();
    socket.send(BYTES, four[0]);
    const heard = listen(socket);
    runtime.advance(30_000);
    internet.inject({ from: four[0], to: socket.local, bytes: BYTES });
    runtime.advance(50);
    expect(heard).toEqual([]);
  });

  it('can have an IPv6 address beside a translated IPv4 one, and the firewall is in front of that only', () => {
    const { internet, four, nat, probe } = virtualWorld();
    const server = internet.addStunServer({ addresses: ['2a0e:90::10', '2a0e:90::11'], ports: [3478, 3479] });
    const six = server.endpoints as FourEndpoints;
    const router = nat({ ...CONE, filtering: 'endpoint-independent' });
    const host = internet.addHost('192.168.1.2', router, { ipv6: '2a0e:a2::2' });
    expect(probe(host, 6).mapping(six)).toBe('none');
    expect(probe(host, 6).filtering(six)).toBe('endpoint-independent');
    host.firewall = 'stateful';
    expect(probe(host, 6).mapping(six)).toBe('none');
    expect(probe(host, 6).filtering(six)).toBe('address-and-port-dependent');
    expect(probe(host).mapping(four)).toBe('endpoint-independent');
    expect(probe(host).filtering(four)).toBe('endpoint-independent');
  });
});

describe('the core', () => {
  const delivered = (seed: number, lossPercent: number, jitterMs = 0) => {
    const { runtime, internet } = virtualWorld(seed);
    internet.lossPercent = lossPercent;
    internet.jitterMs = jitterMs;
    const to = internet.addHost('45.80.5.2').open({ family: 4 });
    const from = internet.addHost('45.80.5.3').open({ family: 4 });
    const heard: string[] = [];
    to.onDatagram = (bytes) => heard.push(`${bytes} at ${runtime.now()}`);
    for (let i = 0; i < 200; i++) from.send(Buffer.from(String(i)), to.local);
    runtime.advance(1000);
    return heard;
  };

  it('takes its time, loses and reorders, and does the same again for the same seed', () => {
    expect(delivered(1, 0)).toEqual(Array.from({ length: 200 }, (_, i) => `${i} at 10`));
    const some = delivered(1, 25, 5);
    expect(some.length).toBeGreaterThan(120);
    expect(some.length).toBeLessThan(180);
    expect(delivered(1, 25, 5)).toEqual(some);
    expect(delivered(2, 25, 5)).not.toEqual(some);
    const order = some.map((line) => Number.parseInt(line, 10));
    expect([...order].sort((a, b) => a - b)).not.toEqual(order);
    expect(delivered(1, 100)).toEqual([]);
  });

  it('drops, delays and repeats what a test says', () => {
    const { runtime, internet } = virtualWorld();
    const to = internet.addHost('45.80.5.2').open({ family: 4 });
    const from = internet.addHost('45.80.5.3').open({ family: 4 });
    const heard: string[] = [];
    to.onPacket('quic', (bytes) => heard.push(`${bytes} at ${runtime.now()}`));
    const fates = { a: 'drop', b: { delayMs: 5 }, c: { copies: 2 }, d: undefined } as const;
    internet.onPacket = ({ bytes }) => fates[String(bytes) as keyof typeof fates];
    for (const name of Object.keys(fates)) from.send(Buffer.from(`${name}`), to.local);
    runtime.advance(100);
    expect(heard).toEqual(['c at 10', 'c at 10', 'd at 10', 'b at 15']);
    to.close();
    from.send(Buffer.from('d'), to.local);
    runtime.advance(100);
    expect(heard).toHaveLength(4);
    from.close();
    let crossing = 0;
    internet.onPacket = () => {
      crossing += 1;
      return undefined;
    };
    from.send(Buffer.from('d'), to.local);
    expect(crossing).toBe(0);
  });
});

describe('a STUN server', () => {
  it('can be silent, late, repetitive, lying, and answer from elsewhere', () => {
    const { internet, server, four, probe, runtime } = virtualWorld();
    const asking = probe(internet.addHost('45.80.5.2'));
    const socket = asking.open(5000);
    const ask = () => asking.askAll([[socket, four[0]]])[0] ?? [];
    const truth = { mapped: socket.local, from: four[0] };
    expect(ask()).toEqual([truth]);
    server.manners.silent = true;
    expect(ask()).toEqual([]);
    server.manners.silent = false;
    server.manners.duplicate = 3;
    expect(ask()).toEqual([truth, truth, truth]);
    server.manners.duplicate = 1;
    server.manners.delayMs = 79;
    expect(ask()).toEqual([truth]);
    server.manners.delayMs = 81;
    expect(ask()).toEqual([]);
    server.manners.delayMs = 0;
    server.manners.lie = ({ port }) => ({ address: '45.80.66.6', port: port + 1 });
    expect(ask()).toEqual([{ mapped: { address: '45.80.66.6', port: 5001 }, from: four[0] }]);
    server.manners.lie = undefined;
    server.manners.wrongSource = { address: '45.80.66.6', port: 3478 };
    expect(ask()).toEqual([{ mapped: socket.local, from: server.manners.wrongSource }]);
    expect(runtime.pendingTimers).toBe(0);
  });
});
