import { describe, expect, test } from 'vitest';
import { Random } from '../support/random.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import { describeTrouble, drawTrouble, GRACE, LONGEST, TROUBLE_KINDS } from './chaos/events.ts';
import { outline, Schedule, secondsOf } from './chaos/schedule.ts';

function ten(seed: number) {
  return outline(new Schedule(seed, TROUBLE_KINDS), 600);
}

describe('the schedule', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(ten(7)).toEqual(ten(7));
    expect(ten(7)).not.toEqual(ten(8));
  });

  test('brings every kind within ten minutes, none outlasts what is left of the grace', () => {
    forSeeds(300, (_, seed) => {
      const events = ten(seed);
      const kinds = new Set(events.map(({ planned }) => planned.trouble.kind));
      ensure(kinds.size === TROUBLE_KINDS.length, `all kinds are there, not only ${[...kinds].join(' ')}`);
      for (const [index, { at, planned }] of events.entries()) {
        ensure(planned.number === index + 1, 'they are numbered');
        ensure(secondsOf(planned.trouble) <= LONGEST, `${describeTrouble(planned.trouble)} is short enough`);
        const next = events[index + 1];
        const rest = next && next.at - at - secondsOf(planned.trouble);
        ensure(rest === undefined || rest >= 4, 'there is peace between them');
      }
    });
    expect(LONGEST).toBeLessThan(GRACE);
  });

  test('has only the kinds that are wanted, and ends where there are none', () => {
    const events = outline(new Schedule(1, ['flush', 'stop']), 600);
    expect(new Set(events.map(({ planned }) => planned.trouble.kind))).toEqual(new Set(['flush', 'stop']));
    expect(new Schedule(1, []).next()).toBeUndefined();
    expect(outline(new Schedule(1, []), 600)).toEqual([]);
  });

  test('what is drawn of a kind differs, and stays an address that a machine may have', () => {
    const random = new Random(3);
    for (const kind of ['lan-address', 'wan-address'] as const) {
      const numbers = Array.from({ length: 200 }, () => drawTrouble(kind, random)).map((trouble) =>
        'number' in trouble ? trouble.number : 0,
      );
      expect(Math.min(...numbers)).toBeGreaterThan(3);
      expect(Math.max(...numbers)).toBeLessThan(255);
      expect(new Set(numbers).size).toBeGreaterThan(50);
    }
  });
});
