import { type Endpoint, familyOf, LOWEST_PORT } from '../net/endpoint.ts';
import type { LocalAddress } from '../net/interfaces.ts';
import { type IpScope, scopeOf } from '../net/ip.ts';

/** RFC 8445's kinds, each with its type preference (section 5.1.2.2): the higher, the likelier and shorter the path. */
const TYPE_PREFERENCE = { host: 126, 'peer-reflexive': 110, 'server-reflexive': 100, relayed: 0 } as const;

export type CandidateKind = keyof typeof TYPE_PREFERENCE;

/** An address at which a peer may try to reach us. */
export interface Candidate extends Endpoint {
  readonly kind: CandidateKind;
  /** Where it is known from. A router's port mapping is `server-reflexive` too: RFC 8445 has no kind of its own for it. */
  readonly source: 'interface' | 'port-mapping' | 'stun';
  /** Unique among the candidates of one gathering, 1 to 2^31 − 1. */
  readonly priority: number;
  /** The same for candidates that are likely to work or fail together (RFC 8445 section 5.1.1.3). */
  readonly foundation: string;
}

export interface CandidatePolicy {
  /** Whether a peer may learn addresses that are not public. */
  readonly lanAddresses: boolean;
  /** Whether to name addresses that lead into containers, virtual machines and VPNs as well. */
  readonly allInterfaces: boolean;
}

export interface Gathered {
  readonly addresses: readonly LocalAddress[];
  /** The local port of the punching socket of each family; undefined where there is no socket. */
  readonly ports: { readonly 4?: number | undefined; readonly 6?: number | undefined };
  /** Where STUN servers saw the punching sockets. */
  readonly reflexive: readonly Endpoint[];
  /** The outside of the router's port mapping to the punching socket. */
  readonly mapped?: Endpoint | undefined;
}

/** No peer is bothered with more. */
const MAX_HOST = 8;
const MAX_CANDIDATES = 16;

const MAX_LOCAL_PREFERENCE = 65535;
const COMPONENT = 1;

/** Nobody is reached there, or far too many are. */
const NEVER: ReadonlySet<IpScope> = new Set([
  'unspecified',
  'loopback',
  'link-local',
  'multicast',
  'broadcast',
]);

/** RFC 8445 section 5.1.2.1. @param localPreference 0 to 65535, higher for what to try first among candidates of a kind */
export function candidatePriority(kind: CandidateKind, localPreference: number): number {
  return TYPE_PREFERENCE[kind] * 2 ** 24 + localPreference * 2 ** 8 + (256 - COMPONENT);
}

/**
 * The candidates to tell a peer, best first: at most 8 of the host's own and 16 in all, each endpoint once. They carry no
 * related address, which would tell what the policy hides and which nothing of ours needs: all share one socket a family.
 */
export function gatherCandidates(gathered: Gathered, policy: CandidatePolicy): readonly Candidate[] {
  const allowed = (drafts: readonly Draft[]) => unique(drafts.filter((draft) => isAllowed(draft, policy)));
  const hosts = allowed(hostDrafts(gathered, policy)).slice(0, MAX_HOST);
  const drafts = allowed([...hosts, ...mappedDrafts(gathered), ...reflexiveDrafts(gathered)]);
  const foundations = [...new Set(drafts.map(({ group }) => group))];
  return drafts.slice(0, MAX_CANDIDATES).map(({ kind, source, address, port, group }, i) => ({
    kind,
    source,
    address,
    port,
    priority: candidatePriority(kind, MAX_LOCAL_PREFERENCE - i),
    foundation: String(foundations.indexOf(group) + 1),
  }));
}

interface Draft extends Pick<Candidate, 'kind' | 'source' | 'address' | 'port'> {
  /** What candidates of one foundation have in common. */
  readonly group: string;
}

/** Families take turns, IPv6 first (RFC 8421 section 4): a machine can have many temporary IPv6 addresses. */
function hostDrafts({ addresses, ports }: Gathered, { allInterfaces }: CandidatePolicy): Draft[] {
  const draftsOf = (family: 4 | 6): Draft[] =>
    addresses
      .filter((local) => local.family === family && (allInterfaces || !local.deadEnd))
      .sort((one, other) => Number(one.deadEnd) - Number(other.deadEnd))
      .map(({ address }) => ({
        kind: 'host',
        source: 'interface',
        address,
        port: ports[family] ?? 0,
        group: address,
      }));
  const [six, four] = [draftsOf(6), draftsOf(4)];
  const turns = Array.from({ length: Math.max(six.length, four.length) }, (_, i) => [six[i], four[i]]);
  return turns.flat().filter((draft) => draft !== undefined);
}

/** A mapping whose address is not the one that others see belongs to a router behind another NAT, and leads nowhere. */
function mappedDrafts({ mapped, reflexive }: Gathered): Draft[] {
  if (!mapped || !reflexive.some(({ address }) => address === mapped.address)) return [];
  const { address, port } = mapped;
  return [{ kind: 'server-reflexive', source: 'port-mapping', address, port, group: 'port-mapping' }];
}

function reflexiveDrafts({ reflexive }: Gathered): Draft[] {
  return reflexive.map(({ address, port }) => ({
    kind: 'server-reflexive',
    source: 'stun',
    address,
    port,
    group: `stun ${familyOf({ address, port })}`,
  }));
}

function isAllowed({ address, port }: Draft, { lanAddresses }: CandidatePolicy): boolean {
  const scope = scopeOf(address);
  if (NEVER.has(scope) || port < LOWEST_PORT) return false;
  return lanAddresses || scope === 'global';
}

/** Of candidates for one endpoint, the best (RFC 8445 section 5.1.3). */
function unique(drafts: readonly Draft[]): Draft[] {
  const first = new Map<string, Draft>();
  for (const draft of drafts) {
    const endpoint = `${draft.address} ${draft.port}`;
    if (!first.has(endpoint)) first.set(endpoint, draft);
  }
  return [...first.values()];
}
