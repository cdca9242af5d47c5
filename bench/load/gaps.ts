import type { Socket } from 'node:net';

/** A time in which nothing arrived. */
export interface Gap {
  /** When it ended: milliseconds since 1970. */
  readonly at: number;
  readonly length: number;
}

/** In milliseconds. Shorter ones are nobody's pause. */
const LEAST = 1;
const MOST = 500_000;

/** Every gap between bytes that arrive on one connection. */
export class GapRecorder {
  readonly #gaps: Gap[] = [];
  #last: number | undefined;

  constructor(socket: Socket) {
    socket.on('data', () => {
      const at = performance.timeOrigin + performance.now();
      const length = at - (this.#last ?? at);
      this.#last = at;
      if (length >= LEAST && this.#gaps.length < MOST) this.#gaps.push({ at, length });
    });
  }

  get gaps(): readonly Gap[] {
    return this.#gaps;
  }
}
