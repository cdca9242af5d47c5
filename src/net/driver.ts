import type { Instant, Machine } from '../machine.ts';
import type { Runtime, Timer } from './runtime.ts';

/**
 * Runs one machine against a runtime. Give the machine its input, then call `pump`: outputs go to `onOutput`, and the
 * machine is woken when it asked to be. Inputs given from inside `onOutput` are folded into the running pump.
 */
export class Driver<Output> {
  readonly #machine: Machine<Output>;
  readonly #runtime: Runtime;
  readonly #onOutput: (output: Output) => void;
  #timer: Timer | undefined;
  #timerAt: Instant | undefined;
  #pumping = false;
  #stopped = false;

  constructor(machine: Machine<Output>, runtime: Runtime, onOutput: (output: Output) => void) {
    this.#machine = machine;
    this.#runtime = runtime;
    this.#onOutput = onOutput;
  }

  pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    try {
      for (;;) {
        const output = this.#machine.pollOutput();
        if (output === undefined || this.#stopped) break;
        this.#onOutput(output);
      }
    } finally {
      this.#pumping = false;
    }
    this.#arm();
  }

  /** No output and no timer fires after this. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#stopped) return;
    const at = this.#machine.pollTimeout();
    // A timer that fires early costs one call; re-arming on every packet would cost more.
    if (at !== undefined && this.#timerAt !== undefined && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = at;
    // A timer that nobody needs would keep the process alive.
    if (at === undefined) return;
    this.#timer = this.#runtime.setTimer(at - this.#runtime.now(), () => this.#wake());
  }

  #wake(): void {
    this.#timer = undefined;
    this.#timerAt = undefined;
    this.#machine.handleTimeout(this.#runtime.now());
    this.pump();
  }
}
