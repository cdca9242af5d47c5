import { describe, expect, test } from 'vitest';
import { Random } from '../support/random.ts';
import { DISCOVERY_CASES, tryCase } from './discovery/case.ts';
import { type Findings, type Judgement, judge, passes } from './discovery/judge.ts';
import type { NatKindName } from './kinds/nat-kinds.ts';
import { complaints } from './prober/check.ts';
import { describeLab, pooled, SEED } from './suite.ts';
import type { SiteOptions } from './topology/options.ts';
import { drawSite } from './topology/site.ts';

describeLab('what underpass nat says is right', () => {
  // Few at once: what is measured is a matter of milliseconds.
  const begun = pooled(4, DISCOVERY_CASES, (each) => tryCase(each, SEED + DISCOVERY_CASES.indexOf(each)));

  test.for(DISCOVERY_CASES)('$name', async (each) => {
    const { site, report } = await begun(each);
    expect(complaints(judge(each, site, report).filter(({ required }) => required))).toEqual([]);
  });
});

describe('the judge', () => {
  const TRUE: Findings = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    allocation: { pattern: 'preserving', step: null, range: null },
    poisonable: false,
    hairpin: false,
    cgnat: false,
    udp_blocked: false,
    public_address: '45.80.1.2',
    ipv6: null,
    port_mapping: null,
    mapping_ms: 40,
    elapsed_ms: 900,
  };

  function judged(
    report: Partial<Findings>,
    kind: NatKindName = 'port-restricted',
    extra: Partial<SiteOptions> = {},
  ) {
    const options = { kind, ...extra };
    const site = drawSite('a', options, new Random(1), false);
    const allocation = site.expected.allocation;
    const step = allocation?.pattern === 'sequential' ? allocation.step : 0;
    const judgements = judge({ name: kind, scenario: { a: options } }, site, { ...TRUE, ...report });
    return { judgements, step };
  }

  const wrong = (judgements: readonly Judgement[]) =>
    judgements.filter(({ right }) => !right).map(({ what }) => what);

  test('finds nothing wrong with the truth', () => {
    expect(wrong(judged({}).judgements)).toEqual([]);
  });

  test.for([
    ['mapping', { mapping: 'address-dependent' }, true],
    ['filtering', { filtering: 'unknown' }, true],
    ['allocation', { allocation: { pattern: 'constant', step: null, range: null } }, true],
    ['allocation', { allocation: null }, true],
    ['UDP blocked', { udp_blocked: true }, true],
    ['address', { public_address: '45.80.1.3' }, true],
    ['IPv6', { ipv6: '2a0e:a2::2' }, true],
    ['poisonable', { poisonable: true }, false],
    ['hairpin', { hairpin: true }, false],
    ['cgnat', { cgnat: true }, false],
    ['port mapping', { port_mapping: { protocol: 'pcp', external_address: '45.80.1.2:1' } }, false],
    ['mapped in', { mapping_ms: 501 }, false],
    ['ms', { elapsed_ms: 2001 }, false],
  ] as [string, Partial<Findings>, boolean][])('sees a wrong %s: %j', ([what, report, required]) => {
    const { judgements } = judged(report);
    expect(wrong(judgements)).toEqual([what]);
    expect(passes(judgements)).toBe(!required);
  });

  test.for([
    [1, true],
    [-1, false],
    [2, false],
    [0.5, false],
  ] as const)('of a sequential one, %d times the step is right: %s', ([times, right]) => {
    const { step } = judged({}, 'sequential');
    const allocation = { pattern: 'sequential', step: step * times, range: null } as const;
    const { judgements } = judged({ allocation }, 'sequential');
    expect(judgements.find(({ what }) => what === 'allocation')?.right).toBe(right);
  });
});
