import type { Endpoint } from '../../src/net/endpoint.ts';
import { Random } from './random.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import { VirtualInternet } from './virtual-internet.ts';
import { type NatOptions, VirtualNat } from './virtual-nat.ts';
import { type FourEndpoints, VirtualProbe } from './virtual-probe.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

/** The NAT of most homes. */
export const CONE = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  allocation: { pattern: 'preserving' },
  address: '45.80.1.2',
} as const satisfies NatOptions;

/** A carrier's, or a company's. */
export const SYMMETRIC = {
  ...CONE,
  mapping: 'address-and-port-dependent',
  allocation: { pattern: 'sequential', step: 1 },
} as const satisfies NatOptions;

/** An internet with one server, and whatever hosts and NATs a test wants. */
export function virtualWorld(seed = 1) {
  const runtime = new VirtualRuntime(seed);
  const random = new Random(seed);
  const internet = new VirtualInternet(runtime, random);
  const server = internet.addStunServer({ addresses: ['45.80.9.10', '45.80.9.11'], ports: [3478, 3479] });
  const nat = (options: NatOptions) => new VirtualNat(options, random);
  const probe = (host: VirtualHost, family?: 4 | 6) => new VirtualProbe(runtime, random, host, family);
  /** A host behind a NAT, and a prober on it. */
  const behind = (options: NatOptions) => {
    const router = nat(options);
    const host = internet.addHost('192.168.1.2', router);
    return { nat: router, host, probe: probe(host) };
  };
  return {
    runtime,
    random,
    internet,
    server,
    four: server.endpoints as FourEndpoints,
    nat,
    probe,
    behind,
  };
}

/** A socket's ear: who was heard. */
export function listen(socket: VirtualSocket): Endpoint[] {
  const heard: Endpoint[] = [];
  socket.onDatagram = (_, from) => heard.push(from);
  return heard;
}
