import { expect, test } from 'vitest';
import { roundTrips } from './services/round-trips.ts';
import { build, describeLab } from './suite.ts';
import { script } from './system/root.ts';
import { SERVER_ADDRESSES_V6 } from './topology/addresses.ts';

describeLab('networks', () => {
  test('both sites may have the same LAN', async () => {
    const lab = await build({
      a: { kind: 'full-cone' },
      b: { kind: 'port-restricted', carrier: 'random' },
      sameLan: true,
    });
    const [a, b] = lab.sites;
    expect([a?.hostAddress, b?.hostAddress]).toEqual(['192.168.1.2', '192.168.1.2']);
    expect([a?.publicAddress, b?.publicAddress]).toEqual(['45.80.1.2', '45.80.2.2']);
    for (const host of ['a', 'a2', 'b', 'b2'] as const) expect(await roundTrips(lab, host)).toHaveLength(5);
  });

  test.for(['open', 'firewalled'] as const)('IPv6 is routed, %s', async (ipv6) => {
    const a = { kind: 'port-restricted', carrier: 'sequential' } as const;
    const lab = await build({ a, ipv6, delay: { ms: 1 } });
    const [address] = SERVER_ADDRESSES_V6;
    expect(await roundTrips(lab, 'a', { address })).toHaveLength(5);
    expect(await roundTrips(lab, 'b2', { address })).toHaveLength(5);
    // From outside, a TCP connection finds a closed port, or a firewall that says nothing.
    const connect = `import socket; socket.create_connection(('${lab.site('a').hostAddressV6}', 9), 1)`;
    const { stderr } = await lab.run('server', ['python3', '-c', connect]);
    expect(stderr).toMatch(ipv6 === 'open' ? /ConnectionRefusedError/ : /TimeoutError|timed out/);
  });

  test('without IPv6 there is none', async () => {
    const lab = await build({ a: { kind: 'open' } });
    expect(await lab.check('a', ['ip', '-6', 'addr', 'show', 'dev', 'eth0'])).toBe('');
  });

  test('a router speaks NAT-PMP, PCP and UPnP-IGD', async () => {
    const lab = await build({ a: { kind: 'port-restricted', igd: true } });
    const argv = ['python3', script('prober/port_mapping.py'), '192.168.1.1', '192.168.1.2'];
    expect(JSON.parse(await lab.check('a', argv))).toEqual({
      nat_pmp: '45.80.1.2:20001',
      pcp: '45.80.1.2:20002',
      upnp: '45.80.1.2:20003',
    });
    expect(await lab.igd('a').mappings()).toHaveLength(3);
    await lab.igd('a').stop();
    await lab.igd('a').start();
  });
});
