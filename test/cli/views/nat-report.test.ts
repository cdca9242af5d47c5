import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { summarizeNetwork } from '../../../src/cli/views/nat-headline.ts';
import { describeNat } from '../../../src/cli/views/nat-report.ts';
import type { NatReport } from '../../../src/nat/report.ts';
import { natReport } from '../../support/nat-report.ts';

function tell(changes: Partial<NatReport> = {}, { color = false, portMapping = true } = {}): string {
  return describeNat(natReport(changes), { portMapping }, { color, write: () => {} });
}

/** The text without its line breaks and indentation. */
const flat = (text: string) => text.replace(/\s+/g, ' ');
const told = (changes: Partial<NatReport>) => flat(tell(changes));

const symmetric = (
  allocation: NatReport['allocation'],
  more: Partial<NatReport> = {},
): Partial<NatReport> => ({
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
  allocation,
  ...more,
});
const random = symmetric({ pattern: 'random', step: null, range: null });
const unheard = (...fates: readonly [server: string, status: NatReport['servers'][number]['status']][]) => ({
  type: 'unknown' as const,
  mapping: 'unknown' as const,
  mapping_confidence: null,
  filtering: 'unknown' as const,
  allocation: null,
  poisonable: null,
  hairpin: null,
  cgnat: null,
  arming_ttl: null,
  public_address: null,
  udp_blocked: true,
  servers: fates.map(([server, status]) => ({ server, status, rtt_ms: null })),
});

test('the whole report about an ordinary home router', () => {
  expect(tell()).toBe(`A router that keeps one public port for everybody, and admits only those you
have talked to (port-restricted cone).

  public address  198.51.100.7
  local address   192.168.1.20
  IPv6            none seen
  port mapping    no answer from the router (UPnP, NAT-PMP, PCP)
  hairpin         no; friends in your own network need local addresses
  CGNAT           no
  STUN servers    u.example:3478  answered in 12 ms
  measured in     940 ms

Direct play with a friend who has
  no NAT, or a forwarded port         direct          direct exchange
  a cone NAT of any kind              direct          direct exchange
  a symmetric NAT that counts ports   direct          port prediction
  a symmetric NAT with random ports   usually direct  port search, up to 12 s
  UDP blocked                         relayed
That is what the two networks allow. What cannot go directly is relayed; both
ways are end-to-end encrypted.

What would help
  - Turn on UPnP (or NAT-PMP, or PCP) in the router; underpass then opens a port
    by itself.
  - Or forward UDP ports 1024-65535 to 192.168.1.20 in the router.
  - Turn on IPv6, if router and provider have it: with a friend who has it too,
    no NAT is in the way.
`);
});

