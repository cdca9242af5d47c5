import type { ByteStream, Carrier, CarrierHandler } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import type { Instant } from '../machine.ts';
import { Budget } from '../net/budget.ts';
import { Joiner } from '../net/joiner.ts';
import type { Runtime } from '../net/runtime.ts';
import { pinnedTls, type TLSSocket } from '../net/tls.ts';
import type { RelayLanes } from './client.ts';
import { DatagramLane } from './datagram-lane.ts';
import { MAX_DATAGRAM } from './datagram-record.ts';
import { StreamDuplex } from './duplex.ts';
import { Mux, type MuxReason, type MuxTransport } from './mux.ts';

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
  /** False where the link never has datagrams: the lane for them is not set up. Default true. */
  readonly datagrams?: boolean;
  readonly runtime: Runtime;
  /** The peer has not answered for 2 s: the way to the server may be dead. */
  readonly onDoubt?: () => void;
}

/** How far the window of an inner stream grows. */
const MAX_WINDOW = 16 * 1024 * 1024;

/** Channels take what arrives at once and hold it against their own credit, so these windows hold no memory. */
const UNLIMITED = new Budget(Number.POSITIVE_INFINITY);

/** How long the peer may take for the TLS handshake. */
const HANDSHAKE_TIMEOUT = 15_000;

/** Milliseconds between pings while the carrier is in use: for as long, a cut that nobody tells of goes unnoticed. */
const BUSY_INTERVAL = 5_000;

/** How long the last bytes may take to leave after a close. */
const CLOSE_TIMEOUT = 5_000;

/**
 * A link's path through the server: yamux inside TLS 1.3 with pinned certificates, inside one outer stream. Datagrams have another
 * outer stream, with TLS of its own, which comes up later and may be missing.
 */
export class RelayCarrier implements Carrier {
  readonly kind = 'relayed';
  readonly #mux: Mux;
  readonly #options: RelayCarrierOptions;
  readonly #handler: CarrierHandler;
  /** The outer stream of the datagrams, from before its handshake on. */
  #laneTransport: StreamDuplex | undefined;
  #lane: DatagramLane | undefined;
  #closed = false;
  #usedAt: Instant = Number.NEGATIVE_INFINITY;

  /**
   * Proves both certificates and resolves with the carrier once the peer has answered through it: only then has the peer
   * accepted ours, too. Rejects with `peer_certificate` or `peer_lost`; the handler hears nothing of the carrier's end then.
   */
  static async establish(
    { bulk, datagrams }: RelayLanes,
    options: RelayCarrierOptions,
    handler: CarrierHandler,
  ): Promise<RelayCarrier> {
    try {
      const carrier = await RelayCarrier.#establishBulk(bulk, options, handler);
      carrier.#await(datagrams);
      return carrier;
    } catch (error) {
      refuse(datagrams);
      throw error;
    }
  }

  static async #establishBulk(
    stream: ByteStream,
    options: RelayCarrierOptions,
    handler: CarrierHandler,
  ): Promise<RelayCarrier> {
    const duplex = new StreamDuplex(stream);
    const deadline = options.runtime.setTimer(HANDSHAKE_TIMEOUT, () => duplex.destroy());
    try {
      const socket = await handshake(duplex, options);
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
    this.#handler = handler;
    const session = {
      role: role === 'subscriber' ? 'client' : 'server',
      maxInbound: role === 'subscriber' ? 0 : maxStreams,
      maxWindow: MAX_WINDOW,
      budget: UNLIMITED,
      busyInterval: BUSY_INTERVAL,
    } as const;
    this.#mux = new Mux(session, tlsTransport(socket, runtime), runtime, {
      onStream: (stream) => handler.onStream(stream),
      onPong: () => handler.onPong(),
      onDoubt: () => options.onDoubt?.(),
      onClose: (reason, problem) => {
        const expected = this.#closed;
        this.#closed = true;
        this.#laneTransport?.destroy();
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

  get maxDatagram(): number {
    return this.#lane === undefined || this.#closed ? 0 : MAX_DATAGRAM;
  }

  open(): ByteStream {
    if (this.#closed) throw new UnderpassError('peer_lost', { name: this.#options.name });
    const stream = this.#mux.streamCount < this.#options.maxStreams ? this.#mux.open() : undefined;
    if (stream === undefined) throw new UnderpassError('too_many_channels');
    return stream;
  }

  sendDatagram(datagram: Buffer): boolean {
    if (this.#lane === undefined || this.#closed) return false;
    this.#use();
    return this.#lane.send(datagram);
  }

  drop(): void {
    if (this.#closed) return;
    this.#closed = true;
    // As if the connection had gone: there is no goodbye.
    this.#mux.lost();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mux.close();
  }

  /** Sets the datagram lane up once it is there. Nobody waits for it, and the carrier does without if it fails. */
  #await(datagrams: Promise<ByteStream> | undefined): void {
    if (this.#options.datagrams === false) refuse(datagrams);
    else
      datagrams?.then(
        (stream) => void this.#startLane(stream),
        () => undefined,
      );
  }

  async #startLane(stream: ByteStream): Promise<void> {
    if (this.#closed) {
      stream.reset();
      return;
    }
    const transport = new StreamDuplex(stream);
    this.#laneTransport = transport;
    const deadline = this.#options.runtime.setTimer(HANDSHAKE_TIMEOUT, () => transport.destroy());
    try {
      const socket = await handshake(transport, this.#options);
      if (!this.#closed) this.#useLane(socket);
    } catch {
      // A server that does not carry datagrams is no reason to lose the streams.
      transport.destroy();
    } finally {
      deadline.cancel();
    }
  }

  #useLane(socket: TLSSocket): void {
    this.#lane = new DatagramLane(socket, {
      onDatagram: (datagram) => {
        if (!this.#closed) this.#handler.onDatagram(datagram);
      },
      onRoom: () => {
        if (!this.#closed) this.#handler.onDatagramRoom();
      },
      onClose: () => {
        this.#lane = undefined;
        this.#laneTransport?.destroy();
      },
    });
    this.#handler.onDatagramRoom();
  }

  /** Datagrams make it as important as streams do that a dead path is noticed. */
  #use(): void {
    const now = this.#options.runtime.now();
    if (now - this.#usedAt < BUSY_INTERVAL) return;
    this.#usedAt = now;
    this.#mux.use();
  }

  #closeError(reason: MuxReason, problem: string | undefined): UnderpassError {
    const { name } = this.#options;
    if (problem !== undefined) return new UnderpassError('protocol_error', { problem });
    return new UnderpassError(reason === 'left' ? 'peer_left' : 'peer_lost', { name }, { cause: reason });
  }
}

/** Rejects with `peer_certificate` or `peer_lost`. */
async function handshake(transport: StreamDuplex, options: RelayCarrierOptions): Promise<TLSSocket> {
  const { certificate, peerFingerprint, name } = options;
  const role = options.role === 'subscriber' ? 'client' : 'server';
  const socket = await pinnedTls(transport, { role, ...certificate, peerFingerprint, name });
  if (socket.destroyed) throw new UnderpassError('peer_lost', { name });
  return socket;
}

/** Lets the other side know that nothing will come of a lane. */
function refuse(lane: Promise<ByteStream> | undefined): void {
  lane?.then(
    (stream) => stream.reset(),
    () => undefined,
  );
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
      // The peer's own end ends it, so that a goodbye on a path that is full is not cut off by a reset.
      socket.end();
    },
  };
}
