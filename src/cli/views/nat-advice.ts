import { type NatReport, natKind, verdictOf } from '../../index.ts';
import { printable, shortName } from './format.ts';
import { type Outage, outageOf } from './nat-outage.ts';
import type { NatQuestion } from './view.ts';

const STUN_PORTS = '3478/udp and 3479/udp';

/** What would let more friends in directly, or make the measurement surer: the most useful first, a sentence or two each. */
export function adviseOn(report: NatReport, question: NatQuestion): string[] {
  const outage = outageOf(report);
  if (outage !== undefined) return adviseOnOutage(outage, report);
  return [...adviseOnReach(report, question), ...adviseOnDoubts(report)];
}

function adviseOnOutage(outage: Outage, report: NatReport): string[] {
  switch (outage) {
    case 'blocked':
      return [
        `Let UDP out of this network: to ports ${STUN_PORTS} for the measurement, and to any port from 1024 up for direct play. A firewall here or the provider stops it; another network, such as a phone's, may not.`,
      ];
    case 'closed':
      return [
        `UDP gets through, but nobody listens at ${named(report, 'refused')}: its operator has to open ${STUN_PORTS}.`,
        'Until then ask another STUN server: --stun host:port.',
      ];
    case 'silent':
      return [
        'Ask a second STUN server to tell which: --stun host:port.',
        `If that one answers, the operator of ${named(report, 'silent')} has to open ${STUN_PORTS}; if not, a firewall here or the provider blocks UDP.`,
      ];
    case 'unasked':
      return ['Check the names of the servers, and whether this machine is online.'];
  }
}

function adviseOnReach(report: NatReport, question: NatQuestion): string[] {
  const kind = natKind(verdictOf(report));
  if (kind === 'open' || report.mapping === 'unknown') return [];
  return [...adviseOnRouter(report, question), adviseOnIpv6(report)];
}

function adviseOnRouter(report: NatReport, question: NatQuestion): string[] {
  const { mapping, filtering, cgnat, local_address } = report;
  if (mapping === 'none') {
    return filtering === 'unknown' ? [] : ['Let incoming UDP through the firewall to this machine.'];
  }
  if (cgnat) {
    return [
      'Leave the second NAT, which stands in front of your router: if it is the provider\'s (CGNAT), ask for a public address or for IPv6; if it is a router of yours, switch it to "bridge". No setting of the inner router helps before.',
    ];
  }
  const automatic = question.portMapping
    ? 'Turn on UPnP (or NAT-PMP, or PCP) in the router; underpass then opens a port by itself.'
    : 'Leave out --no-port-mapping; underpass then asks the router to open a port.';
  const machine = local_address === null ? 'this machine' : printable(local_address);
  const keep =
    mapping === 'endpoint-independent'
      ? ''
      : ', and set it to keep ports (it may call that "static port" or "full cone")';
  return [automatic, `Or forward UDP ports 1024-65535 to ${machine} in the router${keep}.`];
}

function adviseOnIpv6({ ipv6 }: NatReport): string {
  return ipv6 === null
    ? 'Turn on IPv6, if router and provider have it: with a friend who has it too, no NAT is in the way.'
    : 'Use IPv6: with a friend who has it too, no NAT is in the way.';
}

/** Where the measurement had to stay vague, and how it would not. */
function adviseOnDoubts(report: NatReport): string[] {
  const { mapping, mapping_confidence, filtering, public_address, ipv6 } = report;
  const doubts: string[] = [];
  const silent = named(report, 'silent');
  const refused = named(report, 'refused');
  const unreachable = named(report, 'unreachable');
  const operator = `though others answered: its operator has to open ${STUN_PORTS}.`;
  if (silent) doubts.push(`${silent} did not answer, ${operator}`);
  if (refused) doubts.push(`${refused} refused, ${operator}`);
  if (unreachable) doubts.push(`${unreachable} could not be asked: check its name, and whether it runs.`);
  if (public_address === null && ipv6 === null) {
    doubts.push('Measure against a server outside your network: --stun host:port.');
  } else if (mapping === 'unknown') {
    doubts.push('Ask a second STUN server as well: --stun host:port.');
  } else if (mapping_confidence === 'ports') {
    doubts.push(
      'Only one server address was asked, so this is likely rather than sure, and whom it lets in could not be measured. Ask another STUN server as well: --stun host:port.',
    );
  } else if (filtering === 'unknown') {
    doubts.push(
      'Whom it lets in could not be measured: that takes a STUN server with two addresses (RFC 5780).',
    );
  }
  return doubts;
}

/** The servers that fared like this, by the names they were given. */
function named({ servers }: NatReport, status: NatReport['servers'][number]['status']): string {
  return servers
    .filter((server) => server.status === status)
    .map(({ server }) => shortName(server))
    .join(' and ');
}
