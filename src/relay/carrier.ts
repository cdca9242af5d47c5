import type { ByteStream, Carrier, CarrierHandler } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { Budget } from '../net/budget.ts';
import { Joiner } from '../net/joiner.ts';
import type { Runtime } from '../net/runtime.ts';
import { pinnedTls, type TLSSocket } from '../net/tls.ts';
import { StreamDuplex } from './duplex.ts';
import { Mux, type MuxTransport } from './mux.ts';

export interface RelayCarrierOptions {
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
}

/** How far the window of an inner stream grows. */
const MAX_WINDOW = 16 * 1024 * 1024;

/** Channels take what arrives at once and hold it against their own credit, so these windows hold no memory. */
const UNLIMITED = new Budget(Number.POSITIVE_INFINITY);

/** How long the peer may take for the TLS handshake. */
const HANDSHAKE_TIMEOUT = 15_000;

/** How long the last bytes may take to leave after a close. */
const CLOSE_TIMEOUT = 5_000;

/** A link's path through the server: yamux inside TLS 1.3 with pinned certificates, inside one outer stream. */
export class RelayCarrier implements Carrier {
  readonly kind = 'relayed';
  readonly maxDatagram = 0;
  readonly #mux: Mux;
  readonly #options: RelayCarrierOptions;
  #closed = false;

  /**
   * Proves both certificates and resolves with the carrier once the peer has answered through it: only then has the peer
   * accepted ours, too. Rejects with `peer_certificate` or `peer_lost`; the handler hears nothing of the carrier's end then.
   */
  static async establish(
    stream: ByteStream,
    options: RelayCarrierOptions,
    handler: CarrierHandler,
  ): Promise<RelayCarrier> {
    const duplex = new StreamDuplex(stream);
    const deadline = options.runtime.setTimer(HANDSHAKE_TIMEOUT, () => duplex.destroy());
    try {
      const { certificate, peerFingerprint, name } = options;
      const role = options.role === 'subscriber' ? 'client' : 'server';
      const socket = await pinnedTls(duplex, { role, ...certificate, peerFingerprint, name });
      if (socket.destroyed) throw new UnderpassError('peer_lost', { name });
      return await new Promise((resolve, reject) => {
        let settle = (error: UnderpassError | undefined): void => reject(error);
        const carrier = new RelayCarrier(socket, options, {
          onStream: (opened) => handler.onStream(opened),
          onDatagram: (datagram) => handler.onDatagram(datagram),
          onDatagramRoom: () => handler.onDatagramRoom(),
          onClose: (error) => settle(error),
          onPong: () => {
            settle = (error) => handler.onClose(error);
            resolve(carrier);
          },
        });
      });
    } finally {
      deadline.cancel();
    }
  }

  private constructor(
    socket: TLSSocket,
    options: RelayCarrierOptions,
    handler: CarrierHandler & { onPong(): void },
  ) {
    const { role, maxStreams, runtime } = options;
    this.#options = options;
    const session = {
      role: role === 'subscriber' ? 'client' : 'server',
      maxInbound: role === 'subscriber' ? 0 : maxStreams,
      maxWindow: MAX_WINDOW,
      budget: UNLIMITED,
    } as const;
    this.#mux = new Mux(session, tlsTransport(socket, runtime), runtime, {
      onStream: (stream) => handler.onStream(stream),
      onPong: () => handler.onPong(),
      onClose: (reason, problem) => {
        const expected = this.#closed;
        this.#closed = true;
        handler.onClose(expected ? undefined : this.#closeError(reason, problem));
      },
    });
    socket.on('data', (chunk: Buffer) => this.#mux.receive(chunk));
    // Nothing comes after the end of TLS, and whoever still writes would not notice.
    socket.once('end', () => socket.destroy());
    socket.once('close', () => this.#mux.lost());
  }

  get rtt(): number | undefined {
    return this.#mux.rtt;
  }

  open(): ByteStream {
    if (this.#closed) throw new UnderpassError('peer_lost', { name: this.#options.name });
    const stream = this.#mux.streamCount < this.#options.maxStreams ? this.#mux.open() : undefined;
    if (stream === undefined) throw new UnderpassError('too_many_channels');
    return stream;
  }

  sendDatagram(_datagram: Buffer): boolean {
    return true;
  }

  drop(): void {
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mux.close();
  }

  #closeError(reason: string, problem: string | undefined): UnderpassError {
    if (problem !== undefined) return new UnderpassError('protocol_error', { problem });
    return new UnderpassError('peer_lost', { name: this.#options.name }, { cause: reason });
  }
}

function tlsTransport(socket: TLSSocket, runtime: Runtime): MuxTransport {
  const joiner = new Joiner();
  return {
    send(buffers, sent) {
      if (socket.destroyed) return;
      // Joined here, in memory that is warm, it costs less than Node's own joining of corked writes.
      const { bytes, release } = joiner.join(buffers);
      socket.write(bytes, () => {
        release();
        sent();
      });
    },
    close() {
      if (socket.destroyed) return;
      const deadline = runtime.setTimer(CLOSE_TIMEOUT, () => socket.destroy());
      socket.once('close', () => deadline.cancel());
      socket.end(() => socket.destroy());
    },
  };
}
