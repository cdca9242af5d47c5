import { describe, expect, it } from 'vitest';
import type { Machine } from '../../src/machine.ts';
import { Driver } from '../../src/net/driver.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** A machine that wants to be woken when the test says so, and tells when it was. */
function driven() {
  const runtime = new VirtualRuntime();
  const wish: { at: number | undefined } = { at: undefined };
  const woken: number[] = [];
  const machine: Machine<never> = {
    pollOutput: () => undefined,
    pollTimeout: () => wish.at,
    handleTimeout: (now) => {
      woken.push(now);
      if (wish.at !== undefined && now >= wish.at) wish.at = undefined;
    },
  };
  const driver = new Driver(machine, runtime, () => {});
  const wakeAt = (at: number | undefined) => {
    wish.at = at;
    driver.pump();
  };
  return { runtime, woken, driver, wakeAt };
}

describe('a driver', () => {
  it('wakes its machine when it asked to be, and then when it asks for earlier', () => {
    const { runtime, woken, wakeAt } = driven();
    const start = runtime.now();
    wakeAt(start + 100);
    runtime.advance(99);
    expect(woken).toEqual([]);
    runtime.advance(1);
    expect(woken).toEqual([start + 100]);
    wakeAt(start + 300);
    wakeAt(start + 200);
    runtime.advance(200);
    expect(woken[1]).toBe(start + 200);
  });

  it('leaves no timer behind when there is nothing to wait for, nor after stop', () => {
    const { runtime, woken, driver, wakeAt } = driven();
    wakeAt(runtime.now() + 100);
    expect(runtime.pendingTimers).toBe(1);
    wakeAt(undefined);
    expect(runtime.pendingTimers).toBe(0);
    wakeAt(runtime.now() + 100);
    driver.stop();
    expect(runtime.pendingTimers).toBe(0);
    runtime.advance(1000);
    expect(woken).toEqual([]);
  });
});
