import { randomBytes } from 'node:crypto';
import type { Instant } from '../machine.ts';

/** A timer that has been set. */
export interface Timer {
  cancel(): void;
}

/** The one place where time and randomness come in. Tests inject their own. */
export interface Runtime {
  /** Monotonic clock, milliseconds. */
  now(): Instant;
  /** Calls back once, no earlier than `delay` milliseconds from now. A pending timer keeps the process alive. */
  setTimer(delay: number, callback: () => void): Timer;
  /** Bytes from a CSPRNG. */
  randomBytes(size: number): Buffer;
}

/** Node's longest timer; a longer delay would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

export const systemRuntime: Runtime = {
  now: () => performance.now(),
  setTimer(delay, callback) {
    let turn: NodeJS.Immediate | undefined;
    // Whoever waited for a packet shall not be told that it has not come while it waits to be read, as after a busy moment.
    const handle = setTimeout(
      () => {
        turn = setImmediate(callback);
      },
      Math.min(Math.max(delay, 0), MAX_DELAY),
    );
    return {
      cancel() {
        clearTimeout(handle);
        clearImmediate(turn);
      },
    };
  },
  randomBytes: (size) => randomBytes(size),
};