describe('the first sentence says what the network does', () => {
  test.each<[string, Partial<NatReport>]>([
    [
      'No NAT: this machine has a public address of its own (open).',
      { type: 'open', mapping: 'none', filtering: 'none' },
    ],
    [
      'No NAT, but a firewall: it lets everything out, and admits only those you',
      { type: 'open', mapping: 'none' },
    ],
    ['and admits everybody there (full cone).', { type: 'full-cone', filtering: 'endpoint-independent' }],
    [
      'and admits only addresses that you have talked to (restricted cone).',
      { type: 'restricted-cone', filtering: 'address-dependent' },
    ],
    ['one public port for everybody (cone).', { type: 'cone', filtering: 'unknown' }],
    ['every destination, at random (symmetric).', random],
    ['counting up by 2 (symmetric).', symmetric({ pattern: 'sequential', step: 2, range: null })],
    ['counting down by 1 (symmetric).', symmetric({ pattern: 'sequential', step: -1, range: null })],
    [
      'at random from 20480 to 20991 (symmetric).',
      symmetric({ pattern: 'block', step: null, range: [20480, 20991] }),
    ],
    ['every address (symmetric).', symmetric(null, { mapping: 'address-dependent' })],
    [
      'UDP is blocked: no STUN server could be heard (unknown).',
      unheard(['a:1', 'silent'], ['b:1', 'silent']),
    ],
    [
      'UDP is blocked: no STUN server could be heard (unknown).',
      unheard(['a:1', 'refused'], ['b:1', 'refused'], ['c:1', 'silent'], ['d:1', 'unreachable']),
    ],
    ['STUN ports are closed, so nothing could be measured (unknown).', unheard(['a:1', 'refused'])],
    [
      'STUN ports are closed, so nothing could be measured (unknown).',
      unheard(['a:1', 'refused'], ['a:2', 'silent'], ['b:1', 'unreachable']),
    ],
    [
      "UDP is blocked here, or the server's STUN ports are closed (unknown).",
      unheard(['a:1', 'silent'], ['a:2', 'silent']),
    ],
    ['No STUN server could be asked', unheard(['a:1', 'unreachable'])],
    ['One STUN answer alone cannot tell', { type: 'unknown', mapping: 'unknown' }],
    ['inside your own network', { type: 'unknown', mapping: 'unknown', public_address: null }],
    [
      'Only IPv6 was answered',
      { type: 'unknown', mapping: 'unknown', public_address: null, ipv6: '2001:db8::1' },
    ],
  ])('%s', (sentence, changes) => {
    const [headline = ''] = tell(changes).split('\n\n', 1);
    expect(flat(headline)).toContain(sentence);
  });
});

describe('the facts', () => {
  test('how each server fared', () => {
    const servers: NatReport['servers'] = [
      { server: 'a.example:3478', status: 'answered', rtt_ms: 8 },
      { server: 'b:1', status: 'silent', rtt_ms: null },
      { server: 'c:1', status: 'refused', rtt_ms: null },
      { server: 'd:1', status: 'unreachable', rtt_ms: null },
      { server: 'e:1', status: 'contradicted', rtt_ms: 9 },
    ];
    expect(tell({ servers })).toContain(`
  STUN servers    a.example:3478  answered in 8 ms
                  b:1             silent
                  c:1             refused, nobody listens there
                  d:1             unreachable
                  e:1             contradicts the others
`);
  });

  test.each<[string, boolean, string]>([
    ['198.51.100.7:5', false, '198.51.100.7:5, by PCP\n'],
    ['198.51.100.7:5', true, '198.51.100.7:5, by PCP\n'],
    ['100.64.0.7:5', true, '100.64.0.7:5, by PCP, of no use behind another NAT\n'],
  ])('a port mapping to %s, CGNAT %s', (external_address, cgnat, words) => {
    const text = tell({ cgnat, port_mapping: { protocol: 'pcp', external_address } });
    expect(text).toContain(`port mapping    ${words}`);
  });

  test('no port mapping was asked for', () => {
    const text = tell({ port_mapping_asked: false }, { portMapping: false });
    expect(text).toContain('port mapping    not asked for (--no-port-mapping)\n');
    expect(text).toContain('- Leave out --no-port-mapping;');
    expect(text).not.toContain('Turn on UPnP');
  });
});

test('no port mapping was asked for, because there was nobody to ask', () => {
  expect(tell({ port_mapping_asked: false })).toContain(
    'port mapping    not asked for, no router was found\n',
  );
});

