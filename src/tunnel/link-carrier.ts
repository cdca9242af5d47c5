import type { ByteStream, Carrier, CarrierHandler } from '../carrier.ts';
import type { UnderpassError } from '../errors.ts';

/** How a direct path was found. */
export interface DirectOrigin {
  readonly strategy: string;
  /** The peer's address on it, `host:port`. */
  readonly remote: string;
  /** From when the peers met, or the search began, until it could be used: milliseconds. */
  readonly elapsed: number;
}

export interface LinkCarrierOwner {
  onStream(from: LinkCarrier, stream: ByteStream): void;
  /** It is silent, or no longer, or has moved. */
  onChange(): void;
  onClose(from: LinkCarrier, error: UnderpassError | undefined): void;
}

/** One of a link's carriers, and what the link has to know of it. */
export class LinkCarrier implements CarrierHandler {
  readonly kind: Carrier['kind'];
  readonly #owner: LinkCarrierOwner;
  #origin: DirectOrigin | undefined;
  #carrier: Carrier | undefined;
  #channels = 0;
  #silent = false;
  #retired = false;
  #closed = false;
  #gone: { readonly error: UnderpassError | undefined } | undefined;

  constructor(owner: LinkCarrierOwner, kind: Carrier['kind']) {
    this.#owner = owner;
    this.kind = kind;
  }

  get carrier(): Carrier | undefined {
    return this.#carrier;
  }

  /** Round-trip time in milliseconds; undefined while unknown. */
  get rtt(): number | undefined {
    return this.#carrier?.rtt;
  }

  /** Undefined for the relay. */
  get origin(): DirectOrigin | undefined {
    return this.#origin;
  }

  /** Its end, when it has come. */
  get gone(): { readonly error: UnderpassError | undefined } | undefined {
    return this.#gone;
  }

  /** Nothing is heard from the peer though something should be. */
  get silent(): boolean {
    return this.#silent;
  }

  /** The carrier is ready. */
  attach(carrier: Carrier, origin: DirectOrigin | undefined): void {
    this.#carrier = carrier;
    this.#origin = origin;
  }

  channelOpened(): void {
    this.#channels += 1;
  }

  channelOver(): void {
    this.#channels -= 1;
    this.#leaveIfEmpty();
  }

  /** There is a better one: it ends with the last of its channels. */
  retire(): void {
    this.#retired = true;
    this.#leaveIfEmpty();
  }

  close(): void {
    this.#closed = true;
    this.#carrier?.close();
  }

  onStream(stream: ByteStream): void {
    this.#owner.onStream(this, stream);
  }

  onDatagram(_datagram: Buffer): void {}

  onDatagramRoom(): void {}

  onSilence(silent: boolean): void {
    this.#silent = silent;
    this.#owner.onChange();
  }

  /** The peer is at another address now. */
  moved(remote: string): void {
    if (this.#origin === undefined) return;
    this.#origin = { ...this.#origin, remote };
    this.#owner.onChange();
  }

  onClose(error: UnderpassError | undefined): void {
    this.#closed = true;
    this.#gone = { error };
    this.#owner.onClose(this, error);
  }

  #leaveIfEmpty(): void {
    if (this.#retired && this.#channels === 0 && !this.#closed) this.close();
  }
}
