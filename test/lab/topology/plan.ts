import type { Nat } from '../kinds/nat-kinds.ts';
import { IGD_TABLE } from '../rules/igd.ts';
import { PRIORITY, type Table } from '../rules/nftables.ts';
import { FIREWALL_V6, routerTable } from '../rules/router.ts';
import type { Cable } from '../system/namespaces.ts';
import { SERVER_ADDRESSES, SERVER_ADDRESSES_V6, SERVER_SUBNET, type Subnet, v4, v6 } from './addresses.ts';
import { DEFAULT_UDP_TIMEOUT, type LaboratoryOptions } from './options.ts';
import { Setup } from './setup.ts';
import type { Site } from './site.ts';

/** Everything that a laboratory consists of before anything runs in it. */
export class Plan {
  readonly setups = new Map<string, Setup>();
  readonly cables: Cable[] = [];
  readonly #ipv6: boolean;

  constructor(ipv6: boolean) {
    this.#ipv6 = ipv6;
  }

  machine(name: string): Setup {
    const setup = new Setup(this.#ipv6);
    this.setups.set(name, setup);
    return setup;
  }

  cable(inner: string, innerInterface: string, outer: string, outerInterface: string): void {
    this.cables.push([
      { namespace: inner, interface: innerInterface },
      { namespace: outer, interface: outerInterface },
    ]);
  }
}

/**
 * ```
 * a, a2 ─ (lan) router-a (wan) ─ [(lan) carrier-a (wan)] ─ core ─ [carrier-b] ─ router-b ─ b, b2
 *                                                           └──── server
 * ```
 * These are the namespaces; the core's interfaces are `to-a`, `to-b` and `to-server`.
 */
export function planLaboratory(options: LaboratoryOptions, sites: readonly Site[]): Plan {
  const plan = new Plan(options.ipv6 !== undefined);
  const core = plan.machine('core').forwarding().table(CORE_TABLE);
  planServer(plan, core);
  for (const site of sites) {
    planHosts(plan, site);
    const router = planHomeRouter(plan, site);
    if (options.ipv6 === 'firewalled') router.table(FIREWALL_V6);
    if (site.carrier) planCarrier(plan, site, site.carrier);
    planUplink(plan, core, site);
  }
  return plan;
}

/** Addresses that cannot be routed end here, as on the internet; what is sent to the core itself vanishes. */
const CORE_TABLE: Table = {
  family: 'ip',
  name: 'core',
  chains: [
    {
      name: 'forwarding',
      hook: { type: 'filter', at: 'forward', priority: PRIORITY.filter },
      rules: ['saddr', 'daddr'].map(
        (field) => `ip ${field} { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 } drop`,
      ),
    },
    {
      name: 'sink',
      hook: { type: 'filter', at: 'input', priority: PRIORITY.filter },
      rules: ['meta l4proto udp drop'],
    },
  ],
};

function planServer(plan: Plan, core: Setup): void {
  const addresses = [...SERVER_ADDRESSES, ...SERVER_ADDRESSES_V6].map(withLength);
  const setup = plan.machine('server').interface('eth0', ...addresses);
  setup.route('default', ...gateway(SERVER_SUBNET));
  core.interface('to-server', ...both(SERVER_SUBNET, 1));
  plan.cable('server', 'eth0', 'core', 'to-server');
}

function planHosts(plan: Plan, { name, subnets }: Site): void {
  for (const [index, host] of [name, `${name}2`].entries()) {
    const setup = plan.machine(host).interface('eth0', ...both(subnets.lan, 2 + index));
    setup.route('default', ...gateway(subnets.lan));
    plan.cable(host, 'eth0', `router-${name}`, `to-${host}`);
  }
}

function planHomeRouter(plan: Plan, site: Site): Setup {
  const { name, subnets } = site;
  const setup = plan
    .machine(`router-${name}`)
    .bridge('lan', [`to-${name}`, `to-${name}2`], ...both(subnets.lan, 1))
    // It would run bridged frames through half of the NAT's hooks, and break hairpinning.
    .setting('net/bridge/bridge-nf-call-iptables', 0);
  planOuterSide(setup, site, site.home, site.carrier ? subnets.between : subnets.wan);
  if (site.options.igd) setup.table(IGD_TABLE).deviceRoute('239.0.0.0/8', 'lan');
  return setup;
}

function planCarrier(plan: Plan, site: Site, carrier: Nat): void {
  const { name, subnets, home } = site;
  const setup = plan.machine(`carrier-${name}`).interface('lan', ...both(subnets.between, 1));
  planOuterSide(setup, site, carrier, subnets.wan);
  routeInwards(setup, subnets.lan, subnets.between, [home]);
  plan.cable(`router-${name}`, 'wan', `carrier-${name}`, 'lan');
}

function planUplink(plan: Plan, core: Setup, { name, subnets, home, carrier }: Site): void {
  const outermost = carrier ? `carrier-${name}` : `router-${name}`;
  plan.cable(outermost, 'wan', 'core', `to-${name}`);
  core.interface(`to-${name}`, ...both(subnets.wan, 1));
  if (carrier) routeInwards(core, subnets.between, subnets.wan, [carrier]);
  routeInwards(core, subnets.lan, subnets.wan, carrier ? [home, carrier] : [home]);
}

function planOuterSide(setup: Setup, { options }: Site, nat: Nat, wan: Subnet): void {
  const { hairpin = false, udpTimeout = DEFAULT_UDP_TIMEOUT } = options;
  setup
    .forwarding()
    .interface('wan', ...both(wan, 2))
    .route('default', ...gateway(wan))
    .table(routerTable({ design: nat.design, address: v4(wan, 2), hairpin, udpTimeout }))
    .setting('net/netfilter/nf_conntrack_udp_timeout', udpTimeout.fresh)
    .setting('net/netfilter/nf_conntrack_udp_timeout_stream', udpTimeout.settled);
}

/** IPv6 is routed always, IPv4 where no NAT on the way hides it. */
function routeInwards(setup: Setup, inner: Subnet, via: Subnet, nats: readonly Nat[]): void {
  setup.route(`${inner.v6}::/64`, v6(via, 2));
  if (nats.every(({ design }) => design.source === undefined)) setup.route(`${inner.v4}.0/24`, v4(via, 2));
}

function both(subnet: Subnet, machine: number): string[] {
  return [v4(subnet, machine), v6(subnet, machine)].map(withLength);
}

function gateway(subnet: Subnet): string[] {
  return [v4(subnet, 1), v6(subnet, 1)];
}

function withLength(address: string): string {
  return `${address}/${address.includes(':') ? 64 : 24}`;
}
