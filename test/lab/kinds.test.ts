import { describe, expect, test } from 'vitest';
import { Random } from '../support/random.ts';
import { forSeeds } from '../support/seeds.ts';
import { type Expected, inSeries } from './kinds/expected.ts';
import { drawNat, NAT_KIND_NAMES, type NatKindName } from './kinds/nat-kinds.ts';
import { drawBlock, drawWalk } from './kinds/ports.ts';
import { verify } from './prober/verify.ts';
import { describeLab, expectRight, pooled, SEED } from './suite.ts';
import type { SiteOptions } from './topology/options.ts';

const KINDS: SiteOptions[] = NAT_KIND_NAMES.map((kind) => ({ kind }));
const TURNING: SiteOptions[] = (['full-cone', 'address-restricted', 'port-restricted'] as const).map(
  (kind) => ({
    kind,
    hairpin: true,
  }),
);
const BEHIND: SiteOptions[] = [
  { kind: 'port-restricted', carrier: 'full-cone' },
  { kind: 'full-cone', carrier: 'address-restricted' },
  { kind: 'port-restricted-poisonable', carrier: 'full-cone' },
  { kind: 'port-restricted', carrier: 'random' },
  { kind: 'sequential', carrier: 'port-restricted' },
  { kind: 'open', carrier: 'sequential' },
  { kind: 'port-restricted', carrier: 'firewalled' },
];

describeLab('probers that are not ours find what was built', () => {
  const begun = pooled(12, [...KINDS, ...TURNING, ...BEHIND], (site) => verify(site, { seed: SEED }));

  test.for(KINDS)('$kind', async (site) => expectRight(await begun(site)));
  test.for(TURNING)('$kind with hairpinning', async (site) => expectRight(await begun(site)));
  test.for(BEHIND)('$kind behind $carrier', async (site) => expectRight(await begun(site)));
});

describe('what is drawn', () => {
  test('a counter keeps its step and stays above reserved ports', () => {
    forSeeds(50, (random) => {
      for (const jittered of [false, true]) {
        const { ports, step, jitter } = drawWalk(random, jittered);
        const jumps = ports.slice(1).map((port, index) => (port - (ports[index] ?? 0)) / step);
        expect(jumps.every((jump) => Number.isInteger(jump) && jump >= 1 && jump <= jitter)).toBe(true);
        expect(new Set(jumps).size).toBe(jitter);
        expect(Math.min(...ports)).toBeGreaterThanOrEqual(1024);
        expect(Math.max(...ports)).toBeLessThan(65_536);
      }
    });
  });

  test('steps of both directions and several sizes, and many blocks', () => {
    const steps = new Set<number>();
    const sizes = new Set<number>();
    forSeeds(200, (random) => {
      steps.add(drawWalk(random, false).step);
      const [first, last] = drawBlock(random);
      sizes.add(last - first + 1);
    });
    expect([...steps].sort((one, other) => one - other)).toEqual([-4, -3, -2, -1, 1, 2, 3, 4]);
    expect(sizes.size).toBeGreaterThan(100);
  });

  test.for(NAT_KIND_NAMES)('%s is the same again for the same seed', (kind) => {
    expect(drawNat(kind, new Random(7))).toEqual(drawNat(kind, new Random(7)));
  });
});

describe('two NATs in series', () => {
  const expected = (kind: NatKindName): Expected => drawNat(kind, new Random(1)).expected;
  const [EI, AD, APD] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;

  test.for([
    ['port-restricted', 'full-cone', EI, APD, 'preserving', false],
    ['full-cone', 'address-restricted', EI, AD, 'preserving', false],
    ['independent-random', 'sequential', APD, APD, 'sequential', null],
    ['random', 'full-cone', APD, APD, 'random', null],
    ['sequential', 'independent-hashed', APD, APD, 'random', null],
    ['port-restricted', 'independent-hashed', EI, APD, 'constant', false],
    ['full-cone', 'address-dependent', AD, APD, 'random', null],
    ['port-restricted-poisonable', 'full-cone', EI, APD, 'preserving', true],
    ['port-restricted-poisonable', 'port-restricted', EI, APD, 'preserving', false],
    ['full-cone', 'port-restricted-poisonable', EI, APD, 'preserving', true],
    ['open', 'open', 'none', 'none', 'preserving', false],
    ['udp-blocked', 'open', 'unknown', 'unknown', undefined, null],
    ['open', 'udp-blocked', 'unknown', 'unknown', undefined, null],
  ] as const)('%s behind %s', ([home, carrier, mapping, filtering, pattern, poisonable]) => {
    const both = inSeries(expected(home), expected(carrier));
    expect([both.mapping, both.filtering, both.allocation?.pattern, both.poisonable]).toEqual([
      mapping,
      filtering,
      pattern,
      poisonable,
    ]);
  });
});