describe('the table', () => {
  const plays = (changes: Partial<NatReport>) =>
    tell(changes).match(/(?<= {2})(usually direct|direct|relayed)(?= {2}|$)/gm);

  test('is about this network', () => {
    expect(plays({ type: 'open', mapping: 'none', filtering: 'none' })).toEqual([
      'direct',
      'direct',
      'direct',
      'direct',
      'relayed',
    ]);
    expect(plays(random)).toEqual(['direct', 'usually direct', 'relayed', 'relayed', 'relayed']);
    expect(plays(unheard(['a:1', 'silent']))).toEqual(Array(5).fill('relayed'));
  });

  test('has a row for IPv6 where there is IPv6', () => {
    expect(plays({ ...random, ipv6: '2001:db8::1' })).toHaveLength(6);
    expect(tell({ ipv6: '2001:db8::1' })).toMatch(/IPv6, as you have +direct +no NAT in the way/);
  });

  test('a forwarded port makes up for a symmetric NAT', () => {
    const forwarded = {
      ...random,
      port_mapping: { protocol: 'upnp' as const, external_address: '198.51.100.7:5' },
    };
    expect(plays(forwarded)).toEqual(['direct', 'direct', 'direct', 'direct', 'relayed']);
    expect(told(forwarded)).toContain('(symmetric). It forwards a port to you all the same.');
    expect(told(forwarded)).not.toContain('What would help');
  });
});

describe('what would help', () => {
  test('nothing, where nothing is wrong', () => {
    expect(tell({ type: 'full-cone', filtering: 'endpoint-independent' })).not.toContain('What would help');
  });

  test('UPnP, then forwarding, then IPv6', () => {
    const text = told(random);
    const places = ['Turn on UPnP', 'forward UDP ports', '"static port"', 'Turn on IPv6'].map((words) =>
      text.indexOf(words),
    );
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(told({ ipv6: '2001:db8::1' })).toContain('- Use IPv6: with a friend who has it too');
  });

  test('behind a second NAT the inner router is left alone', () => {
    expect(told({ cgnat: true })).toContain('- Leave the second NAT, which stands in front of your router');
    expect(told({ cgnat: true })).not.toMatch(/Turn on UPnP|forward UDP/);
  });

  test('a firewall without a NAT', () => {
    expect(told({ type: 'open', mapping: 'none' })).toContain('- Let incoming UDP through the firewall');
    expect(told({ type: 'open', mapping: 'none', filtering: 'unknown' })).not.toContain('firewall');
  });

  test('closed STUN ports and blocked UDP are told apart', () => {
    const operator = 'its operator has to open 3478/udp and 3479/udp.';
    const refused = told(unheard(['u.example:3478', 'refused']));
    expect(refused).toContain(`UDP gets through, but nobody listens at u.example:3478: ${operator}`);
    const blocked = told(unheard(['u.example:3478', 'silent'], ['stun.example:3478', 'silent']));
    expect(blocked).toContain('- Let UDP out of this network');
    expect(blocked).not.toContain('operator');
    const rejected = told(unheard(['u.example:3478', 'refused'], ['stun.example:3478', 'refused']));
    expect(rejected).toContain('- Let UDP out of this network');
    expect(rejected).toContain('u.example:3478 refused, as by a firewall');
    expect(rejected).not.toMatch(/operator|UDP gets through|nobody listens/);
    const either = told(unheard(['u.example:3478', 'silent']));
    expect(either).toContain('- Ask a second STUN server to tell which: --stun host:port.');
    const elsewhere = told({
      servers: [...natReport().servers, { server: 'b:3478', status: 'silent', rtt_ms: null }],
    });
    expect(elsewhere).toContain(`- b:3478 did not answer, though others answered: ${operator}`);
  });

  test('a server that could not be asked', () => {
    const servers = [...natReport().servers, { server: 'b:1', status: 'unreachable' as const, rtt_ms: null }];
    expect(told({ servers })).toContain('- b:1 could not be asked: check its name');
  });

  test.each<[string, Partial<NatReport>]>([
    ['Only one server address was asked', { mapping_confidence: 'ports', filtering: 'unknown' }],
    ['that takes a STUN server with two addresses', { filtering: 'unknown' }],
    ['Ask a second STUN server as well', { type: 'unknown', mapping: 'unknown', mapping_confidence: null }],
    ['a server outside your network', { type: 'unknown', mapping: 'unknown', public_address: null }],
  ])('%s', (words, changes) => {
    expect(told(changes)).toContain(words);
  });
});

