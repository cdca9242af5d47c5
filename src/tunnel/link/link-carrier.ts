import type { ByteStream, Carrier, CarrierHandler } from '../../carrier.ts';
import type { UnderpassError } from '../../errors.ts';
import type { LaneCarrier } from '../channel/channel-stream.ts';

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
  onDatagram(from: LinkCarrier, datagram: Buffer): void;
  onDatagramRoom(from: LinkCarrier): void;
  /** It is silent, or no longer, or has moved. */
  onChange(): void;
  onClose(from: LinkCarrier, error: UnderpassError | undefined): void;
}

/** One of a link's carriers, and what the link has to know of it. */
export class LinkCarrier implements CarrierHandler, LaneCarrier {
  readonly kind: Carrier['kind'];
  readonly #owner: LinkCarrierOwner;
  #origin: DirectOrigin | undefined;
  #carrier: Carrier | undefined;
  #silent = false;
  #gone: { readonly error: UnderpassError | undefined } | undefined;

  constructor(owner: LinkCarrierOwner, kind: Carrier['kind']) {
    this.#owner = owner;
    this.kind = kind;
  }

  get carrier(): Carrier | undefined {
    return this.#carrier;
  }

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

  /** Ends the link by it. */
  close(): void {
    if (this.#gone === undefined) this.#carrier?.close();
  }

  /** Ends it alone. */
  drop(): void {
    if (this.#gone === undefined) this.#carrier?.drop();
  }

  onStream(stream: ByteStream): void {
    this.#owner.onStream(this, stream);
  }

  onDatagram(datagram: Buffer): void {
    this.#owner.onDatagram(this, datagram);
  }

  onDatagramRoom(): void {
    this.#owner.onDatagramRoom(this);
  }

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
    this.#gone = { error };
    this.#owner.onClose(this, error);
  }
}
