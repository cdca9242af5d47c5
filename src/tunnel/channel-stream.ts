import type { ByteStream, ByteStreamHandler } from '../carrier.ts';
import type { Runtime } from '../net/runtime.ts';
import { Channel, type ChannelOptions, type ChannelOutput } from './channel.ts';
import type { ChannelHeader } from './channel-frame.ts';

/** What a channel tells the application's side of it. */
export interface ChannelUser {
  /** The opener's wishes; on the accepting side only, and first. */
  onOpened(header: ChannelHeader): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onDrain(): void;
  /** The channel is over. `code` is undefined when both sides had finished, else why it was reset. */
  onOver(code: number | undefined, problem: string | undefined): void;
}

export interface ChannelStreamOptions extends ChannelOptions {
  readonly runtime: Runtime;
  /** The carrier's round-trip time, for tuning the credit. */
  readonly rtt: () => number | undefined;
  readonly user: ChannelUser;
  /** The channel is over, for whatever reason: the link forgets it. */
  readonly onOver: () => void;
}

/** Runs a channel over one stream of a carrier. */
export class ChannelStream implements ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #options: ChannelStreamOptions;
  readonly #channel: Channel;
  #streamFull = false;
  /** Inside `receive`, `flush` or `pump`: whoever is outermost sends and reports. */
  #busy = false;

  constructor(stream: ByteStream, options: ChannelStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#channel = new Channel(options, options.runtime.now());
    stream.attach(this);
    this.#settle();
  }

  /** False: wait for `onDrain` before writing more. */
  write(chunk: Buffer): boolean {
    this.#channel.write(chunk);
    this.#settle();
    return !this.#channel.blocked;
  }

  end(): void {
    this.#channel.end();
    this.#settle();
  }

  /** @param code one of ResetCode */
  reset(code: number): void {
    if (this.#channel.over) return;
    this.#channel.reset(code);
    this.#closeStream();
  }

  consume(bytes: number): void {
    this.#channel.consume(bytes, this.#options.runtime.now(), this.#options.rtt());
    this.#settle();
  }

  onData(chunk: Buffer): void {
    // The channel holds what it cannot pass on, against its own credit: the carrier's window is always free.
    this.#stream.consume(chunk.length);
    this.#channel.receive(chunk);
    this.#settle();
  }

  onEnd(): void {
    this.#channel.lost();
    this.#settle();
  }

  onReset(): void {
    this.#channel.lost();
    this.#settle();
  }

  onDrain(): void {
    this.#streamFull = false;
    this.#settle();
  }

  /** Sends and reports until nothing is left to do; calls from inside are folded into the outermost. */
  #settle(): void {
    if (this.#busy) return;
    this.#busy = true;
    do {
      for (let next = this.#channel.pollOutput(); next !== undefined; next = this.#channel.pollOutput()) {
        this.#report(next);
      }
    } while (this.#flush());
    this.#busy = false;
  }

  #flush(): boolean {
    let sent = false;
    while (this.#channel.pending && !this.#streamFull) {
      const buffers: Buffer[] = [];
      this.#channel.transmit(buffers);
      this.#send(buffers);
      sent = true;
    }
    return sent;
  }

  #send(buffers: Buffer[]): void {
    const last = buffers.length - 1;
    for (let i = 0; i <= last; i++) {
      const room = this.#stream.write(buffers[i] as Buffer, i < last);
      if (i === last) this.#streamFull = !room;
    }
  }

  #report(output: ChannelOutput): void {
    const { user } = this.#options;
    switch (output.type) {
      case 'opened':
        user.onOpened(output.header);
        break;
      case 'data':
        user.onData(output.chunk);
        break;
      case 'end':
        user.onEnd();
        break;
      case 'drain':
        user.onDrain();
        break;
      case 'finished':
        this.#closeStream();
        user.onOver(undefined, undefined);
        break;
      case 'reset':
        this.#closeStream();
        user.onOver(output.code, output.problem);
    }
  }

  /** The last frames go out whether the stream is full or not: nothing follows them. */
  #closeStream(): void {
    const buffers: Buffer[] = [];
    this.#channel.transmit(buffers);
    this.#send(buffers);
    this.#stream.end();
    this.#options.onOver();
  }
}
