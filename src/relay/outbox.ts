import { encodeHeader, Flag, FrameType, HEADER_SIZE } from './frame.ts';
import type { YamuxStream } from './stream.ts';

/** Unsent pongs beyond this replace older ones: whoever pings that fast wants no answer. */
const MAX_PONGS = 16;

/** Unsent resets at which the peer is flooding: it opens streams without reading our refusals. */
const MAX_RESETS = 4096;

/** Control frames that wait to be sent, ahead of any data. What can be coalesced is, and what cannot is bounded. */
export class Outbox {
  #goAway: number | undefined;
  #ping: number | undefined;
  #pongs: number[] = [];
  #resets: number[] = [];
  /** Streams whose SYN, ACK or window the peer has yet to hear of. */
  readonly #announced = new Set<YamuxStream>();

  get flooded(): boolean {
    return this.#resets.length > MAX_RESETS;
  }

  goAway(reason: number): void {
    this.#goAway = reason;
  }

  ping(value: number): void {
    this.#ping = value;
  }

  pong(value: number): void {
    if (this.#pongs.length === MAX_PONGS) this.#pongs.shift();
    this.#pongs.push(value);
  }

  reset(stream: number): void {
    this.#resets.push(stream);
  }

  /** The stream has flags or window to tell the peer about. */
  announce(stream: YamuxStream): void {
    this.#announced.add(stream);
  }

  forget(stream: YamuxStream): void {
    this.#announced.delete(stream);
  }

  clear(): void {
    this.#ping = undefined;
    this.#pongs = [];
    this.#resets = [];
    this.#announced.clear();
  }

  /** Appends all frames to `into` and returns their size. */
  transmit(into: Buffer[]): number {
    // Asked for every data frame, and nearly always idle.
    if (this.#idle) return 0;
    const before = into.length;
    if (this.#ping !== undefined) into.push(encodeHeader(FrameType.ping, Flag.syn, 0, this.#ping));
    for (const value of this.#pongs) into.push(encodeHeader(FrameType.ping, Flag.ack, 0, value));
    for (const id of this.#resets) into.push(encodeHeader(FrameType.windowUpdate, Flag.rst, id, 0));
    for (const stream of this.#announced) this.#announceNow(stream, into);
    if (this.#goAway !== undefined) into.push(encodeHeader(FrameType.goAway, 0, 0, this.#goAway));
    this.clear();
    this.#goAway = undefined;
    return (into.length - before) * HEADER_SIZE;
  }

  get #idle(): boolean {
    return (
      this.#announced.size === 0 &&
      this.#ping === undefined &&
      this.#pongs.length === 0 &&
      this.#resets.length === 0 &&
      this.#goAway === undefined
    );
  }

  #announceNow(stream: YamuxStream, into: Buffer[]): void {
    // SYNs must go out in the order of their ids, so they have frames of their own; an ACK can ride on the first data.
    if (stream.grant === 0 && stream.sendable && !stream.opening) return;
    into.push(encodeHeader(FrameType.windowUpdate, stream.takeFlags(), stream.id, stream.grant));
    stream.grant = 0;
  }
}
