import type { Instant, Machine } from '../machine.ts';
import type { Budget } from '../net/budget.ts';
import { FlowWindow } from '../net/flow-window.ts';
import {
  Flag,
  FrameDecoder,
  FrameError,
  type FrameSink,
  FrameType,
  GoAway,
  INITIAL_WINDOW,
} from './frame.ts';
import { Heartbeat } from './heartbeat.ts';
import { Outbox } from './outbox.ts';
import { Scheduler } from './scheduler.ts';
import { SEND_MARK, YamuxStream } from './stream.ts';

export { SEND_MARK };

/** What happened. Streams are named by id. */
export type SessionOutput =
  /** The peer opened a stream. */
  | { readonly type: 'stream'; readonly id: number }
  | { readonly type: 'data'; readonly id: number; readonly chunk: Buffer }
  /** The peer half-closed the stream. */
  | { readonly type: 'end'; readonly id: number }
  /** The stream is over: the peer reset it, or the session ended. */
  | { readonly type: 'reset'; readonly id: number }
  /** Both sides have sent their last byte: the stream is forgotten. */
  | { readonly type: 'finished'; readonly id: number }
  /** A queue that was full has room again. */
  | { readonly type: 'drain'; readonly id: number }
  /** A pong has come: `rtt` is known, or known better. */
  | { readonly type: 'pong' }
  /** Nothing has been heard for 2 s since a ping. */
  | { readonly type: 'doubt' }
  /** The session is over; nothing follows. `left`: the peer says goodbye. `problem` is set when the peer broke the protocol. */
  | {
      readonly type: 'closed';
      readonly reason: 'closed' | 'left' | 'protocol' | 'timeout';
      readonly problem?: string;
    };

export interface SessionOptions {
  /** The client's streams have odd ids, the server's even ones. */
  readonly role: 'client' | 'server';
  /** Streams that the peer may have open at a time, more are reset; with 0 opening one is a protocol error. */
  readonly maxInbound: number;
  /** How far a stream's receive window may grow, bytes. */
  readonly maxWindow: number;
  /** Where the receive windows of streams come from, unless `open` names another. */
  readonly budget: Budget;
  /** Milliseconds between pings while streams are open; 30 s otherwise, and by default. */
  readonly busyInterval?: number;
}

const LAST_ID = 0xffff_ffff;

/**
 * A yamux session (HashiCorp's specification) without its transport. Feed it what arrived with `receive`, take what is to be
 * sent with `transmit`, and what happened with `pollOutput`. Data is scheduled only when `transmit` asks for it, a frame a
 * stream in turn, so whoever pulls late queues little.
 */
export class YamuxSession implements Machine<SessionOutput>, FrameSink {
  readonly #options: SessionOptions;
  readonly #streams = new Map<number, YamuxStream>();
  readonly #decoder = new FrameDecoder();
  readonly #outbox = new Outbox();
  readonly #heartbeat: Heartbeat;
  #outputs: SessionOutput[] = [];
  #outputsTaken = 0;
  /** Streams with data or a FIN to send. */
  readonly #scheduler = new Scheduler();
  #nextId: number;
  #lastRemoteId = 0;
  #inbound = 0;
  #closed = false;
  #now: Instant;
  /** The stream whose payload is arriving; undefined when it is to be dropped. */
  #receiving: YamuxStream | undefined;
  #payloadLeft = 0;
  #finAfterPayload = false;

  constructor(options: SessionOptions, now: Instant) {
    this.#options = options;
    this.#now = now;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#heartbeat = new Heartbeat(now, options.busyInterval);
  }

  /** Smoothed round-trip time in milliseconds; undefined until the first pong. */
  get rtt(): number | undefined {
    return this.#heartbeat.rtt;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens a stream and returns its id; undefined when the session has ended. */
  open(now: Instant, budget: Budget = this.#options.budget): number | undefined {
    if (this.#closed || this.#nextId > LAST_ID) return undefined;
    this.#now = now;
    const stream = this.#add(this.#nextId, true, budget);
    this.#nextId += 2;
    return stream.id;
  }

  /** From now on the stream's bytes go before those of others, and its windows are small. Before anything is written to it. */
  makeUrgent(id: number): void {
    this.#streams.get(id)?.makeUrgent();
  }

  /** Queues bytes. Ask `isBlocked` before writing more. Bytes for a stream that is gone are dropped. */
  write(id: number, chunk: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.ending) return;
    stream.queue.push(chunk);
    if (stream.queue.length >= stream.sendMark) stream.blocked = true;
    this.#scheduler.add(stream);
  }

  /** Whether the stream's queue is full; `drain` follows. */
  isBlocked(id: number): boolean {
    return this.#streams.get(id)?.blocked ?? false;
  }

  /** Half-closes the stream behind what is queued. */
  end(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.ending) return;
    stream.ending = true;
    this.#scheduler.add(stream);
  }

