import { expect, test } from 'vitest';
import { CLASSES, type Entry, type MatrixClass } from './matrix/classes.ts';
import type { Outcome } from './matrix/record.ts';
import { run } from './matrix/run.ts';
import { Stage } from './matrix/stage.ts';
import { comesTo, FIRST_BYTE_MS } from './matrix/summary.ts';
import { describeLab, pooled, SEED } from './suite.ts';

interface Sample {
  readonly class: MatrixClass;
  readonly entry: Entry;
  readonly name: string;
}

function sample(className: string, pair: string): Sample {
  const found = CLASSES.find(({ name }) => name === className);
  const entry = found?.entries.find(({ case: each }) => each.name === pair);
  if (found === undefined || entry === undefined) throw new Error(`no ${pair} in ${className}`);
  return { class: found, entry, name: `${pair}: ${found.expects}` };
}

/** One of everything; the whole matrix is `npm run lab -- matrix`. */
const SAMPLES: readonly Sample[] = [
  sample('independent', 'port-restricted × port-restricted'),
  sample('independent', 'port-restricted-poisonable × port-restricted-poisonable'),
  sample('sequential', 'sequential × port-restricted'),
  sample('two-sequential', 'sequential × sequential'),
  sample('random', 'port-restricted × random'),
  sample('two-random', 'random × random'),
  sample('udp-blocked', 'udp-blocked × port-restricted'),
  sample('one-nat', 'both behind port-restricted'),
  sample('ipv6', 'random × random, IPv6 firewalled'),
  sample('port-mapping', 'random+igd × random'),
];

/** Where ports have to be predicted, one run can fail; three do not. */
const RUNS = 3;

async function tryOut({ class: each, entry }: Sample): Promise<Outcome[]> {
  const stage = await Stage.build(entry.case, SEED);
  const outcomes: Outcome[] = [];
  try {
    while (outcomes.length < (each.threshold < 1 ? RUNS : 1)) {
      const { outcome } = await run(stage);
      outcomes.push(outcome);
      if (comesTo(each, outcome)) break;
      await stage.renewServer();
    }
    return outcomes;
  } finally {
    await stage.close();
  }
}

describeLab('subscriber × publisher', () => {
  const begun = pooled(2, SAMPLES, tryOut);

  test.for(SAMPLES)('$name', async (each) => {
    const outcomes = await begun(each);
    for (const { error, troubles, failures, first_byte_ms } of outcomes) {
      expect([error, troubles, failures]).toEqual([null, [], []]);
      expect(first_byte_ms).toBeLessThan(FIRST_BYTE_MS);
    }
    expect(
      outcomes.some((outcome) => comesTo(each.class, outcome)),
      JSON.stringify(outcomes),
    ).toBe(true);
  });
});
