import { ByteQueue } from '../net/byte-queue.ts';
import type { FlowWindow } from '../net/flow-window.ts';
import {
  encodeHeader,
  Flag,
  FrameType,
  HEADER_SIZE,
  INITIAL_WINDOW,
  MAX_URGENT_WINDOW,
  URGENT_WINDOW,
} from './frame.ts';

/** Bytes queued in a stream at which its writer is told to wait. */
export const SEND_MARK = 64 * 1024;
const URGENT_SEND_MARK = 16 * 1024;

/**
 * The longest data frame sent: a channel's frame of 64 KiB, headers and TLS records included, is not cut in two, and streams
 * still take turns often.
 */
const MAX_FRAME = 72 * 1024;

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
  #urgent = false;

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

  /** Goes before those that are not. */
  get urgent(): boolean {
    return this.#urgent;
  }

  /** Its windows become those of an urgent stream; both ends must do so before any of them is used up. */
  makeUrgent(): void {
    if (this.#urgent) return;
    this.#urgent = true;
    this.window.narrow(URGENT_WINDOW, MAX_URGENT_WINDOW);
    this.sendWindow -= INITIAL_WINDOW - URGENT_WINDOW;
  }

  /** Bytes queued at which the writer is told to wait. */
  get sendMark(): number {
    return this.#urgent ? URGENT_SEND_MARK : SEND_MARK;
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

  /** Appends the next frame: as much of the queue as the window and a frame allow, or a FIN. Returns its size. */
  transmit(into: Buffer[]): number {
    const at = into.length;
    into.push(PLACEHOLDER);
    const length = this.queue.take(Math.min(MAX_FRAME, this.sendWindow), into);
    this.sendWindow -= length;
    this.finSent = this.ending && this.queue.length === 0;
    const flags = this.takeFlags() | (this.finSent ? Flag.fin : 0);
    // A FIN of its own rides on a window update, as HashiCorp's implementation sends it.
    const type = length > 0 ? FrameType.data : FrameType.windowUpdate;
    into[at] = encodeHeader(type, flags, this.id, length);
    return HEADER_SIZE + length;
  }
}

/** Stands where the header goes, whose length is known only behind the payload. */
const PLACEHOLDER = Buffer.alloc(0);
