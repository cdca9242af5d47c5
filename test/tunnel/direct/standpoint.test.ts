import os from 'node:os';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { NamedServer } from '../../../src/nat/client.ts';
import type { Findings, PortMapping, ServerReport } from '../../../src/nat/report.ts';
import { SharedSocket } from '../../../src/net/shared-socket.ts';
import { standpointOf } from '../../../src/tunnel/direct/standpoint.ts';
import { natReport } from '../../support/nat-report.ts';
import { virtualWorld } from '../../support/virtual-world.ts';

const REFLEXIVE = { address: '45.80.1.2', port: 6000 };
const REMOTE: NamedServer = { name: 'remote', endpoints: [{ address: '45.80.9.10', port: 3478 }] };
const LOCAL: NamedServer = { name: 'local', endpoints: [{ address: '127.0.0.1', port: 3478 }] };

afterEach(() => vi.restoreAllMocks());

/** This machine has these addresses. */
function interfaces(addresses: Readonly<Record<string, string>>): void {
  const infos = Object.entries(addresses).map(([name, address]) => {
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    const rest = { netmask: '', mac: '', internal: false, cidr: `${address}/24` };
    return [
      name,
      [family === 'IPv6' ? { address, family, scopeid: 0, ...rest } : { address, family, ...rest }],
    ];
  });
  vi.spyOn(os, 'networkInterfaces').mockReturnValue(Object.fromEntries(infos));
}

interface Stand {
  readonly servers?: readonly NamedServer[];
  readonly statuses?: readonly ServerReport['status'][];
  readonly reflexive?: typeof REFLEXIVE | undefined;
  readonly mapping?: PortMapping;
  readonly lanAddresses?: boolean;
  readonly ipv6?: boolean;
}

function stand(wish: Stand = {}) {
  const { servers = [REMOTE], statuses = ['answered'], lanAddresses = true, ipv6 = false } = wish;
  const { internet } = virtualWorld();
  const host = internet.addHost('45.80.7.7', undefined, { ipv6: '2a0e:a1::7' });
  const sockets = {
    4: new SharedSocket(host.open({ family: 4, port: 5000 })),
    ...(ipv6 && { 6: new SharedSocket(host.open({ family: 6, port: 5006 })) }),
  };
  const report = natReport({ public_address: '45.80.1.2', port_mapping: wish.mapping ?? null });
  const findings: Findings = {
    ...report,
    servers: statuses.map((status, i) => ({ server: `${i}`, status, rtt_ms: null })),
    reflexive: 'reflexive' in wish ? wish.reflexive : REFLEXIVE,
  };
  return standpointOf({ sockets, findings, report, servers, lanAddresses });
}

const told = (standpoint: ReturnType<typeof stand>) =>
  standpoint.candidates.map(({ kind, address, port }) => `${kind} ${address} ${port}`);

