import { setImmediate as turn } from 'node:timers/promises';

/** Between two bursts, in milliseconds: shorter than any timer of Node's. */
const TICK = 0.2;
/** What a process that was late may make up for: more would be a burst that nobody asked for. */
const MOST_LATE = 2;

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Calls `act` at a rate (per second) for `duration` milliseconds, in bursts that are as small as the system lets us. Returns how often. */
export async function atRate(rate: number, duration: number, act: () => void): Promise<number> {
  const began = performance.now();
  let last = began;
  let due = 0;
  let done = 0;
  while (last - began < duration) {
    const now = performance.now();
    due = Math.min(due + ((now - last) * rate) / 1000, (MOST_LATE * rate) / 1000 + 1);
    last = now;
    for (; due >= 1; due--, done++) act();
    // Sleeps without the processor that a loop would take from those who are measured; what arrives has its turn before.
    await turn();
    Atomics.wait(cell, 0, 0, TICK);
  }
  return done;
}
