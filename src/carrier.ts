import type { UnderpassError } from './errors.ts';

/** What a byte stream tells its user. Called synchronously, never before `attach`, and never after `onReset`. */
export interface ByteStreamHandler {
  /** Bytes in order. They count against the stream's window until `consume` gives them back. */
  onData(chunk: Buffer): void;
  /** The peer has sent its last byte. */
  onEnd(): void;
  /** The stream is over, both ways, at once. */
  onReset(): void;
  /** After `write` returned false: there is room again. */
  onDrain(): void;
}

/** One ordered, flow-controlled stream of bytes with half-close both ways. */
export interface ByteStream {
  /** Says who listens. What has arrived before is kept (within the window) and delivered now. Once. */
  attach(handler: ByteStreamHandler): void;
  /**
   * Queues bytes, which belong to the stream from now on. False: wait for `onDrain` before writing more.
   * @param more another write follows at once, so that sending can wait for it and take both together
   */
  write(chunk: Buffer, more?: boolean): boolean;
  /** No more bytes will be written; the other direction stays open. */
  end(): void;
  /** Ends both directions at once and forgets what is queued. */
  reset(): void;
  /** The user is done with this many received bytes: the peer may send as many again. */
  consume(bytes: number): void;
}

/** What a carrier tells its link. */
export interface CarrierHandler {
  /** The peer opened a stream. Attach to it before returning, or reset it. */
  onStream(stream: ByteStream): void;
  /** A datagram has arrived, whole. Its bytes are the handler's from now on. */
  onDatagram(datagram: Buffer): void;
  /** After `sendDatagram` returned false: there is room again. */
  onDatagramRoom(): void;
  /**
   * The carrier is gone and every stream with it (they were reset first). `error` is undefined after our own `close` or `drop`;
   * `peer_left` says that the peer has ended the link; with any other, the peer may be reached by another carrier.
   */
  onClose(error: UnderpassError | undefined): void;
}

/** One encrypted, multiplexed way to reach the peer. */
export interface Carrier {
  readonly kind: 'relayed' | 'direct';
  /** Smoothed round-trip time to the peer in milliseconds; undefined until measured. */
  readonly rtt: number | undefined;
  /** Bytes that a datagram may have; 0 where none can be sent (yet). */
  readonly maxDatagram: number;
  /** Opens a stream. Throws `peer_lost` when the carrier is gone and `too_many_channels` when it is full. */
  open(): ByteStream;
  /**
   * Sends a datagram of at most `maxDatagram` bytes, which may get lost, but is neither repeated nor behind the bytes of streams.
   * The bytes are the carrier's from now on. False: it was not taken, and `onDatagramRoom` follows when one would be.
   */
  sendDatagram(datagram: Buffer): boolean;
  /** Ends the link: the peer is told that it is over. Streams are reset. */
  close(): void;
  /** Ends this carrier only: the peer is told so where that is possible, and the link goes on. Streams are reset. */
  drop(): void;
}