describe('what peers are told', () => {
  test('is the host’s own address, and the one that servers see', () => {
    interfaces({ lo: '127.0.0.1', eth0: '192.168.1.2', docker0: '172.17.0.1' });
    const standpoint = stand();
    expect(told(standpoint)).toEqual(['host 192.168.1.2 5000', 'server-reflexive 45.80.1.2 6000']);
    expect(standpoint).toMatchObject({ loopback: false, measured: { reflexive: REFLEXIVE } });
  });

  test('is nothing of the network at home where that is not wanted', () => {
    interfaces({ eth0: '192.168.1.2', eth1: 'fd00::2', eth2: '2a0e:a1::2' });
    expect(told(stand({ lanAddresses: false, ipv6: true }))).toEqual([
      'host 2a0e:a1::2 5006',
      'server-reflexive 45.80.1.2 6000',
    ]);
  });

  test('is an address of IPv6 with the port of the socket for that, and none without', () => {
    interfaces({ eth0: '192.168.1.2', eth1: '2a0e:a1::2' });
    expect(told(stand({ ipv6: true }))[0]).toBe('host 2a0e:a1::2 5006');
    expect(told(stand())).toEqual(['host 192.168.1.2 5000', 'server-reflexive 45.80.1.2 6000']);
  });

  test('is a port that the router forwards, if it is the outermost router', () => {
    interfaces({ eth0: '192.168.1.2' });
    const mapping: PortMapping = { protocol: 'upnp', external_address: '45.80.1.2:7000' };
    const standpoint = stand({ mapping });
    expect(told(standpoint)[1]).toBe('mapped 45.80.1.2 7000');
    expect(standpoint.measured.mapped).toEqual({ address: '45.80.1.2', port: 7000 });
    const hidden = stand({ mapping: { ...mapping, external_address: '100.64.1.2:7000' } });
    expect(told(hidden).join()).not.toContain('mapped');
  });

  test('is the host’s own address alone where UDP is blocked', () => {
    interfaces({ eth0: '192.168.1.2' });
    const standpoint = stand({ statuses: ['silent'], reflexive: undefined });
    expect(told(standpoint)).toEqual(['host 192.168.1.2 5000']);
    expect(standpoint.measured).toMatchObject({ reflexive: undefined, stun: undefined });
  });
});

describe('a server on this machine', () => {
  test('means that every peer is here, too: at the address where it sees us, and nowhere else', () => {
    interfaces({ eth0: '192.168.1.2', eth1: '2a0e:a1::2' });
    const reflexive = { address: '127.0.0.1', port: 5000 };
    const standpoint = stand({ servers: [LOCAL], reflexive, ipv6: true });
    expect(standpoint.loopback).toBe(true);
    expect(told(standpoint)).toEqual(['host 127.0.0.1 5000']);
    expect(told(stand({ servers: [LOCAL], reflexive: undefined }))).toEqual([]);
  });

  test('means nothing where there is another one elsewhere', () => {
    interfaces({ eth0: '192.168.1.2' });
    const standpoint = stand({ servers: [LOCAL, REMOTE], statuses: ['answered', 'answered'] });
    expect(standpoint.loopback).toBe(false);
    expect(told(standpoint)[0]).toBe('host 192.168.1.2 5000');
  });

  test('is not meant by a server that is known by IPv6 only, or whose name is not known', () => {
    interfaces({ eth1: '2a0e:a1::2' });
    const six: NamedServer = { name: 'six', endpoints: [{ address: '2a0e:a9::10', port: 3478 }] };
    const nobody: NamedServer = { name: 'nobody', endpoints: [] };
    for (const server of [six, nobody]) {
      const standpoint = stand({ servers: [server], reflexive: undefined, ipv6: true });
      expect(standpoint.loopback).toBe(false);
      expect(told(standpoint)).toEqual(['host 2a0e:a1::2 5006']);
    }
  });
});

test('punching measures with the first server that has answered, over IPv4', () => {
  interfaces({});
  const endpoint = (address: string) => ({ address, port: 3478 });
  const servers = [
    REMOTE,
    { name: 'six', endpoints: [endpoint('2a0e:a9::10')] },
    { name: 'two', endpoints: [endpoint('2a0e:a9::11'), endpoint('45.80.9.11'), endpoint('45.80.9.12')] },
    { name: 'three', endpoints: [endpoint('45.80.9.13')] },
  ];
  const stunOf = (...statuses: ServerReport['status'][]) =>
    stand({ servers, statuses }).measured.stun?.address;
  expect(stunOf('answered', 'answered', 'answered', 'answered')).toBe('45.80.9.10');
  expect(stunOf('silent', 'answered', 'answered', 'answered')).toBe('45.80.9.11');
  expect(stunOf('silent', 'answered', 'contradicted', 'answered')).toBe('45.80.9.13');
  expect(stunOf('silent', 'answered', 'refused', 'unreachable')).toBeUndefined();
});
