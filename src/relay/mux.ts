import type { ByteStream, ByteStreamHandler } from '../carrier.ts';
import type { Instant, Machine } from '../machine.ts';
import type { Budget } from '../net/budget.ts';
import { ByteQueue } from '../net/byte-queue.ts';
import { Driver } from '../net/driver.ts';
import type { Runtime } from '../net/runtime.ts';
import { type SessionOptions, type SessionOutput, YamuxSession } from './session.ts';

/** Whatever carries the frames. */
export interface MuxTransport {
  /** Sends the buffers, in order, as one piece if it can; `sent` is called once when they have left the process's hands. */
  send(buffers: Buffer[], sent: () => void): void;
  /** Ends the transport after what was sent. */
  close(): void;
}

/** How a session ends. `left`: the peer said goodbye; `closed`: we did, or the peer for a reason of its own. */
export type MuxReason = 'closed' | 'left' | 'protocol' | 'timeout' | 'lost';

/** A stream of a mux. */
export interface MuxedStream extends ByteStream {
  /** From now on its bytes go before those of other streams, and its windows are small. Both ends must say so. */
  makeUrgent(): void;
}

export interface MuxHandler {
  /** The peer opened a stream: attach to it before returning, or reset it. */
  onStream(stream: MuxedStream): void;
  /** The peer has answered a ping: it is there, and `rtt` is known. */
  onPong?(): void;
  /** It has not answered for 2 s, and what is below may be dead. */
  onDoubt?(): void;
  /** There is one stream less, while the session goes on. */
  onStreamOver?(): void;
  /** The session is over, its streams have been reset. `problem` says how the peer broke the protocol, if it did. */
  onClose(reason: MuxReason, problem?: string): void;
}

/**
 * Bytes handed to the transport and not yet sent, at which no more is pulled from the scheduler. Small, because what is below
 * the scheduler delays every other stream; one frame more may be there.
 */
const UNSENT_MARK = 32 * 1024;

/** Runs a yamux session over a transport and gives its streams the `ByteStream` interface. */
export class Mux {
  readonly #session: YamuxSession;
  readonly #driver: Driver<SessionOutput>;
  readonly #transport: MuxTransport;
  readonly #runtime: Runtime;
  readonly #handler: MuxHandler;
  readonly #streams = new Map<number, MuxStream>();
  #unsent = 0;
  #flushing = false;
  #receiving = false;
  #receivedAt: Instant = 0;
  #closed = false;

  constructor(options: SessionOptions, transport: MuxTransport, runtime: Runtime, handler: MuxHandler) {
    const session = new YamuxSession(options, runtime.now());
    this.#session = session;
    const machine: Machine<SessionOutput> = {
      pollOutput: () => session.pollOutput(),
      pollTimeout: () => session.pollTimeout(),
      // A ping is something to send, and no output says so.
      handleTimeout: (now) => {
        session.handleTimeout(now);
        this.flush();
      },
    };
    this.#driver = new Driver(machine, runtime, (output) => this.#onOutput(output));
    this.#transport = transport;
    this.#runtime = runtime;
    this.#handler = handler;
    // Arms the first ping.
    this.#driver.pump();
  }

  get rtt(): number | undefined {
    return this.#session.rtt;
  }

  /** Over, or about to be: its streams are being reset. */
  get closed(): boolean {
    return this.#closed || this.#session.closed;
  }

  get streamCount(): number {
    return this.#session.streamCount;
  }

  /** Opens a stream; undefined when the session is over. */
  open(budget?: Budget, urgent = false): ByteStream | undefined {
    const id = this.#session.open(this.#runtime.now(), budget);
    if (id === undefined) return undefined;
    if (urgent) this.#session.makeUrgent(id);
    const stream = new MuxStream(this, id);
    this.#streams.set(id, stream);
    this.flush();
    return stream;
  }

