import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { forSeeds } from '../support/seeds.ts';

describe('a budget', () => {
  it('reserves what is there, all or nothing', () => {
    const budget = new Budget(100);
    expect([budget.reserve(60), budget.reserve(41), budget.reserve(40)]).toEqual([true, false, true]);
    expect(budget.used).toBe(100);
  });

  it('gives what must be had, and knows by how much it is overdrawn', () => {
    const budget = new Budget(100);
    budget.take(130);
    expect([budget.used, budget.overdraft, budget.reserve(1)]).toEqual([130, 30, false]);
    budget.release(130);
    expect([budget.used, budget.overdraft]).toEqual([0, 0]);
  });

  it('counts inside another against both, and takes nothing when either is short', () => {
    const outer = new Budget(100);
    const [one, two] = [new Budget(80, outer), new Budget(80, outer)];
    expect([one.reserve(70), two.reserve(40), two.reserve(30)]).toEqual([true, false, true]);
    expect([one.used, two.used, outer.used]).toEqual([70, 30, 100]);
    two.take(10);
    expect([one.overdraft, two.overdraft]).toEqual([10, 10]);
  });

  it('is balanced whatever was taken and released', () => {
    forSeeds(500, (random) => {
      const outer = new Budget(1000);
      const inner = [new Budget(500, outer), new Budget(700, outer)] as const;
      const held = [0, 0];
      for (let i = 0; i < 60; i++) {
        const which = random.integer(2) as 0 | 1;
        const bytes = random.integer(300);
        const has = held[which] ?? 0;
        if (random.integer(3) === 0) inner[which].take(bytes);
        else if (random.integer(2) === 0) {
          if (!inner[which].reserve(bytes)) continue;
          expect(inner[which].used).toBeLessThanOrEqual(inner[which].total);
          expect(outer.used).toBeLessThanOrEqual(outer.total);
        } else {
          inner[which].release(has);
          held[which] = 0;
          continue;
        }
        held[which] = has + bytes;
        expect(outer.used).toBe((held[0] ?? 0) + (held[1] ?? 0));
      }
    });
  });
});
