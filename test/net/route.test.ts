import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  defaultGateway,
  localAddressTowards,
  parseProcNetRoute,
  parseRouteGet,
  parseRoutePrint,
} from '../../src/net/route.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

/** As a laptop's kernel prints it; `hex` writes an address as this machine's kernel would. */
const PROC_NET_ROUTE = procNetRoute([
  ['wlp2s0', hex('0.0.0.0'), hex('192.168.178.1'), '0003', 600, hex('0.0.0.0')],
  ['docker0', hex('172.17.0.0'), hex('0.0.0.0'), '0001', 0, hex('255.255.0.0')],
  ['wlp2s0', hex('192.168.178.0'), hex('0.0.0.0'), '0001', 600, hex('255.255.255.0')],
]);

const ROUTE_GET = `   route to: default
destination: default
       mask: default
    gateway: 192.168.1.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
 recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire
       0         0         0         0         0         0      1500         0 
`;

const ROUTE_PRINT = `===========================================================================\r
Schnittstellenliste\r
 12...a4 bb 6d 01 02 03 ......Intel(R) Ethernet Connection\r
  1...........................Software Loopback Interface 1\r
===========================================================================\r
\r
IPv4-Routentabelle\r
===========================================================================\r
Aktive Routen:\r
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik\r
          0.0.0.0          0.0.0.0      192.168.2.1     192.168.2.40     50\r
          0.0.0.0          0.0.0.0      192.168.1.1    192.168.1.100     25\r
===========================================================================\r
St\u00e4ndige Routen:\r
  Netzwerkadresse          Netzmaske  Gatewayadresse  Metrik\r
          0.0.0.0          0.0.0.0      192.168.7.1       1\r
===========================================================================\r
`;

function hex(address: string): string {
  const bytes = address.split('.').map(Number);
  const ordered = endianness() === 'LE' ? bytes.reverse() : bytes;
  return Buffer.from(ordered).toString('hex').toUpperCase();
}

function procNetRoute(
  routes: readonly (readonly [string, string, string, string, number, string])[],
): string {
  const lines = routes.map(
    ([name, destination, gateway, flags, metric, mask]) =>
      `${name}\t${destination}\t${gateway}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0`,
  );
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  return `${[head, ...lines].map((line) => line.padEnd(127)).join('\n')}\n`;
}

describe('the default gateway', () => {
  it.each([
    ['Linux', parseProcNetRoute, PROC_NET_ROUTE, '192.168.178.1'],
    ['macOS', parseRouteGet, ROUTE_GET, '192.168.1.1'],
    ['Windows', parseRoutePrint, ROUTE_PRINT, '192.168.1.1'],
  ])('is read as %s says it', (_, parse, text, gateway) => {
    expect(parse(text)).toBe(gateway);
    expect(parse('')).toBeUndefined();
    forSeeds(500, (random) => {
      const parsed = parse(mutate(Buffer.from(text), random).toString('latin1'));
      ensure(parsed === undefined || isIPv4(parsed), String(parsed));
    });
  });

  const [ANY, VIA_1, VIA_2] = [hex('0.0.0.0'), hex('10.0.0.1'), hex('10.0.0.2')];
  it.each([
    ['the cheapest', [VIA_1, '0003', 100, ANY], [VIA_2, '0003', 50, ANY], '10.0.0.2'],
    ['not one that is down', [VIA_1, '0003', 100, ANY], [VIA_2, '0002', 50, ANY], '10.0.0.1'],
    ['not one that rejects', [VIA_1, '0003', 100, ANY], [VIA_2, '0203', 50, ANY], '10.0.0.1'],
    [
      'not half of the internet',
      [VIA_1, '0003', 100, ANY],
      [VIA_2, '0003', 50, hex('128.0.0.0')],
      '10.0.0.1',
    ],
    ['none, when a VPN without one is before', [VIA_1, '0003', 100, ANY], [ANY, '0001', 50, ANY], undefined],
  ] as const)('is that of one default route of several: %s', (_, one, other, gateway) => {
    expect(
      parseProcNetRoute(
        procNetRoute([
          ['eth0', ANY, ...one],
          ['eth1', ANY, ...other],
        ]),
      ),
    ).toBe(gateway);
  });

  it('is not there on a Mac whose default route is a VPN, or without a route', () => {
    expect(parseRouteGet(ROUTE_GET.replace('    gateway: 192.168.1.1\n', ''))).toBeUndefined();
    expect(parseRouteGet(ROUTE_GET.replace('192.168.1.1', 'link#17'))).toBeUndefined();
    expect(parseRouteGet('route: writing to routing socket: not in table\n')).toBeUndefined();
  });

  it('is not there on a Windows whose best default route is on-link', () => {
    expect(parseRoutePrint(ROUTE_PRINT.replace('     192.168.1.1', '   Auf Verbindung'))).toBeUndefined();
  });

  it('is an address on this machine, if there is one', async () => {
    const gateway = await defaultGateway();
    expect(gateway === undefined || isIPv4(gateway)).toBe(true);
  });
});

describe('the local address towards a destination', () => {
  it.each(['127.0.0.1', '::1'])('%s', async (address) => {
    expect(await localAddressTowards({ address, port: 9 })).toBe(address);
  });

  it.each([
    { address: '255.255.255.255', port: 9 },
    { address: '127.0.0.1', port: 0 },
  ])('is undefined where there is no way: $address:$port', async (destination) => {
    expect(await localAddressTowards(destination)).toBeUndefined();
  });
});
