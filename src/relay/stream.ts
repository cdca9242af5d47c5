import { ByteQueue } from '../net/byte-queue.ts';
import type { FlowWindow } from '../net/flow-window.ts';
import { Flag, INITIAL_WINDOW } from './frame.ts';

/** The state of one yamux stream. The session owns it; its users know it by `id`. */
export class YamuxStream {
  readonly id: number;
  /** What the peer may send us. */
  readonly window: FlowWindow;
  /** What we may send the peer. */
  sendWindow = INITIAL_WINDOW;
  readonly queue = new ByteQueue();
  /** Window that is granted but not yet on the wire. */
  grant = 0;
  /** SYN or ACK, until the first frame has carried it. */
  #pendingFlags: number;
  /** `end` was called; FIN goes out behind the queue. */
  ending = false;
  finSent = false;
  finReceived = false;
  /** `write` said stop, and nobody has been told to go on. */
  blocked = false;
  /** In the session's round-robin list. */
  scheduled = false;

  constructor(id: number, openedByUs: boolean, window: FlowWindow) {
    this.id = id;
    this.window = window;
    this.#pendingFlags = openedByUs ? Flag.syn : Flag.ack;
  }

  /** The peer has not been told yet that we opened or accepted this stream. */
  get unannounced(): boolean {
    return this.#pendingFlags !== 0;
  }

  /** A SYN is due. */
  get opening(): boolean {
    return this.#pendingFlags === Flag.syn;
  }

  takeFlags(): number {
    const flags = this.#pendingFlags;
    this.#pendingFlags = 0;
    return flags;
  }

  /** Whether the scheduler has something to do for this stream. */
  get sendable(): boolean {
    if (this.queue.length > 0) return this.sendWindow > 0;
    return this.ending && !this.finSent;
  }
}
