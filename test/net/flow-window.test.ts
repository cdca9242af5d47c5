import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { FlowWindow } from '../../src/net/flow-window.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

const INITIAL = 1000;

function flowWindow(budget = new Budget(1e6), maximum = 8000): FlowWindow {
  return new FlowWindow({ initial: INITIAL, maximum, budget }, 0);
}

describe('a flow window', () => {
  it('takes its initial size from the budget and gives all back', () => {
    const budget = new Budget(1e6);
    const window = flowWindow(budget);
    expect(budget.used).toBe(INITIAL);
    window.close();
    window.close();
    expect(budget.used).toBe(0);
  });

  it('refuses a byte more than was granted', () => {
    const window = flowWindow();
    expect([window.receive(INITIAL), window.receive(0), window.receive(1)]).toEqual([true, true, false]);
  });

  it('grants half a window at a time, and no more than was consumed, when the sender is slow', () => {
    const window = flowWindow();
    window.receive(INITIAL);
    expect(window.consume(499, 1e6, 10)).toBe(0);
    expect(window.consume(1, 1e6, 10)).toBe(500);
    expect(window.consume(500, 2e6, 10)).toBe(500);
    expect(window.size).toBe(INITIAL);
  });

  it('doubles up to its maximum while halves go by within a few round trips', () => {
    const window = flowWindow();
    let now = 0;
    let granted = INITIAL;
    for (let i = 0; i < 10; i++) {
      expect(window.receive(granted)).toBe(true);
      now += 30;
      granted = window.consume(granted, now, 10);
    }
    expect([window.size, granted]).toEqual([8000, 8000]);
  });

  it('does not grow when the budget has no more', () => {
    const budget = new Budget(1500);
    const window = flowWindow(budget);
    window.receive(INITIAL);
    expect(window.consume(INITIAL, 1, 10)).toBe(INITIAL);
    expect(budget.used).toBe(INITIAL);
  });

  it('shrinks back to its initial size when others need the budget', () => {
    const budget = new Budget(8000);
    const window = flowWindow(budget);
    let granted = INITIAL;
    for (let now = 1; window.size < 8000; now++) {
      window.receive(granted);
      granted = window.consume(granted, now, 10);
    }
    const others = [flowWindow(budget), flowWindow(budget), flowWindow(budget)];
    expect(budget.overdraft).toBe(3000);
    window.receive(granted);
    window.consume(granted, 1e6, 10);
    expect([window.size, budget.overdraft]).toEqual([5000, 0]);
    for (const other of others) other.close();
    window.close();
    expect(budget.used).toBe(0);
  });

  it('keeps its promises under any schedule', () => {
    forSeeds(5000, (random) => {
      const budget = new Budget(20_000);
      const windows = Array.from({ length: 1 + random.integer(6) }, () => ({
        window: flowWindow(budget),
        open: INITIAL,
        unconsumed: 0,
        ungranted: 0,
      }));
      let now = 0;
      for (let i = 0; i < 80; i++) {
        const one = windows[random.integer(windows.length)] ?? windows[0];
        if (one === undefined) continue;
        now += random.pick([0, 1, 1000]);
        if (random.integer(2) === 0) {
          const bytes = random.integer(one.open + 1);
          ensure(one.window.receive(bytes), 'what was granted may be sent');
          one.open -= bytes;
          one.unconsumed += bytes;
        } else {
          const bytes = random.integer(one.unconsumed + 1);
          const before = one.window.size;
          one.unconsumed -= bytes;
          const grant = one.window.consume(bytes, now, random.pick([undefined, 5]));
          one.open += grant;
          ensure(grant >= 0, 'nothing is taken back');
          ensure(one.window.size - before <= grant, 'growth is granted');
          ensure(
            grant <= bytes + one.ungranted + Math.max(0, one.window.size - before),
            'only what was consumed is granted',
          );
          one.ungranted = grant === 0 ? one.ungranted + bytes : 0;
        }
        ensure(!one.window.receive(one.open + 1), 'no more may be sent than was granted');
        // Whoever has consumed everything leaves the sender at least half a window.
        if (one.unconsumed === 0) ensure(one.open * 2 >= one.window.size, 'half a window is open');
        ensure(one.open + one.unconsumed <= one.window.size, 'no more than the window is out');
        ensure(one.window.size >= INITIAL, 'it never shrinks below its start');
        ensure(
          budget.used === windows.reduce((sum, { window }) => sum + window.size, 0),
          'the budget knows the sizes',
        );
      }
    });
  });
});
