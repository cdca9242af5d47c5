import type { ByteStream, ByteStreamHandler } from '../../src/carrier.ts';

/** One end of a stream in memory. What is written waits until the test carries it to the other end. */
export class MemoryStream implements ByteStream {
  handler: ByteStreamHandler | undefined;
  /** What was written and not taken yet. */
  readonly written: Buffer[] = [];
  consumed = 0;
  ended = false;
  wasReset = false;
  /** What `write` answers. */
  roomy = true;

  attach(handler: ByteStreamHandler): void {
    if (this.handler !== undefined) throw new Error('attached twice');
    this.handler = handler;
  }

  write(chunk: Buffer): boolean {
    if (this.ended || this.wasReset) throw new Error('written after the end');
    this.written.push(chunk);
    return this.roomy;
  }

  end(): void {
    this.ended = true;
  }

  reset(): void {
    this.wasReset = true;
  }

  consume(bytes: number): void {
    this.consumed += bytes;
  }

  /** All that was written since the last time. */
  get sent(): Buffer {
    return Buffer.concat(this.written.splice(0));
  }

  /** Bytes come from the peer. */
  deliver(chunk: Buffer): void {
    if (!this.wasReset) this.handler?.onData(chunk);
  }
}
