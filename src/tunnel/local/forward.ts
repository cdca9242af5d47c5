import type { Socket } from 'node:net';
import { ByteQueue } from '../../net/byte-queue.ts';
import { ResetCode } from '../channel/channel-frame.ts';
import type { ChannelStream, ChannelUser } from '../channel/channel-stream.ts';

/** What both ends of a local connection buffer in the socket: a few system calls' worth. */
export const SOCKET_BUFFER = 256 * 1024;

/** How long the local service may take to accept, milliseconds. */
const CONNECT_TIMEOUT = 10_000;

/**
 * Copies between an application's TCP socket and a channel, with half-close and backpressure both ways. Give it to the
 * channel as its user, then call `start`. The socket must have been made with `allowHalfOpen`.
 */
export class Forward implements ChannelUser {
  readonly #socket: Socket;
  readonly #onOver: (code: number | undefined, problem: string | undefined) => void;
  #channel: ChannelStream | undefined;
  /** Bytes for a socket that has no room, counted against the channel's credit. */
  readonly #waiting = new ByteQueue();
  #full = false;
  #scheduled = false;
  /** In the socket, not yet given back to the channel. */
  #unconsumed = 0;
  #ended = false;
  #over = false;
  /** What the peer is told when the socket fails. */
  #failure: number = ResetCode.closed;

  /** @param onOver called once: with undefined after a proper end, with a ResetCode (and the peer's offence) otherwise */
  constructor(socket: Socket, onOver: (code: number | undefined, problem: string | undefined) => void) {
    this.#socket = socket;
    this.#onOver = onOver;
    socket.setNoDelay(true);
    // 'close' follows every error and says all that the peer can be told.
    socket.on('error', () => socket.destroy());
  }

  start(channel: ChannelStream): void {
    this.#channel = channel;
    if (this.#over) return;
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => {
      if (!channel.write(chunk)) socket.pause();
    });
    socket.on('end', () => channel.end());
    socket.on('drain', () => this.#onSocketDrain());
    socket.on('close', () => this.#onSocketClose());
  }

  /**
   * The socket is still connecting to the local service: failing now means that the service is not there.
   * @param prefix what the service is told before what the peer sends
   */
  connecting(prefix?: () => Buffer | undefined): void {
    const socket = this.#socket;
    this.#failure = ResetCode.serviceUnreachable;
    // What is written before it is connected would go out before the prefix.
    this.#full = prefix !== undefined;
    socket.setTimeout(CONNECT_TIMEOUT, () => socket.destroy());
    socket.once('connect', () => {
      socket.setTimeout(0);
      this.#failure = ResetCode.closed;
      if (prefix === undefined) return;
      const bytes = prefix();
      this.#full = bytes !== undefined && !socket.write(bytes);
      this.#scheduleWrite();
    });
  }

  onData(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#scheduleWrite();
  }

  onEnd(): void {
    this.#ended = true;
    this.#scheduleWrite();
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onOver(code: number | undefined, problem: string | undefined): void {
    this.#over = true;
    // The application must not take a reset for a proper end.
    if (code !== undefined) resetOrDestroy(this.#socket);
    this.#onOver(code, problem);
  }

  /** A carrier delivers in pieces of 16 KiB at most: those of one turn are written with one system call. */
  #scheduleWrite(): void {
    if (this.#scheduled || this.#full) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#writeWaiting();
    });
  }

  #writeWaiting(): void {
    const socket = this.#socket;
    const chunks: Buffer[] = [];
    const size = this.#waiting.take(SOCKET_BUFFER, chunks);
    socket.cork();
    for (const chunk of chunks) this.#full = !socket.write(chunk);
    socket.uncork();
    if (this.#full) this.#unconsumed += size;
    else if (size > 0) this.#channel?.consume(size);
    if (this.#ended && this.#waiting.length === 0) socket.end();
  }

  #onSocketDrain(): void {
    this.#full = false;
    const bytes = this.#unconsumed;
    this.#unconsumed = 0;
    this.#writeWaiting();
    if (bytes > 0) this.#channel?.consume(bytes);
  }

  #onSocketClose(): void {
    // What nobody will take any more goes back to the link's account.
    const untaken = this.#unconsumed + this.#waiting.length;
    this.#waiting.clear();
    this.#unconsumed = 0;
    this.#channel?.consume(untaken);
    // Both directions of the socket ended properly: what the channel still holds goes out, and `onOver` follows.
    if (this.#over || (this.#socket.readableEnded && this.#socket.writableFinished)) return;
    this.#over = true;
    this.#channel?.reset(this.#failure);
    this.#onOver(this.#failure, undefined);
  }
}

/** A reset waits for the connection; a socket that has none yet is simply given up. */
function resetOrDestroy(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
