import { NAT_KIND_NAMES, type NatKindName } from '../kinds/nat-kinds.ts';
import type { MachineName } from '../laboratory.ts';
import type { SiteName } from '../topology/addresses.ts';
import { type LaboratoryOptions, nameOfSite, type SiteOptions } from '../topology/options.ts';

/** Each way, between either site and the server as between the sites: all of it is the core's. */
export const LATENCY_MS = 20;
/** Between subscriber and publisher directly, through the core once each way. */
export const PEER_ROUND_TRIP_MS = 2 * LATENCY_MS;
/** From the subscriber to the server, on to the publisher, and back: through the core twice each way. */
export const RELAYED_ROUND_TRIP_MS = 2 * PEER_ROUND_TRIP_MS;

/** Flows that a neighbour opens each second where there is one. */
export const BURN = 200;

/** Two programs in their networks. The subscriber is always on host `a`. */
export interface MatrixCase {
  /** Subscriber's network × publisher's. */
  readonly name: string;
  readonly scenario: LaboratoryOptions;
  readonly publisher: MachineName;
  /** Where a neighbour opens flows meanwhile. */
  readonly burn: readonly SiteName[];
  /** Arguments for both programs. */
  readonly flags: readonly string[];
  /** The subscriber runs with `--mode relay`, for comparison. */
  readonly relayOnly: boolean;
}

export interface CaseExtras {
  /** What distinguishes it from the plain pair, for people. */
  readonly remark?: string;
  readonly scenario?: Pick<LaboratoryOptions, 'sameLan' | 'ipv6'>;
  readonly burn?: readonly SiteName[];
  readonly flags?: readonly string[];
  readonly relayOnly?: boolean;
}

/** A subscriber at one site, a publisher at another. */
export function between(a: SiteOptions, b: SiteOptions, extras: CaseExtras = {}): MatrixCase {
  return toCase(`${nameOfSite(a)} × ${nameOfSite(b)}`, { a, b, ...extras.scenario }, 'b', extras);
}

/** Both behind one NAT, on two machines. */
export function together(site: SiteOptions, extras: CaseExtras = {}): MatrixCase {
  return toCase(`both behind ${nameOfSite(site)}`, { a: site, ...extras.scenario }, 'a2', extras);
}

/** Every ordered pair of these. */
export function pairs<T>(ones: readonly T[], others: readonly T[]): (readonly [T, T])[] {
  return ones.flatMap((one) => others.map((other) => [one, other] as const));
}

/** Every ordered pair with one of each, either way round. */
export function eitherWay<T>(ones: readonly T[], others: readonly T[]): (readonly [T, T])[] {
  return [...pairs(ones, others), ...pairs(others, ones)];
}

export function plain([a, b]: readonly [NatKindName, NatKindName]): MatrixCase {
  return between({ kind: a }, { kind: b });
}

export const ALL_PAIRS = pairs(NAT_KIND_NAMES, NAT_KIND_NAMES);

function toCase(
  name: string,
  scenario: LaboratoryOptions,
  publisher: MachineName,
  { remark, burn = [], flags = [], relayOnly = false }: CaseExtras,
): MatrixCase {
  return {
    name: remark === undefined ? name : `${name}, ${remark}`,
    scenario: { ...scenario, delay: { ms: LATENCY_MS } },
    publisher,
    burn,
    flags,
    relayOnly,
  };
}