  /** Bytes have arrived from the transport. */
  receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#receivedAt = this.#runtime.now();
    this.#session.receive(chunk, this.#receivedAt);
    // What the input makes us say is sent once, when all of it has been looked at.
    this.#receiving = true;
    this.#driver.pump();
    this.#receiving = false;
    this.flush();
  }

  /** The transport is gone. */
  lost(): void {
    this.#finish('lost');
  }

  /** Says goodbye and ends the transport. */
  close(): void {
    this.#session.close();
    this.flush();
    this.#driver.pump();
  }

  /** Pings at once, and ends with `timeout` unless something is heard within 5 s. */
  check(): void {
    this.#session.check(this.#runtime.now());
    this.flush();
    this.#driver.pump();
  }

  /** Somebody relies on the path beside the streams: for a while it is probed as if it had some. */
  use(): void {
    this.#session.use(this.#runtime.now());
    this.#driver.pump();
  }

  makeUrgent(id: number): void {
    this.#session.makeUrgent(id);
  }

  write(id: number, chunk: Buffer, more: boolean): boolean {
    this.#session.write(id, chunk);
    if (!more) this.flush();
    // Asked afterwards: what was full may have drained already, and nobody will be told so again.
    return !this.#session.isBlocked(id);
  }

  end(id: number): void {
    this.#session.end(id);
    this.flush();
  }

  reset(id: number): void {
    this.#session.reset(id);
    this.#streams.delete(id);
    this.flush();
    this.#handler.onStreamOver?.();
  }

  consume(id: number, bytes: number): void {
    this.#session.consume(id, bytes, this.#receiving ? this.#receivedAt : this.#runtime.now());
    this.flush();
  }

  /** Moves frames from the session to the transport while the transport keeps up, and reports what that made room for. */
  flush(): void {
    if (this.#flushing || this.#receiving || this.#closed) return;
    this.#flushing = true;
    while (this.#unsent < UNSENT_MARK && !this.#closed) {
      const buffers: Buffer[] = [];
      const size = this.#session.transmit(UNSENT_MARK - this.#unsent, buffers);
      if (size === 0) break;
      this.#unsent += size;
      this.#transport.send(buffers, () => {
        this.#unsent -= size;
        this.flush();
      });
      this.#driver.pump();
    }
    this.#flushing = false;
  }

  #onOutput(output: SessionOutput): void {
    switch (output.type) {
      case 'data':
        this.#streams.get(output.id)?.deliver(output.chunk);
        break;
      case 'drain':
        this.#streams.get(output.id)?.drained();
        break;
      case 'end':
        this.#streams.get(output.id)?.ended();
        break;
      case 'pong':
        this.#handler.onPong?.();
        break;
      case 'doubt':
        this.#handler.onDoubt?.();
        break;
      case 'finished':
        this.#streams.delete(output.id);
        this.#handler.onStreamOver?.();
        break;
      case 'reset': {
        const stream = this.#streams.get(output.id);
        this.#streams.delete(output.id);
        stream?.wasReset();
        this.#handler.onStreamOver?.();
        break;
      }
      case 'stream': {
        const stream = new MuxStream(this, output.id);
        this.#streams.set(output.id, stream);
        this.#handler.onStream(stream);
        break;
      }
      case 'closed':
        this.#finish(output.reason, output.problem);
    }
  }

  #finish(reason: MuxReason, problem?: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#driver.stop();
    // Whatever ended it, the streams give back what they hold of the budgets.
    this.#session.close();
    const farewell: Buffer[] = [];
    const size = this.#session.transmit(UNSENT_MARK, farewell);
    if (size > 0 && reason !== 'lost') this.#transport.send(farewell, () => {});
    this.#transport.close();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.wasReset();
    this.#handler.onClose(reason, problem);
  }
}

/** One stream of a mux. What arrives before `attach` waits here, bounded by the stream's window. */
class MuxStream implements MuxedStream {
  readonly #mux: Mux;
  readonly #id: number;
  #handler: ByteStreamHandler | undefined;
  #early: ByteQueue | undefined;
  #earlyEnd = false;
  #over = false;

  constructor(mux: Mux, id: number) {
    this.#mux = mux;
    this.#id = id;
  }

  attach(handler: ByteStreamHandler): void {
    this.#handler = handler;
    const early: Buffer[] = [];
    this.#early?.take(Number.POSITIVE_INFINITY, early);
    this.#early = undefined;
    // The handler may reset the stream from inside, and hears nothing more then.
    for (const chunk of early) this.#handler?.onData(chunk);
    if (this.#over) this.#handler?.onReset();
    else if (this.#earlyEnd) this.#handler?.onEnd();
  }

  makeUrgent(): void {
    this.#mux.makeUrgent(this.#id);
  }

  write(chunk: Buffer, more = false): boolean {
    return this.#mux.write(this.#id, chunk, more);
  }

  end(): void {
    this.#mux.end(this.#id);
  }

  reset(): void {
    this.#over = true;
    this.#handler = undefined;
    this.#mux.reset(this.#id);
  }

  consume(bytes: number): void {
    this.#mux.consume(this.#id, bytes);
  }

  deliver(chunk: Buffer): void {
    if (this.#handler !== undefined) this.#handler.onData(chunk);
    else if (!this.#over) {
      this.#early ??= new ByteQueue();
      this.#early.push(chunk);
    }
  }

  ended(): void {
    if (this.#handler === undefined) this.#earlyEnd = true;
    else this.#handler.onEnd();
  }

  drained(): void {
    this.#handler?.onDrain();
  }

  wasReset(): void {
    if (this.#over) return;
    this.#over = true;
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onReset();
  }
}
