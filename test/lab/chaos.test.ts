import { expect, test } from 'vitest';
import type { Trouble } from './chaos/events.ts';
import { reportOf } from './chaos/report.ts';
import { playChaos } from './chaos/run.ts';
import { ChaosStage } from './chaos/stage.ts';
import { startCoturn } from './services/coturn.ts';
import { roundTrips } from './services/round-trips.ts';
import { PROGRAM } from './services/underpass.ts';
import { build, describeLab, SEED } from './suite.ts';

const TROUBLE: readonly Trouble[] = [
  { kind: 'server-kill', seconds: 2 },
  { kind: 'path-kill', seconds: 4 },
  { kind: 'flush', sites: ['a', 'b'] },
  { kind: 'blackout', sites: ['a'], seconds: 5 },
];

describeLab('chaos', () => {
  test('connections live through a short one', async () => {
    const site = { kind: 'port-restricted' } as const;
    const options = {
      seed: SEED,
      a: site,
      b: site,
      connections: 20,
      flows: 5,
      flags: [],
      program: undefined,
    };
    const stage = await ChaosStage.build(options);
    try {
      const played = await playChaos(stage, { ms: 58_000, grace: 60, kinds: [], first: TROUBLE });
      const report = reportOf(played, stage.ledger);
      expect(report.complaints, JSON.stringify(report.rows, undefined, 1)).toEqual([]);
      expect(report.rows).toHaveLength(TROUBLE.length);
      // It really was dark.
      expect(report.rows.at(-1)?.pause).toBeGreaterThan(4000);
      expect(report.connections.whole).toBeGreaterThan(20);
    } finally {
      await stage.close();
    }
  });

  test.for([
    { kind: 'port-restricted' } as const,
    { kind: 'sequential' } as const,
    { kind: 'port-restricted', carrier: 'full-cone' } as const,
  ])('machines get other addresses: %j', async (site) => {
    const lab = await build({ a: site });
    await startCoturn(lab);
    const seen = async () => {
      const argv = [process.execPath, PROGRAM, 'nat', '--stun', '45.80.9.10', '--no-port-mapping', '--json'];
      const { public_address, local_address } = JSON.parse((await lab.run('a', argv)).stdout);
      return [local_address, public_address];
    };
    const inside = '192.168.1';
    expect(await seen()).toEqual([`${inside}.2`, '45.80.1.2']);
    await lab.changeHostAddress('a', 77);
    expect(await seen()).toEqual([`${inside}.77`, '45.80.1.2']);
    await lab.changePublicAddress('a', 88);
    await lab.changePublicAddress('a', 89);
    expect(await seen()).toEqual([`${inside}.77`, '45.80.1.89']);
    expect(await roundTrips(lab, 'a')).toHaveLength(5);
  });
});
