import { expect, test } from 'vitest';
import type { Laboratory } from './laboratory.ts';
import { externalPorts } from './prober/conntrack.ts';
import { FRESH, Sender } from './prober/sender.ts';
import { build, describeLab, eventually } from './suite.ts';
import { SERVER_ADDRESSES } from './topology/addresses.ts';

const [ADDRESS] = SERVER_ADDRESSES;

/** Sends one packet, from a new socket unless told otherwise, and says which external port it was given. */
async function mapped(lab: Laboratory, sender: Sender, localPort = FRESH): Promise<[number, number]> {
  const sent = await sender.send([{ localPort, address: ADDRESS, port: 9 }]);
  const [external = 0] = await externalPorts(lab, 'a', sent);
  return [sent[0]?.localPort ?? 0, external];
}

describeLab('mappings', () => {
  test('a neighbour uses up ports, at the rate that it is told', async () => {
    const lab = await build({ a: { kind: 'sequential' } });
    const { allocation } = lab.site('a').expected;
    const step = allocation?.pattern === 'sequential' ? allocation.step : 0;
    const sender = new Sender(lab, 'a');
    const [, first] = await mapped(lab, sender);
    await lab.burn('a', 400);
    const began = performance.now();
    const burnt = await eventually(async () => {
      const [, port] = await mapped(lab, sender);
      const taken = (port - first) / step;
      return taken > 150 ? taken : undefined;
    });
    const perSecond = (burnt * 1000) / (performance.now() - began);
    expect(perSecond).toBeGreaterThan(200);
    expect(perSecond).toBeLessThan(900);
    await lab.burn('a', 0);
    const [, before] = await mapped(lab, sender);
    const [, after] = await mapped(lab, sender);
    expect(after - before).toBe(step);
  });

  test.for(['router-a', 'carrier-a'] as const)('are forgotten in mid-session by %s', async (router) => {
    const carrier = router === 'carrier-a' ? ({ carrier: 'sequential' } as const) : {};
    const kind = router === 'router-a' ? 'sequential' : 'port-restricted';
    const lab = await build({ a: { kind, ...carrier } });
    const sender = new Sender(lab, 'a');
    const [local, before] = await mapped(lab, sender);
    expect(await mapped(lab, sender, local)).toEqual([local, before]);
    await lab.flush('a');
    const [, after] = await mapped(lab, sender, local);
    expect(after).not.toBe(before);
  });

  test('that are forgotten let nobody in any more', async () => {
    const lab = await build({ a: { kind: 'full-cone' } });
    const [host, stranger] = [new Sender(lab, 'a'), new Sender(lab, 'server')];
    const [localPort, port] = await mapped(lab, host);
    const letIn = async (): Promise<boolean> => {
      const [knock] = await stranger.send([{ localPort: FRESH, address: lab.site('a').publicAddress, port }]);
      const answer = { localPort, address: ADDRESS, port: knock?.localPort ?? 0 };
      return (await externalPorts(lab, 'a', [answer]))[0] === port;
    };
    expect(await letIn()).toBe(true);
    await lab.flush('a');
    expect(await letIn()).toBe(false);
  });

  test('end when nobody uses them, soon where the router is told so', async () => {
    const lab = await build({ a: { kind: 'port-restricted', udpTimeout: { fresh: 1, settled: 1 } } });
    const sender = new Sender(lab, 'a');
    const sent = await sender.send([{ localPort: FRESH, address: ADDRESS, port: 9 }]);
    expect(await externalPorts(lab, 'a', sent)).toEqual([sent[0]?.localPort]);
    const began = performance.now();
    await eventually(async () => {
      const [port] = await externalPorts(lab, 'a', sent);
      return port === undefined ? true : undefined;
    });
    expect(performance.now() - began).toBeLessThan(4000);
  });
});
