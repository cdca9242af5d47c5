import {
  directPlay,
  type NatKind,
  type NatReport,
  natKind,
  type Strategy,
  strategyOf,
  verdictOf,
} from '../../index.ts';
import type { Output } from '../context.ts';
import { formatSeconds, paint, printable, shortName, wrap } from './format.ts';
import { adviseOn } from './nat-advice.ts';
import { describeNetwork } from './nat-headline.ts';
import { outageOf } from './nat-outage.ts';
import type { NatQuestion } from './view.ts';

/** The friends of the table. Their own `underpass nat` tells them which they are. */
const FRIENDS = [
  ['open', 'no NAT, or a forwarded port'],
  ['cone', 'a cone NAT of any kind'],
  ['sequential', 'a symmetric NAT that counts ports'],
  ['random', 'a symmetric NAT with random ports'],
  ['blocked', 'UDP blocked'],
] as const satisfies readonly (readonly [NatKind, string])[];

const PLAY_WORDS = {
  direct: ['direct', 'green'],
  usually: ['usually direct', 'yellow'],
  relayed: ['relayed', 'dim'],
} as const;

const STRATEGY_WORDS: Readonly<Record<Strategy, string>> = {
  exchange: 'direct exchange',
  prediction: 'port prediction',
  'prediction-both': 'mutual port prediction',
  search: 'port search, up to 12 s',
  relay: '',
};

const REFUSALS = {
  'no-external-address': 'the router has no public address itself',
  'not-authorised': 'its owner has switched it off',
  'no-resources': 'the router has no port left',
  other: 'the router gave no reason that is known',
} as const;

const PROTOCOLS = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' } as const;

/** The whole report for a person, about one screen of at most 80 columns. */
export function describeNat(report: NatReport, question: NatQuestion, output: Output): string {
  const title = (text: string) => paint(output, 'bold', text);
  const advice = adviseOn(report, question);
  return [
    title(wrap(describeNetwork(report))),
    '',
    ...factsOf(report, question),
    '',
    title('Direct play with a friend who has'),
    ...playTable(report, output),
    wrap(
      'That is what the two networks allow. What cannot go directly is relayed; both ways are end-to-end encrypted.',
    ),
    ...(advice.length === 0 ? [] : ['', title('What would help')]),
    ...advice.map((text) => wrap(text, '  - ')),
    '',
  ].join('\n');
}

function factsOf(report: NatReport, question: NatQuestion): string[] {
  const { public_address, local_address, ipv6, hairpin, cgnat, servers, elapsed_ms } = report;
  const width = Math.max(0, ...servers.map(({ server }) => shortName(server).length));
  const blocked = outageOf(report) === 'blocked';
  const fared = servers.map(
    (server) => `${shortName(server.server).padEnd(width)}  ${describeServer(server, blocked)}`,
  );
  const facts: [name: string, ...lines: string[]][] = [
    ['public address', printable(public_address ?? 'not known')],
    ['local address', printable(local_address ?? 'not known')],
    ['IPv6', printable(ipv6 ?? 'none seen')],
    ['port mapping', describePortMapping(report, question)],
    ['hairpin', answer(hairpin, 'yes', 'no; friends in your own network need local addresses')],
    ['CGNAT', answer(cgnat, "yes; the provider's or another NAT stands before your router", 'no')],
    ['STUN servers', ...fared],
    ['measured in', formatSeconds(elapsed_ms / 1000)],
  ];
  return facts.flatMap(([name, ...lines]) =>
    lines.map((line, i) => `  ${(i === 0 ? name : '').padEnd(14)}  ${line}`),
  );
}

function describePortMapping(report: NatReport, question: NatQuestion): string {
  const { port_mapping, port_mapping_asked, port_mapping_refusal: refusal, cgnat } = report;
  if (refusal !== null) return `refused by ${PROTOCOLS[refusal.protocol]}: ${REFUSALS[refusal.reason]}`;
  if (port_mapping === null) {
    if (port_mapping_asked) return 'no answer from the router (UPnP, NAT-PMP, PCP)';
    return `not asked for${question.portMapping ? ', no router was found' : ' (--no-port-mapping)'}`;
  }
  const { protocol, external_address } = port_mapping;
  const use = cgnat && !verdictOf(report).port_mapped ? ', of no use behind another NAT' : '';
  return `${printable(external_address)}, by ${PROTOCOLS[protocol]}${use}`;
}

function describeServer({ status, rtt_ms }: NatReport['servers'][number], blocked: boolean): string {
  switch (status) {
    case 'answered':
      return rtt_ms === null ? 'answered' : `answered in ${formatSeconds(rtt_ms / 1000)}`;
    case 'silent':
      return 'silent';
    case 'refused':
      return blocked ? 'refused, as by a firewall' : 'refused, nobody listens there';
    case 'unreachable':
      return 'unreachable';
    case 'contradicted':
      return 'contradicts the others';
  }
}

function answer(known: boolean | null, yes: string, no: string): string {
  if (known === null) return 'not known';
  return known ? yes : no;
}

function playTable(report: NatReport, output: Output): string[] {
  const mine = verdictOf(report);
  const rows = FRIENDS.map(([friend, words]) => {
    return row(words, directPlay(mine, friend), STRATEGY_WORDS[strategyOf(natKind(mine), friend)], output);
  });
  return report.ipv6 === null
    ? rows
    : [...rows, row('IPv6, as you have', 'direct', 'no NAT in the way', output)];
}

function row(friend: string, play: keyof typeof PLAY_WORDS, how: string, output: Output): string {
  const [words, style] = PLAY_WORDS[play];
  const gap = how === '' ? '' : ' '.repeat(16 - words.length);
  return `  ${friend.padEnd(34)}  ${paint(output, style, words)}${gap}${how}`;
}
