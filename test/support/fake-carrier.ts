import type { ByteStream, ByteStreamHandler, Carrier, CarrierHandler } from '../../src/carrier.ts';
import type { UnderpassError } from '../../src/errors.ts';

/** A stream that leads nowhere, and keeps what it was told. */
export class FakeStream implements ByteStream {
  readonly written: Buffer[] = [];
  handler: ByteStreamHandler | undefined;
  /** Whether its user has reset it. */
  refused = false;

  attach(handler: ByteStreamHandler): void {
    this.handler = handler;
  }

  write(chunk: Buffer): boolean {
    this.written.push(chunk);
    return true;
  }

  end(): void {}

  reset(): void {
    this.refused = true;
  }

  consume(): void {}
}

/** A carrier without a peer, which ends when the test says so. */
export class FakeCarrier implements Carrier {
  readonly kind: Carrier['kind'];
  maxDatagram = 1200;
  /** Datagrams that were sent; `roomy` false refuses them. */
  readonly datagrams: Buffer[] = [];
  roomy = true;
  /** How the link has ended it. */
  ended: 'close' | 'drop' | undefined;
  rtt: number | undefined;
  readonly streams: FakeStream[] = [];
  /** What it reports to: given before it is ready, as it is to real ones. */
  readonly handler: CarrierHandler;
  #open = true;

  constructor(kind: Carrier['kind'], handler: CarrierHandler) {
    this.kind = kind;
    this.handler = handler;
  }

  get closed(): boolean {
    return !this.#open;
  }

  open(): FakeStream {
    const stream = new FakeStream();
    this.streams.push(stream);
    return stream;
  }

  /** The peer opens a stream. */
  accept(): FakeStream {
    const stream = this.open();
    this.handler.onStream(stream);
    return stream;
  }

  sendDatagram(datagram: Buffer): boolean {
    if (this.roomy) this.datagrams.push(datagram);
    return this.roomy;
  }

  close(): void {
    this.ended ??= 'close';
    this.end(undefined);
  }

  drop(): void {
    this.ended ??= 'drop';
    this.end(undefined);
  }

  /** It is gone: with an error unless that was wanted. */
  end(error: UnderpassError | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { handler, refused } of this.streams) if (!refused) handler?.onReset();
    this.handler.onClose(error);
  }
}
