import { type NatKind, type NatReport, type NatType, natKind, verdictOf } from '../../index.ts';
import { printable } from './format.ts';
import { type Outage, outageOf } from './nat-outage.ts';

/** As other tools call it. */
const TYPE_WORDS: Readonly<Record<NatType, string>> = {
  open: 'open',
  'full-cone': 'full cone',
  'restricted-cone': 'restricted cone',
  'port-restricted-cone': 'port-restricted cone',
  cone: 'cone',
  symmetric: 'symmetric',
  unknown: 'unknown',
};

const OUTAGES: Readonly<Record<Outage, { readonly sentence: string; readonly short: string }>> = {
  blocked: { sentence: 'UDP is blocked: no STUN server could be heard', short: 'UDP is blocked' },
  closed: {
    sentence: "The server's STUN ports are closed, so nothing could be measured",
    short: "the server's STUN ports are closed",
  },
  silent: {
    sentence: "No answer: UDP is blocked here, or the server's STUN ports are closed",
    short: "UDP is blocked, or the server's STUN ports are closed",
  },
  unasked: {
    sentence: 'No STUN server could be asked, so nothing could be measured',
    short: 'no STUN server could be asked',
  },
};

/** Whom the filter of a router or firewall lets in; nothing where that is not known. */
const ADMITS: Readonly<Record<NatReport['filtering'], string>> = {
  none: ', and admits everybody there',
  'endpoint-independent': ', and admits everybody there',
  'address-dependent': ', and admits only addresses that you have talked to',
  'address-and-port-dependent': ', and admits only those you have talked to',
  unknown: '',
};

const DIRECT_WITH: Readonly<Record<Exclude<NatKind, 'blocked' | 'unknown'>, string>> = {
  open: 'every friend who has UDP',
  cone: 'most friends',
  sequential: 'many friends',
  random: 'some friends',
};

/** What this network does, in one plain sentence. */
export function describeNetwork(report: NatReport): string {
  const outage = outageOf(report);
  const sentence = outage === undefined ? behaviourOf(report) : OUTAGES[outage].sentence;
  const rescued = verdictOf(report).port_mapped && report.mapping !== 'none';
  return `${sentence} (${TYPE_WORDS[report.type]}).${rescued ? ' It forwards a port to you all the same.' : ''}`;
}

/** The line that a tunnel prints at its start. */
export function summarizeNetwork(report: NatReport): string {
  const outage = outageOf(report);
  if (outage === undefined && isLocal(report)) {
    return 'Network: the server is inside your own network, so the router was not seen.';
  }
  const facts = [outage === undefined ? TYPE_WORDS[report.type] : OUTAGES[outage].short];
  if (report.public_address !== null) facts.push(`public address ${printable(report.public_address)}`);
  if (report.ipv6 !== null) facts.push('IPv6');
  if (verdictOf(report).port_mapped) facts.push('a forwarded port');
  const friends = friendsOf(report);
  const outlook = friends === undefined ? 'all traffic is relayed' : `allows direct play with ${friends}`;
  return `Network: ${facts.join(', ')}; ${outlook}.`;
}

/** Nobody outside was asked. */
function isLocal({ mapping, public_address, ipv6 }: NatReport): boolean {
  return mapping === 'unknown' && public_address === null && ipv6 === null;
}

function friendsOf(report: NatReport): string | undefined {
  const kind = natKind(verdictOf(report));
  if (kind !== 'blocked' && kind !== 'unknown') return DIRECT_WITH[kind];
  return report.ipv6 === null ? undefined : 'friends who have IPv6';
}

function behaviourOf(report: NatReport): string {
  const { mapping, filtering, public_address } = report;
  switch (mapping) {
    case 'none':
      return filtering === 'none' || filtering === 'endpoint-independent' || filtering === 'unknown'
        ? 'No NAT: this machine has a public address of its own'
        : `No NAT, but a firewall: it lets everything out${ADMITS[filtering]}`;
    case 'endpoint-independent':
      return `A router that keeps one public port for everybody${ADMITS[filtering]}`;
    case 'address-dependent':
      return `A router that takes another public port for every address${allocationOf(report)}`;
    case 'address-and-port-dependent':
      return `A router that takes another public port for every destination${allocationOf(report)}`;
    case 'unknown':
      if (public_address !== null) return 'One STUN answer alone cannot tell what the router does';
      return isLocal(report)
        ? 'The STUN server is inside your own network, so the router was not seen'
        : 'Only IPv6 was answered; what IPv4 does is not known';
  }
}

function allocationOf({ allocation }: NatReport): string {
  if (allocation === null) return '';
  const { pattern, step, range } = allocation;
  switch (pattern) {
    case 'sequential':
      return step === null ? ', in order' : `, counting ${step < 0 ? 'down' : 'up'} by ${Math.abs(step)}`;
    case 'block':
      return range === null ? ', from a block' : `, at random from ${range[0]} to ${range[1]}`;
    case 'random':
      return ', at random';
    default:
      return '';
  }
}
