import type { NatReport } from '../../../src/nat/report.ts';
import { describeAllocation, isJump, signed } from '../prober/allocation.ts';
import { type Check, compare } from '../prober/check.ts';
import type { Site } from '../topology/site.ts';
import type { DiscoveryCase } from './case.ts';

/** A check of one of discovery's findings. What is not required may be wrong without being a failure. */
export interface Judgement extends Check {
  readonly required: boolean;
}

/** What is judged of a report. */
export type Findings = Pick<
  NatReport,
  | 'mapping'
  | 'filtering'
  | 'allocation'
  | 'udp_blocked'
  | 'public_address'
  | 'ipv6'
  | 'poisonable'
  | 'hairpin'
  | 'cgnat'
  | 'port_mapping'
  | 'mapping_ms'
  | 'elapsed_ms'
>;

/** How long a report may take, with all that it waits for, and how long the mapping in it. */
const MAX_MS = 2000;
const MAX_MAPPING_MS = 500;

/** Holds what discovery said against what the site was built to be. */
export function judge(each: DiscoveryCase, site: Site, report: Findings): Judgement[] {
  const { expected, publicAddress, hostAddressV6, options } = site;
  const blocked = expected.allocation === null;
  const filtering = each.stunAddresses === 1 ? 'unknown' : expected.filtering;
  return [
    must(compare('mapping', expected.mapping, report.mapping)),
    must(compare('filtering', filtering, report.filtering)),
    must(allocation(site, report)),
    must(compare('UDP blocked', text(blocked), text(report.udp_blocked))),
    must(compare('address', text(blocked ? null : publicAddress), text(report.public_address))),
    must(compare('IPv6', text(each.scenario.ipv6 ? hostAddressV6 : null), text(report.ipv6))),
    may(poisonable(each, site, report)),
    may(compare('hairpin', text(hairpin(site)), text(report.hairpin))),
    may(cgnat(site, report)),
    may(portMapping(site, report, options.igd === true && !isBehindCarrier(site))),
    may(within('mapped in', MAX_MAPPING_MS, report.mapping_ms)),
    may(within('ms', MAX_MS, report.elapsed_ms)),
  ];
}

function within(what: string, most: number, ms: number | null): Check {
  return { ...compare(what, `under ${most}`, text(ms)), right: ms === null || ms < most };
}

/** Whether everything that is required is right. */
export function passes(judgements: readonly Judgement[]): boolean {
  return judgements.every(({ right, required }) => right || !required);
}

function allocation({ expected }: Site, report: Findings): Check {
  const { allocation: built } = expected;
  const { pattern, step = null, range = null } = report.allocation ?? {};
  const parts = [
    pattern ?? 'unknown',
    step === null ? '' : signed(step),
    range === null ? '' : range.join('-'),
  ];
  const seen = parts.filter((part) => part !== '').join(' ');
  const sameStep = built?.pattern !== 'sequential' || (step !== null && isJump(step, built));
  return {
    what: 'allocation',
    expected: describeAllocation(built),
    seen,
    right: pattern === built?.pattern && sameStep,
  };
}

/** It takes two addresses to be poisoned by one that was not asked. */
function poisonable(each: DiscoveryCase, { expected }: Site, report: Findings): Check {
  const told = each.stunAddresses === 1 ? null : expected.poisonable;
  return compare('poisonable', text(told), text(report.poisonable));
}

/** Nothing needs to turn around what is sent to one's own address. */
function hairpin({ expected, options }: Site): boolean | null {
  if (expected.allocation === null) return null;
  return expected.mapping === 'none' || (options.hairpin ?? false);
}

/** Not every carrier can be noticed: not to know is no mistake. */
function cgnat(site: Site, report: Findings): Check {
  const check = compare('cgnat', text(isBehindCarrier(site)), text(report.cgnat));
  return { ...check, right: check.right || report.cgnat === null };
}

function isBehindCarrier({ carrier }: Site): boolean {
  return carrier?.design.source !== undefined;
}

function portMapping(site: Site, { port_mapping: mapping }: Findings, granted: boolean): Check {
  const expected = granted ? `at ${site.publicAddress}` : 'none';
  const seen = mapping === null ? 'none' : `${mapping.protocol} at ${mapping.external_address}`;
  const right = granted ? mapping?.external_address.startsWith(`${site.publicAddress}:`) : mapping === null;
  return { what: 'port mapping', expected, seen, right: right === true };
}

function must(check: Check): Judgement {
  return { ...check, required: true };
}

function may(check: Check): Judgement {
  return { ...check, required: false };
}

function text(value: string | number | boolean | null): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value === null ? '–' : String(value);
}
