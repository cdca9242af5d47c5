import { expect, test } from 'vitest';
import type { NatReport } from '../../src/nat/report.ts';
import type { Laboratory, MachineName } from './laboratory.ts';
import { startCoturn } from './services/coturn.ts';
import { discoverNat, PROGRAM, serverMetrics, startPublisher, startServer } from './services/underpass.ts';
import { build, describeLab, eventually } from './suite.ts';
import { type LabProcess, wholeLines } from './system/lab-process.ts';

/** Every `nat` event that a tunnel has told so far. */
function networks(tunnel: LabProcess): NatReport[] {
  const events = wholeLines(tunnel.stdout).map((line) => JSON.parse(line));
  return events.filter(({ event }) => event === 'nat');
}

function network(
  tunnel: LabProcess,
  wanted: (report: NatReport) => boolean,
  ms?: number,
): Promise<NatReport> {
  return tunnel.output(() => networks(tunnel).find(wanted), ms);
}

/** `underpass nat` with flags of its own. */
async function nat(lab: Laboratory, machine: MachineName, ...flags: string[]) {
  return lab.run(machine, [process.execPath, PROGRAM, 'nat', ...flags]);
}

describeLab('the programs', () => {
  test('a tunnel tells what network it is in, and the server counts it', async () => {
    const lab = await build({ a: { kind: 'sequential' } });
    await startServer(lab);
    const tunnel = await startPublisher(lab, 'a');
    const report = await network(tunnel, () => true);
    expect(report).toMatchObject({ type: 'symmetric', public_address: '45.80.1.2', port_mapping: null });
    const metrics = await eventually(async () => {
      const text = await serverMetrics(lab);
      return text.includes('underpass_sessions_by_nat{type="symmetric"} 1') || undefined;
    });
    expect(metrics).toBe(true);
  });

  test('the router forwards a port while a tunnel runs, and has it back at the end', async () => {
    const lab = await build({ a: { kind: 'port-restricted', igd: true } });
    await startServer(lab);
    const tunnel = await startPublisher(lab, 'a');
    const report = await network(tunnel, ({ port_mapping }) => port_mapping !== null);
    expect(report.port_mapping?.external_address).toMatch(/^45\.80\.1\.2:\d+$/);
    expect(report).toMatchObject({ cgnat: false, port_mapping: { protocol: 'pcp' } });
    expect(await lab.igd('a').mappings()).toHaveLength(1);
    tunnel.kill('SIGTERM');
    expect((await tunnel.ended).code).toBe(0);
    expect(await lab.igd('a').mappings()).toEqual([]);
  });

  test('it measures again, from another socket, when the network changes', async () => {
    const lab = await build({ a: { kind: 'port-restricted' } });
    await startServer(lab);
    const tunnel = await startPublisher(lab, 'a');
    const before = await network(tunnel, () => true);
    expect(before.local_address).toBe('192.168.1.2');
    await lab.check(
      'a',
      ['sh', '-eu'],
      [
        'ip addr add 192.168.1.77/24 dev eth0',
        'ip addr del 192.168.1.2/24 dev eth0',
        'ip addr add 192.168.1.77/24 dev eth0 2>/dev/null || true',
        'ip route replace default via 192.168.1.1',
      ].join('\n'),
    );
    const after = await network(tunnel, ({ local_address }) => local_address === '192.168.1.77', 20_000);
    expect(after).toMatchObject({ type: 'port-restricted-cone', public_address: '45.80.1.2' });
  });

  test('a STUN server that is not ours will do, without an account', async () => {
    const lab = await build({ a: { kind: 'address-restricted' } });
    await startCoturn(lab);
    const { code, stdout } = await nat(lab, 'a', '--stun', '45.80.9.10', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ type: 'restricted-cone', mapping: 'endpoint-independent', mapping_confidence: 'addresses' },
      ...{ filtering: 'address-dependent', public_address: '45.80.1.2' },
    });
  });

  test('closed STUN ports are told from UDP that is blocked', async () => {
    const lab = await build({ a: { kind: 'port-restricted' }, b: { kind: 'udp-blocked' } });
    await startServer(lab);
    const blocked = await discoverNat(lab, 'b');
    expect(blocked).toMatchObject({ udp_blocked: true, servers: [{ status: 'silent' }] });
    expect(blocked.elapsed_ms).toBeLessThan(2000);
    const rules =
      'table ip closed {\n chain input {\n type filter hook input priority 0\n udp dport 3478-3479 reject\n }\n}\n';
    await lab.check('server', ['nft', '-f', '-'], rules);
    expect(await discoverNat(lab, 'a')).toMatchObject({
      udp_blocked: false,
      servers: [{ status: 'refused' }],
    });
    const { stdout } = await nat(lab, 'a', '--server', 'ws://45.80.9.10:4040', '--insecure');
    expect(stdout).toContain("The server's STUN ports are closed");
  });

  test('without --no-port-mapping the router is asked, and with it, it is not', async () => {
    const lab = await build({ a: { kind: 'port-restricted', igd: true } });
    await startServer(lab);
    const flags = ['--server', 'ws://45.80.9.10:4040', '--insecure', '--json'];
    const asked = JSON.parse((await nat(lab, 'a', ...flags)).stdout);
    expect(asked.port_mapping).toMatchObject({ protocol: 'pcp' });
    expect(await lab.igd('a').mappings()).toEqual([]);
    const unasked = JSON.parse((await nat(lab, 'a', ...flags, '--no-port-mapping')).stdout);
    expect(unasked.port_mapping).toBeNull();
  });

  test('a network that goes away ends nothing, and is told when it is back', async () => {
    const lab = await build({ a: { kind: 'port-restricted' } });
    await startServer(lab);
    const tunnel = await startPublisher(lab, 'a');
    await network(tunnel, () => true);
    await lab.check('a', ['ip', 'link', 'set', 'eth0', 'down']);
    await network(tunnel, ({ udp_blocked }) => udp_blocked, 20_000);
    const { code, stdout } = await nat(lab, 'a', '--stun', '45.80.9.10', '--json');
    expect([code, JSON.parse(stdout).servers]).toMatchObject([0, [{ status: 'silent' }]]);
    const told = networks(tunnel).length;
    const up = 'ip link set eth0 up\nip route replace default via 192.168.1.1';
    await lab.check('a', ['sh', '-eu'], up);
    const back = await tunnel.output(() => networks(tunnel).slice(told)[0], 20_000);
    expect(back).toMatchObject({ type: 'port-restricted-cone', udp_blocked: false });
    expect(tunnel.over).toBe(false);
  });
});
