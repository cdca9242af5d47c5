import { describe, it } from 'vitest';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import type { VirtualSocket } from '../support/virtual-host.ts';
import type { Dependence, NatOptions } from '../support/virtual-nat.ts';
import { CONE, listen, virtualWorld } from '../support/virtual-world.ts';

const BYTES = Buffer.from('hello');

/** What of a destination matters, in the words of RFC 4787 sections 4.1 and 5. */
const MATTERS: Readonly<Record<Dependence, (to: Endpoint) => string>> = {
  'endpoint-independent': () => '',
  'address-dependent': ({ address }) => address,
  'address-and-port-dependent': ({ address, port }) => `${address} ${port}`,
};

const DEPENDENCES = Object.keys(MATTERS) as Dependence[];

/** Sends at random for less than the idle time, and judges every packet by a list of all that was sent before. */
function compareWithModel(options: NatOptions, seed: number): void {
  const { runtime, random, internet, behind } = virtualWorld(seed);
  const { host } = behind(options);
  const insiders = [0, 1].map(() => host.open({ family: 4 })) as [VirtualSocket, VirtualSocket];
  const strangers = ['45.80.5.2', '45.80.5.66'].flatMap((address) => {
    const stranger = internet.addHost(address);
    return [1000, 2000].map((port) => stranger.open({ family: 4, port }));
  }) as [VirtualSocket, ...VirtualSocket[]];
  const ears = new Map([...insiders, ...strangers].map((socket) => [socket, listen(socket)]));
  const heard = (socket: VirtualSocket) => ears.get(socket)?.splice(0) ?? [];
  const maps = MATTERS[options.mapping];
  const filters = MATTERS[options.filtering];
  const sent: { insider: VirtualSocket; to: Endpoint; from: Endpoint }[] = [];

  for (let step = 0; step < 60; step++) {
    const stranger = random.pick(strangers);
    const to = stranger.local;
    const target = sent[random.integer(sent.length)];
    if (target === undefined || random.integer(2) === 0) {
      const insider = random.pick(insiders);
      insider.send(BYTES, to);
      runtime.advance(20);
      const [from] = heard(stranger);
      if (from === undefined) throw new Error('a packet did not get out');
      for (const other of sent) {
        const shared = other.insider === insider && maps(other.to) === maps(to);
        ensure(shared === (other.from.port === from.port), 'mappings are shared where they should be');
      }
      sent.push({ insider, to, from });
    } else {
      stranger.send(BYTES, target.from);
      runtime.advance(20);
      const admitted = sent.some(
        (other) => other.from.port === target.from.port && filters(other.to) === filters(to),
      );
      for (const insider of insiders) {
        const expected = admitted && insider === target.insider ? 1 : 0;
        ensure(heard(insider).length === expected, `an insider hears ${expected} packets`);
      }
    }
  }
}

describe('a NAT, whatever is sent', () => {
  for (const mapping of DEPENDENCES) {
    for (const filtering of DEPENDENCES) {
      it(`does what RFC 4787 says: mapping ${mapping}, filtering ${filtering}`, () => {
        const options = { ...CONE, mapping, filtering, allocation: { pattern: 'random' } } as const;
        forSeeds(10, (_, seed) => compareWithModel(options, seed));
      });
    }
  }
});
