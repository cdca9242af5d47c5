import { createHash } from 'node:crypto';
import type { ByteStream, Carrier, CarrierHandler } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import type { Instant } from '../machine.ts';
import type { Runtime } from '../net/runtime.ts';
import type { Quiche, QuicheConnection } from './binding.ts';
import { ALPN, createConfig } from './config.ts';
import { Connection } from './connection.ts';
import { Datagrams } from './datagrams.ts';
import { BAD_CERTIFICATE, CLOSED, DROPPED, type Ending, errorOf, type Goodbye } from './ending.ts';
import { Streams } from './streams.ts';

export interface QuicCarrierOptions {
  /** From `loadQuiche`. */
  readonly quiche: Quiche;
  /** The subscriber is the QUIC client. */
  readonly role: 'subscriber' | 'publisher';
  /** The tunnel's name, for error messages. */
  readonly name: string;
  /** This side's certificate for the link, PEM. */
  readonly certificate: { readonly cert: string; readonly key: string };
  /** SHA-256 of the peer's certificate, from its offer or answer. */
  readonly peerFingerprint: Buffer;
  /** Streams that the subscriber may have open at a time. */
  readonly maxStreams: number;
  readonly runtime: Runtime;
  /** The peer is given up when nothing was heard from it for so long, milliseconds. */
  readonly idleTimeout?: number;
  /** Sends one packet to wherever the peer is now. True: its bytes are not needed any more, and may change. */
  send(packet: Buffer): boolean;
  /**
   * True: streams are open and nothing comes from the peer any more, although it was asked: the path is dead, or blocked for
   * the moment. False: it is heard again. Streams stay as they are; the carrier ends when it lasts for the idle time-out.
   */
  onSilence?(silent: boolean): void;
}

const IDLE_TIMEOUT = 30_000;

/** How long the handshake may take, on a path that works: some lost packets are repeated after 1, 2 and 4 s. */
const HANDSHAKE_TIMEOUT = 10_000;

/** How old the round-trip time may be that is told, milliseconds: asking quiche for it costs more than a packet does. */
const RTT_AGE = 100;

/** A link's direct path: QUIC (RFC 9000) with pinned certificates, over a path that others own. */
export class QuicCarrier implements Carrier {
  readonly kind = 'direct';
  /**
   * Resolves when both sides have accepted each other's certificate, and not before a stream may be opened. Rejects with
   * `peer_certificate`, `protocol_error`, `peer_lost` or `peer_left`; the handler hears nothing of the carrier's end then.
   */
  readonly established: Promise<void>;
  readonly #options: QuicCarrierOptions;
  readonly #handler: CarrierHandler;
  readonly #connection: Connection;
  readonly #streams: Streams;
  readonly #datagrams: Datagrams;
  /** What `established` waits for; undefined when it is settled. */
  #handshake: { resolve(): void; reject(error: UnderpassError): void } | undefined;
  #verified = false;
  #over = false;
  #rtt: number | undefined;
  #rttAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(options: QuicCarrierOptions, handler: CarrierHandler) {
    const { quiche, role, maxStreams, runtime, idleTimeout = IDLE_TIMEOUT } = options;
    this.#options = options;
    this.#handler = handler;
    const config = createConfig(quiche, { ...options, idleTimeout });
    const send = (packet: Buffer): boolean => options.send(packet);
    this.#connection = new Connection(
      { quiche, config, isClient: role === 'subscriber', runtime, idleTimeout, send },
      {
        onTurn: (native) => (this.#verified || this.#verify(native) ? this.#streams.turn(native) : 'done'),
        onSent: (native) => this.#datagrams.sent(native),
        onSilence: (silent) => options.onSilence?.(silent),
        onOver: (ending) => this.#finish(errorOf(ending, options.name)),
      },
    );
    const connection = this.#connection;
    this.#datagrams = new Datagrams({
      connection,
      runtime,
      onDatagram: (datagram) => handler.onDatagram(datagram),
      onRoom: () => handler.onDatagramRoom(),
    });
    this.#streams = new Streams({
      role,
      maxStreams,
      connection,
      onDatagrams: (native) => this.#datagrams.receive(native),
      onGreeting: () => this.#settle((handshake) => handshake.resolve()),
      onStream: (stream) => handler.onStream(stream),
    });
    this.established = new Promise((resolve, reject) => {
      const deadline = runtime.setTimer(HANDSHAKE_TIMEOUT, () => {
        this.#fail({ kind: 'lost', reason: 'no handshake' }, DROPPED);
      });
      this.#handshake = {
        resolve: () => {
          deadline.cancel();
          resolve();
        },
        reject: (error) => {
          deadline.cancel();
          reject(error);
        },
      };
    });
  }

  /**
   * A packet from an address that has answered a fresh probe: nothing else may get here. False where it is another
   * connection's; otherwise the bytes are the carrier's now.
   */
  receive(packet: Buffer): boolean {
    return this.#connection.receive(packet);
  }

  get rtt(): number | undefined {
    const now = this.#options.runtime.now();
    if (!this.#verified || now - this.#rttAt < RTT_AGE) return this.#rtt;
    this.#rttAt = now;
    this.#rtt = this.#connection.run((native) => native.pathStats()[0]?.rtt) ?? this.#rtt;
    return this.#rtt;
  }

  open(): ByteStream {
    if (this.#over || this.#handshake !== undefined) {
      throw new UnderpassError('peer_lost', { name: this.#options.name });
    }
    const stream = this.#streams.open();
    if (stream !== undefined) return stream;
    // It can end by being asked.
    if (this.#over) throw new UnderpassError('peer_lost', { name: this.#options.name });
    throw new UnderpassError('too_many_channels');
  }

  get maxDatagram(): number {
    return this.#over || this.#handshake !== undefined ? 0 : this.#datagrams.maxSize;
  }

  sendDatagram(datagram: Buffer): boolean {
    return this.#handshake !== undefined || this.#datagrams.send(datagram);
  }

  close(): void {
    this.#end(CLOSED);
  }

  drop(): void {
    this.#end(DROPPED);
  }

  #end(goodbye: Goodbye): void {
    if (this.#over) return;
    this.#connection.close(goodbye);
    const early = new UnderpassError('peer_lost', { name: this.#options.name });
    this.#finish(this.#handshake === undefined ? undefined : early);
  }

  /** Compares the certificate with the pin, once the handshake has brought it and before any stream is looked at. */
  #verify(native: QuicheConnection): boolean {
    if (!native.isEstablished()) return false;
    const [shown] = native.peerCertChain() ?? [];
    const { peerFingerprint } = this.#options;
    this.#verified =
      shown !== undefined &&
      createHash('sha256').update(shown).digest().equals(peerFingerprint) &&
      Buffer.from(native.applicationProto()).equals(Buffer.from(ALPN));
    if (!this.#verified) this.#fail({ kind: 'certificate' }, BAD_CERTIFICATE);
    return this.#verified;
  }

  #fail(ending: Ending, goodbye: Goodbye): void {
    this.#connection.close(goodbye);
    this.#finish(errorOf(ending, this.#options.name));
  }

  #finish(error: UnderpassError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#datagrams.stop();
    this.#streams.kill();
    if (this.#handshake === undefined) this.#handler.onClose(error);
    else if (error !== undefined) this.#settle((handshake) => handshake.reject(error));
  }

  #settle(how: (handshake: { resolve(): void; reject(error: UnderpassError): void }) => void): void {
    const handshake = this.#handshake;
    this.#handshake = undefined;
    if (handshake !== undefined) how(handshake);
  }
}
