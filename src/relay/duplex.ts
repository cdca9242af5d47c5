import { Duplex } from 'node:stream';
import type { ByteStream, ByteStreamHandler } from '../carrier.ts';

/** A byte stream as a Node stream, for TLS to run on. Backpressure goes both ways. */
export class StreamDuplex extends Duplex implements ByteStreamHandler {
  readonly #stream: ByteStream;
  /** Bytes pushed while the reader had said stop: given back when it reads again. */
  #held = 0;
  #onDrain: (() => void) | undefined;

  constructor(stream: ByteStream) {
    // The stream's own window and queue are the buffers; these marks only have to be large enough not to interfere.
    super({ readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024, allowHalfOpen: true });
    this.#stream = stream;
    stream.attach(this);
  }

  onData(chunk: Buffer): void {
    if (this.push(chunk)) this.#stream.consume(chunk.length);
    else this.#held += chunk.length;
  }

  onEnd(): void {
    this.push(null);
  }

  onReset(): void {
    this.destroy();
  }

  onDrain(): void {
    const resume = this.#onDrain;
    this.#onDrain = undefined;
    resume?.();
  }

  override _read(): void {
    if (this.#held === 0) return;
    const bytes = this.#held;
    this.#held = 0;
    this.#stream.consume(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#whenWritten(this.#stream.write(chunk), callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    const last = chunks.length - 1;
    let room = true;
    for (let i = 0; i <= last; i++) room = this.#stream.write(chunks[i]?.chunk as Buffer, i < last);
    this.#whenWritten(room, callback);
  }

  override _final(callback: () => void): void {
    this.#stream.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // After both ends a Node stream destroys itself, while its last bytes are still on their way.
    if (!this.readableEnded || !this.writableFinished) this.#stream.reset();
    this.#onDrain?.();
    callback(error);
  }

  #whenWritten(room: boolean, callback: () => void): void {
    if (room) callback();
    else this.#onDrain = callback;
  }
}
