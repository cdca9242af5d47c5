import type { Timer } from '../../net/runtime.ts';
import type { Connection } from '../connection.ts';

/** How often the server is told, in milliseconds. */
const INTERVAL = 20_000;

/** Tells the server how many bytes it was spared, which its operator likes to know. */
export class DirectBytes {
  readonly #connection: Connection;
  readonly #link: () => string;
  readonly #take: () => number;
  #timer: Timer | undefined;

  /**
   * @param link as the server knows it at the moment
   * @param take gives the bytes that have come since it was asked last
   */
  constructor(connection: Connection, link: () => string, take: () => number) {
    this.#connection = connection;
    this.#link = link;
    this.#take = take;
  }

  /** From now on there may be some. */
  start(): void {
    this.#timer ??= this.#connection.runtime.setTimer(INTERVAL, () => {
      this.#timer = undefined;
      this.tell();
      this.start();
    });
  }

  tell(): void {
    if (!this.#connection.online) return;
    const bytes = this.#take();
    if (bytes > 0) this.#connection.signaling.directBytes(this.#link(), bytes);
  }

  /** There will be none for a while. */
  stop(): void {
    this.tell();
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
