import type { Runtime } from '../../net/runtime.ts';

/** A signal that is aborted after a time, or earlier when somebody has had enough: time-out and cancellation are one thing. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;

  /** `delay` in milliseconds. */
  constructor(runtime: Runtime, delay: number) {
    const timer = runtime.setTimer(delay, () => this.#controller.abort());
    this.#cancel = () => timer.cancel();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    this.#cancel();
    this.#controller.abort();
  }
}
