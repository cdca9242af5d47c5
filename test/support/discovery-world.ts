import { Discovery } from '../../src/nat/discovery.ts';
import { findingsOf } from '../../src/nat/findings.ts';
import type { NatReport } from '../../src/nat/report.ts';
import { reportOf } from '../../src/nat/report.ts';
import { Driver } from '../../src/net/driver.ts';
import { type Endpoint, familyOf } from '../../src/net/endpoint.ts';
import { Random } from './random.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import { VirtualInternet } from './virtual-internet.ts';
import { type NatOptions, VirtualNat } from './virtual-nat.ts';
import { VirtualRuntime } from './virtual-runtime.ts';
import type { StunManners, VirtualStunServer } from './virtual-stun-server.ts';

export const ADDRESSES = ['45.80.9.10', '45.80.9.11'] as const;
export const PORTS = [3478, 3479] as const;
export const PUBLIC_ADDRESS = '45.80.1.2';

/** A home with a NAT, a server with two addresses, and a discovery between them, in virtual time. */
export class DiscoveryWorld {
  readonly runtime: VirtualRuntime;
  readonly random: Random;
  readonly internet: VirtualInternet;
  readonly nat: VirtualNat | undefined;
  readonly host: VirtualHost;
  readonly server: VirtualStunServer;
  /** What the host sends, by packet. */
  sent = 0;

  /** Without a NAT the host is in the core; with a carrier, the NAT is behind one of the same kind. */
  constructor(
    seed: number,
    nat: Partial<NatOptions> | undefined,
    manners: StunManners = {},
    carrier = false,
    ipv6?: string,
  ) {
    this.runtime = new VirtualRuntime(seed);
    this.random = new Random(seed);
    this.internet = new VirtualInternet(this.runtime, this.random, { latencyMs: 20 });
    const options = { ...PORT_RESTRICTED, ...nat };
    const behind = carrier ? new VirtualNat({ ...options, inside: '100.64.1.1/24' }, this.random) : undefined;
    const home = behind ? { ...options, address: '100.64.1.2', behind } : options;
    this.nat = nat && new VirtualNat(home, this.random);
    const more = ipv6 === undefined ? {} : { ipv6 };
    this.host = this.nat
      ? this.internet.addHost('192.168.1.2', this.nat, more)
      : this.internet.addHost('45.80.5.2');
    this.server = this.internet.addStunServer({ addresses: ADDRESSES, ports: PORTS }, manners);
  }

  /** Runs a discovery against servers, by default the one with two addresses. */
  discover(
    servers: readonly (readonly Endpoint[])[] = [this.server.endpoints],
    ports: number[] = [],
  ): Outcome {
    const { runtime, host } = this;
    const localAddress = host.addresses[0];
    const sockets = new Map<number, VirtualSocket>();
    let done = false;
    let early: Outcome['early'];
    const named = servers.map((endpoints, i) => ({ name: `server ${i}`, endpoints }));
    const discovery = new Discovery({
      servers: named,
      localAddress,
      localAddresses: host.addresses,
      randomBytes: (size) => runtime.randomBytes(size),
    });
    const driver = new Driver(discovery, runtime, (output) => {
      if (output.type === 'open') {
        const { socket: id, family } = output;
        if (!host.addresses.some((address) => familyOf({ address, port: 0 }) === family)) {
          discovery.failed(id, runtime.now());
          return;
        }
        const port = ports.shift();
        const socket = host.open(port === undefined ? { family } : { family, port });
        sockets.set(id, socket);
        socket.onPacket('stun', (bytes, from) => {
          discovery.receive(id, from, bytes, runtime.now());
          driver.pump();
        });
        discovery.opened(id, socket.local.port, runtime.now());
      } else if (output.type === 'send') {
        this.sent++;
        sockets.get(output.socket)?.send(output.bytes, output.to, output.ttl ? { ttl: output.ttl } : {});
      } else if (output.type === 'early') {
        early = { report: reportNow(), elapsed: runtime.now() - startedAt, main: discovery.mainSocket };
      } else done = true;
    });
    const startedAt = runtime.now();
    const reportNow = () => {
      const elapsed = runtime.now() - startedAt;
      return reportOf(findingsOf(discovery, named, localAddress, elapsed), undefined);
    };
    discovery.start(startedAt);
    driver.pump();
    while (!done && runtime.now() - startedAt < 5000) runtime.advance(1);
    const elapsed = runtime.now() - startedAt;
    driver.stop();
    for (const socket of sockets.values()) socket.close();
    return {
      report: reportNow(),
      elapsed,
      early,
      main: discovery.mainSocket,
      mappedAfter: discovery.mappedAfter,
      socketsUsed: sockets.size,
    };
  }
}

export interface Outcome {
  readonly report: NatReport;
  /** In milliseconds of virtual time. */
  readonly elapsed: number;
  /** The same when hole punching could begin. */
  readonly early: Pick<Outcome, 'report' | 'elapsed' | 'main'> | undefined;
  /** Which socket it is about. */
  readonly main: number | undefined;
  readonly mappedAfter: number | undefined;
  readonly socketsUsed: number;
}

const PORT_RESTRICTED: NatOptions = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  allocation: { pattern: 'preserving' },
  address: PUBLIC_ADDRESS,
};
