import type { Laboratory, MachineName } from '../laboratory.ts';
import { type Chain, render, type Table } from '../rules/nftables.ts';

const TABLE = 'chaos';

type Hook = NonNullable<Chain['hook']>['at'];

/** Before connection tracking, after translation. */
const PRIORITY_OF: Readonly<Record<Hook, number>> = {
  prerouting: -400,
  input: 0,
  forward: -5,
  postrouting: 400,
};

/** Rules of a firewall in somebody's way; `lift` with the same machine removes them. */
async function obstruct(
  lab: Laboratory,
  machine: MachineName,
  chains: readonly [Hook, readonly string[]][],
): Promise<void> {
  const table: Table = {
    family: 'ip',
    name: TABLE,
    chains: chains.map(([at, rules]) => ({
      name: at,
      hook: { type: 'filter', at, priority: PRIORITY_OF[at] },
      rules,
    })),
  };
  await lab.check(machine, ['nft', '-f', '-'], render([table]));
}

/** Removes what stands in the way at a machine. */
export async function lift(lab: Laboratory, machine: MachineName): Promise<void> {
  await lab.check(machine, ['nft', 'delete', 'table', 'ip', TABLE]);
}

/** What arrives from a site comes out of the core's delays again, under another name. */
function fromSite(site: string): string {
  return `iifname { "to-${site}", "hold-${site}" }`;
}

/** In the core: no UDP between the sites, or only none of these public ports. */
export function obstructPeers(
  lab: Laboratory,
  ports?: { readonly a?: number | undefined; readonly b?: number | undefined },
): Promise<void> {
  const none = 'meta l4proto udp drop';
  const [there, back] = [`${fromSite('a')} oifname "to-b"`, `${fromSite('b')} oifname "to-a"`];
  if (ports === undefined)
    return obstruct(lab, 'core', [['forward', [`${there} ${none}`, `${back} ${none}`]]]);
  const rules = [
    ...(ports.a === undefined
      ? []
      : [`${there} udp sport ${ports.a} drop`, `${back} udp dport ${ports.a} drop`]),
    ...(ports.b === undefined
      ? []
      : [`${there} udp dport ${ports.b} drop`, `${back} udp sport ${ports.b} drop`]),
  ];
  return obstruct(lab, 'core', [['forward', rules]]);
}

/** In the core: nothing from these sites, and nothing to them. */
export function obstructSites(lab: Laboratory, sites: readonly string[]): Promise<void> {
  const names = sites.map((site) => `"to-${site}"`).join(', ');
  return obstruct(lab, 'core', [
    ['prerouting', [`iifname { ${names} } drop`]],
    ['postrouting', [`oifname { ${names} } drop`]],
  ]);
}

/** In a home router: TCP connections that these ports of its host have, but no later ones. */
export function obstructConnections(
  lab: Laboratory,
  router: MachineName,
  ports: readonly number[],
  how: 'reset' | 'drop',
): Promise<void> {
  const verdict = how === 'reset' ? 'reject with tcp reset' : 'drop';
  const set = `{ ${ports.join(', ')} }`;
  return obstruct(lab, router, [
    ['forward', [`iifname "lan" tcp sport ${set} ${verdict}`, `iifname "wan" tcp dport ${set} ${verdict}`]],
  ]);
}

/** The ports of a host's TCP connections to the outside. */
export async function connectionsOf(lab: Laboratory, host: MachineName): Promise<number[]> {
  const rows = await lab.check(host, ['ss', '-4tnH', 'state', 'established']);
  return rows
    .split('\n')
    .map((row) => row.trim().split(/\s+/)[2] ?? '')
    .filter((local) => local.includes(':') && !local.startsWith('127.'))
    .map((local) => Number(local.split(':').at(-1)));
}