  /** Ends the stream at once, both ways. */
  reset(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    // A stream that the peer has never heard of can simply be forgotten.
    if (!stream.unannounced || !this.#isOurs(id)) this.#outbox.reset(id);
    this.#remove(stream);
  }

  /** The user is done with received bytes; the window opens again. */
  consume(id: number, bytes: number, now: Instant): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.finReceived) return;
    stream.grant += stream.window.consume(bytes, now, this.rtt);
    if (stream.grant > 0) this.#outbox.announce(stream);
  }

  /** Ends the session with a GoAway, which `transmit` still yields. */
  close(): void {
    this.#end(GoAway.normal, { type: 'closed', reason: 'closed' });
  }

  receive(chunk: Buffer, now: Instant): void {
    if (this.#closed) return;
    this.#now = now;
    this.#heartbeat.heard(now);
    try {
      this.#decoder.decode(chunk, this);
      if (this.#outbox.flooded) throw new FrameError('flood of frames that must be answered');
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#end(GoAway.protocolError, { type: 'closed', reason: 'protocol', problem: error.message });
    }
  }

  onHeader(type: number, flags: number, id: number, length: number): void {
    if (this.#closed) return;
    if (type === FrameType.ping) this.#onPing(flags, length);
    else if (type === FrameType.goAway)
      this.#end(undefined, { type: 'closed', reason: length === GoAway.normal ? 'left' : 'closed' });
    else this.#onStreamFrame(type, flags, id, length);
  }

  onPayload(chunk: Buffer): void {
    this.#payloadLeft -= chunk.length;
    const stream = this.#receiving;
    if (stream === undefined || this.#closed) return;
    this.#outputs.push({ type: 'data', id: stream.id, chunk });
    if (this.#payloadLeft === 0 && this.#finAfterPayload) this.#onFin(stream);
  }

  pollOutput(): SessionOutput | undefined {
    if (this.#outputsTaken < this.#outputs.length) return this.#outputs[this.#outputsTaken++];
    this.#outputs = [];
    this.#outputsTaken = 0;
    return undefined;
  }

  pollTimeout(): Instant | undefined {
    // Also without streams: a path that died in a quiet time would be taken for a good one by whoever opens the next.
    return this.#closed ? undefined : this.#heartbeat.deadline(this.#inUse);
  }

  handleTimeout(now: Instant): void {
    this.#now = now;
    if (this.#closed) return;
    if (this.#heartbeat.isDead(now)) this.#end(undefined, { type: 'closed', reason: 'timeout' });
    else if (this.#heartbeat.isDoubtful(now)) this.#outputs.push({ type: 'doubt' });
    else if (this.#heartbeat.isDue(now, this.#inUse)) this.#outbox.ping(this.#heartbeat.ping(now));
  }

  /** The path is doubted: pings at once, and gives it up if nothing is heard within 5 s. */
  check(now: Instant): void {
    if (!this.#closed && this.#heartbeat.check(now)) this.#outbox.ping(this.#heartbeat.ping(now));
  }

  /** Somebody relies on the path beside the streams: for 30 s it counts as one that has some. */
  use(now: Instant): void {
    this.#heartbeat.use(now);
  }

  /** Appends frames of about `limit` bytes (a frame more at most) to `into`, and returns how many bytes. */
  transmit(limit: number, into: Buffer[]): number {
    let size = this.#outbox.transmit(into);
    while (size < limit && !this.#scheduler.idle) {
      const stream = this.#scheduler.next();
      if (stream === undefined || this.#streams.get(stream.id) !== stream || !stream.sendable) continue;
      const bytes = stream.transmit(into);
      size += bytes;
      this.#scheduler.sent(stream, bytes);
      this.#onTransmitted(stream);
    }
    return size;
  }

  #onTransmitted(stream: YamuxStream): void {
    if (stream.finSent) this.#removeIfFinished(stream);
    else if (stream.blocked && stream.queue.length <= stream.sendMark / 2) {
      stream.blocked = false;
      this.#outputs.push({ type: 'drain', id: stream.id });
    }
    this.#scheduler.add(stream);
  }

  #onPing(flags: number, value: number): void {
    if ((flags & Flag.ack) === 0) this.#outbox.pong(value);
    else if (this.#heartbeat.pong(value, this.#now)) this.#outputs.push({ type: 'pong' });
  }

  #onStreamFrame(type: number, flags: number, id: number, length: number): void {
    if ((flags & Flag.syn) !== 0) this.#onSyn(id);
    const stream = this.#streams.get(id);
    this.#receiving = type === FrameType.data ? stream : undefined;
    this.#payloadLeft = type === FrameType.data ? length : 0;
    if (stream === undefined) {
      if (!this.#wasOpen(id)) throw new FrameError(`frame for stream ${id}, which was never opened`);
      return;
    }
    if ((flags & Flag.rst) !== 0) {
      this.#outputs.push({ type: 'reset', id });
      this.#receiving = undefined;
      this.#remove(stream);
      return;
    }
    if (type === FrameType.windowUpdate) this.#onWindow(stream, length);
    else if (stream.finReceived && length > 0) throw new FrameError(`data after the end of stream ${id}`);
    else if (!stream.window.receive(length)) throw new FrameError(`data beyond the window of stream ${id}`);
    this.#finAfterPayload = (flags & Flag.fin) !== 0;
    if (this.#finAfterPayload && this.#payloadLeft === 0) this.#onFin(stream);
  }

  #onSyn(id: number): void {
    const { maxInbound, budget } = this.#options;
    if (this.#isOurs(id) || id === 0 || id <= this.#lastRemoteId)
      throw new FrameError(`opening stream ${id}`);
    if (maxInbound === 0) throw new FrameError('the peer may not open streams');
    this.#lastRemoteId = id;
    if (this.#inbound >= maxInbound) {
      this.#outbox.reset(id);
      return;
    }
    this.#inbound += 1;
    this.#add(id, false, budget);
    this.#outputs.push({ type: 'stream', id });
  }

  #onWindow(stream: YamuxStream, grant: number): void {
    stream.sendWindow += grant;
    if (stream.sendWindow > LAST_ID) throw new FrameError(`window overflow of stream ${stream.id}`);
    this.#scheduler.add(stream);
  }

  #onFin(stream: YamuxStream): void {
    if (stream.finReceived) return;
    stream.finReceived = true;
    this.#outputs.push({ type: 'end', id: stream.id });
    this.#removeIfFinished(stream);
  }

  #removeIfFinished(stream: YamuxStream): void {
    if (!stream.finSent || !stream.finReceived) return;
    this.#remove(stream);
    this.#outputs.push({ type: 'finished', id: stream.id });
  }

  #add(id: number, ours: boolean, budget: Budget): YamuxStream {
    const window = new FlowWindow(
      { initial: INITIAL_WINDOW, maximum: this.#options.maxWindow, budget },
      this.#now,
    );
    const stream = new YamuxStream(id, ours, window);
    this.#streams.set(id, stream);
    this.#outbox.announce(stream);
    return stream;
  }

  #remove(stream: YamuxStream): void {
    this.#streams.delete(stream.id);
    // The rest of a payload whose stream is gone is dropped, and a FIN behind it with it.
    if (this.#receiving === stream) this.#receiving = undefined;
    if (!this.#isOurs(stream.id)) this.#inbound -= 1;
    stream.window.close();
    stream.queue.clear();
    this.#outbox.forget(stream);
  }

  get #inUse(): boolean {
    return this.#streams.size > 0;
  }

  #isOurs(id: number): boolean {
    return id % 2 === (this.#options.role === 'client' ? 1 : 0);
  }

  #wasOpen(id: number): boolean {
    return id !== 0 && (this.#isOurs(id) ? id < this.#nextId : id <= this.#lastRemoteId);
  }

  #end(goAway: number | undefined, output: SessionOutput): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of [...this.#streams.values()]) {
      this.#outputs.push({ type: 'reset', id: stream.id });
      this.#remove(stream);
    }
    this.#scheduler.clear();
    this.#outbox.clear();
    if (goAway !== undefined) this.#outbox.goAway(goAway);
    this.#outputs.push(output);
  }
}
