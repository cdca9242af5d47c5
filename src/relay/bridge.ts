import type { ByteStream, ByteStreamHandler } from '../carrier.ts';
import { ByteQueue } from '../net/byte-queue.ts';

/** Decides when bytes may pass. */
export interface Gate {
  /** Counts bytes that pass now, and returns how many milliseconds to wait before more may. 0: go on. */
  pass(bytes: number): number;
}

/** Waits, and calls back once. */
export type Wait = (milliseconds: number, callback: () => void) => void;

export interface BridgeOptions {
  readonly gate: Gate;
  readonly wait: Wait;
  /** Bytes have crossed, from the first stream to the second (`up`) or back. */
  readonly onBytes: (direction: 'up' | 'down', bytes: number) => void;
  /** Both directions have ended, or one side was reset and the other with it. */
  readonly onClose: () => void;
}

/** Copies bytes between two streams without looking at them. Window goes back to one as the other takes. */
export class Bridge {
  #open = 2;
  #closed = false;
  readonly #streams: readonly [ByteStream, ByteStream];
  readonly #options: BridgeOptions;

  constructor(first: ByteStream, second: ByteStream, options: BridgeOptions) {
    this.#streams = [first, second];
    this.#options = options;
    const up = new Direction(this, first, second, 'up', options);
    const down = new Direction(this, second, first, 'down', options);
    // The drain of a stream is the business of the direction that writes to it.
    up.opposite = down;
    down.opposite = up;
    first.attach(up);
    second.attach(down);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** One direction has passed its last byte. */
  ended(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#finish();
  }

  reset(): void {
    if (this.#closed) return;
    for (const stream of this.#streams) stream.reset();
    this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose();
  }
}

/** How much of what has waited passes the gate at a time. */
const PIECE = 16 * 1024;

/** One direction of a bridge: listens to its source and writes to its target. */
class Direction implements ByteStreamHandler {
  readonly #bridge: Bridge;
  readonly #source: ByteStream;
  readonly #target: ByteStream;
  readonly #name: 'up' | 'down';
  readonly #options: BridgeOptions;
  opposite: Direction | undefined;
  /** Bytes passed on whose window is not given back yet: the target is full, or the gate is shut. */
  #held = 0;
  #full = false;
  #shut = false;
  /** What came while the gate was shut. Its window is not given back, which bounds it. */
  readonly #waiting = new ByteQueue();
  /** The source has ended, and its target has not been told. */
  #endDue = false;

  constructor(
    bridge: Bridge,
    source: ByteStream,
    target: ByteStream,
    name: 'up' | 'down',
    options: BridgeOptions,
  ) {
    this.#bridge = bridge;
    this.#source = source;
    this.#target = target;
    this.#name = name;
    this.#options = options;
    // What others of the same tunnel owe, a new link waits out with them.
    this.#waitFor(options.gate.pass(0));
  }

  onData(chunk: Buffer): void {
    if (this.#shut) this.#waiting.push(chunk);
    else this.#pass(chunk);
    this.#giveBack();
  }

  onEnd(): void {
    this.#endDue = true;
    this.#endIfPassed();
  }

  onReset(): void {
    this.#bridge.reset();
  }

  onDrain(): void {
    this.opposite?.targetDrained();
  }

  targetDrained(): void {
    this.#full = false;
    this.#giveBack();
  }

  #pass(chunk: Buffer): void {
    const { gate, onBytes } = this.#options;
    onBytes(this.#name, chunk.length);
    this.#held += chunk.length;
    this.#full = !this.#target.write(chunk);
    this.#waitFor(gate.pass(chunk.length));
  }

  #waitFor(delay: number): void {
    if (delay === 0 || this.#shut) return;
    this.#shut = true;
    this.#options.wait(delay, () => this.#reopen());
  }

  #reopen(): void {
    this.#shut = false;
    if (this.#bridge.closed) return;
    while (!this.#shut && this.#waiting.length > 0) {
      const piece: Buffer[] = [];
      this.#waiting.take(PIECE, piece);
      for (const chunk of piece) this.#pass(chunk);
    }
    this.#giveBack();
    this.#endIfPassed();
  }

  #endIfPassed(): void {
    if (!this.#endDue || this.#waiting.length > 0) return;
    this.#endDue = false;
    this.#target.end();
    this.#bridge.ended();
  }

  #giveBack(): void {
    if (this.#full || this.#shut || this.#held === 0) return;
    const bytes = this.#held;
    this.#held = 0;
    this.#source.consume(bytes);
  }
}