describe('what every report has in common', () => {
  const name = `${'long-name-'.repeat(24)}.example:3478`;
  const reports: Partial<NatReport>[] = [
    {},
    { ...random, cgnat: true, ipv6: '2001:db8:1234:5678:9abc:def0:1234:5678', elapsed_ms: 1940 },
    symmetric(
      { pattern: 'sequential', step: -13, range: null },
      { mapping_confidence: 'ports', filtering: 'unknown' },
    ),
    unheard([name, 'refused'], [`b${name}`, 'silent']),
    unheard([name, 'silent'], [`b${name}`, 'silent']),
    unheard([name, 'silent']),
  ];

  test.each(reports)('80 columns and about a screen, coloured or not: %j', (changes) => {
    const text = tell(changes);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text.split('\n').length).toBeLessThan(40);
    expect(text).toContain('What cannot go directly is relayed');
    const coloured = tell(changes, { color: true });
    expect(coloured).not.toBe(text);
    expect(stripVTControlCharacters(coloured)).toBe(text);
  });

  test('nothing from outside can steer the terminal', () => {
    const evil = 'u\u001b[2J\u202e\r\n.example:3478';
    for (const changes of [
      unheard([evil, 'refused']),
      unheard([evil, 'silent']),
      {
        public_address: evil,
        local_address: evil,
        ipv6: evil,
        port_mapping: { protocol: 'upnp' as const, external_address: evil },
        servers: [...natReport().servers, { server: evil, status: 'silent' as const, rtt_ms: null }],
      },
    ]) {
      for (const text of [tell(changes), summarizeNetwork(natReport(changes))]) {
        expect(text).not.toMatch(/[^\P{C}\n]/u);
      }
      expect(tell(changes)).toContain('u?[2J???.example:3478');
    }
  });
});

describe("a tunnel's line about its network", () => {
  test.each<[string, Partial<NatReport>]>([
    ['port-restricted cone, public address 198.51.100.7; allows direct play with most friends', {}],
    [
      'open, public address 198.51.100.7; allows direct play with every friend who has UDP',
      { type: 'open', mapping: 'none', filtering: 'none' },
    ],
    ['symmetric, public address 198.51.100.7; allows direct play with some friends', random],
    [
      'symmetric, public address 198.51.100.7; allows direct play with many friends',
      symmetric({ pattern: 'sequential', step: 1, range: null }),
    ],
    [
      'symmetric, public address 198.51.100.7, a forwarded port; allows direct play with every friend who has UDP',
      { ...random, port_mapping: { protocol: 'pcp', external_address: '198.51.100.7:5' } },
    ],
    ['UDP is blocked; all traffic is relayed', unheard(['a:1', 'silent'], ['b:1', 'silent'])],
    ["the server's STUN ports are closed; all traffic is relayed", unheard(['a:1', 'refused'])],
    [
      'unknown, IPv6; allows direct play with friends who have IPv6',
      { type: 'unknown', mapping: 'unknown', public_address: null, ipv6: '2001:db8::1' },
    ],
  ])('%s', (line, changes) => {
    expect(summarizeNetwork(natReport(changes))).toBe(`Network: ${line}.`);
  });
});

test.each([
  ['pcp', 'no-external-address', 'refused by PCP: the router has no public address itself'],
  ['upnp', 'not-authorised', 'refused by UPnP: its owner has switched it off'],
  ['nat-pmp', 'no-resources', 'refused by NAT-PMP: the router has no port left'],
  ['upnp', 'other', 'refused by UPnP: the router gave no reason that is known'],
] as const)('a router that refuses by %s, %s, is quoted', (protocol, reason, words) => {
  expect(told({ port_mapping_refusal: { protocol, reason, code: 1 } })).toContain(words);
});

test('a server of one’s own network is no reason to worry', () => {
  const local = { type: 'unknown', mapping: 'unknown', public_address: null, filtering: 'unknown' } as const;
  expect(summarizeNetwork(natReport(local))).toBe(
    'Network: the server is inside your own network, so the router was not seen.',
  );
});
