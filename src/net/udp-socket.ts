import dgram from 'node:dgram';
import type { Endpoint } from './endpoint.ts';
import { listenError } from './listen-error.ts';
import { type PacketKind, packetKind } from './packet-kind.ts';

/** Called with each datagram of one kind. The bytes are the handler's to keep. */
export type PacketHandler = (bytes: Buffer, from: Endpoint) => void;

export interface SendOptions {
  /** The IP TTL, or IPv6 hop limit, of this packet only: 1 to 255. */
  readonly ttl?: number;
}

/** One UDP socket as those see it who share it; tests have pretended ones. */
export interface DatagramSocket {
  /** What it is bound to: the wildcard address unless it was opened on another. */
  readonly local: Endpoint;
  /** Who gets the packets of a kind: one handler each, the latest. Packets that nobody wants are dropped. */
  onPacket(kind: PacketKind, handler: PacketHandler | undefined): void;
  /**
   * Sends a datagram, after those before it. Never throws; after `close` it does nothing. True: the bytes are not needed any more.
   * False: they must not change.
   */
  send(bytes: Buffer, to: Endpoint, options?: SendOptions): boolean;
  /** Nothing is sent or received any more. */
  close(): void;
}

export interface UdpSocketOptions {
  readonly family: 4 | 6;
  /** An IP address of this machine; the wildcard by default. */
  readonly host?: string;
  /** 0, the default, lets the system choose. */
  readonly port?: number;
}

/** What is used of a `dgram.Socket`. */
export type RawSocket = Pick<
  dgram.Socket,
  'address' | 'close' | 'getSendQueueCount' | 'on' | 'send' | 'setTTL'
>;

/** Packets that may wait at a time, here and in the system's hands; what comes on top is dropped. */
const MAX_PENDING = 4096;

/** Bytes that may wait to be read, as far as the system allows: its own few hundred packets are one burst over QUIC. */
const RECEIVE_BUFFER = 2 * 1024 * 1024;

/** What packets have that ask for nothing. No two machines of the internet are further apart. */
const USUAL_TTL = 64;

interface Packet {
  readonly bytes: Buffer;
  readonly to: Endpoint;
  readonly ttl: number;
}

/**
 * The one owner of a UDP socket, which STUN, probes and QUIC share: a NAT's mapping belongs to the socket, so it is handed
 * over and never opened again. No error ends it; like a timer, it keeps the process alive until it is closed.
 */
export class UdpSocket implements DatagramSocket {
  readonly local: Endpoint;
  /** Told of each packet that could not be sent. Nothing else comes of it: UDP may lose what it likes. */
  onSendError: ((error: Error, to: Endpoint) => void) | undefined;
  readonly #raw: RawSocket;
  readonly #handlers = new Map<PacketKind, PacketHandler>();
  readonly #waiting: Packet[] = [];
  /** Packets whose send callback has not come yet. */
  #inFlight = 0;
  #ttl = USUAL_TTL;
  #closed = false;

  /** @param raw a socket that is bound, and is this object's alone from now on */
  constructor(raw: RawSocket) {
    this.#raw = raw;
    const { address, port } = raw.address();
    this.local = { address, port };
    raw.on('message', (bytes, { address, port }) => this.#receive(bytes, { address, port }));
  }

  /** Opens a socket; one of IPv6 carries IPv6 only. Rejects with `port_in_use` or `listen_failed`. */
  static open({ family, host, port = 0 }: UdpSocketOptions): Promise<UdpSocket> {
    const address = host ?? (family === 6 ? '::' : '0.0.0.0');
    return new Promise((resolve, reject) => {
      const raw = dgram.createSocket({ type: `udp${family}`, ipv6Only: family === 6, lookup });
      // It stays: a later error (an ICMP message, say) is about one packet that was lost, and no reason to crash.
      raw.on('error', (error) => reject(listenError(error, address, port)));
      const abandon = () => raw.close();
      raw.once('error', abandon);
      raw.bind({ address, port, exclusive: true }, () => {
        raw.off('error', abandon);
        widen(raw);
        resolve(new UdpSocket(raw));
      });
    });
  }

  onPacket(kind: PacketKind, handler: PacketHandler | undefined): void {
    if (handler === undefined) this.#handlers.delete(kind);
    else this.#handlers.set(kind, handler);
  }

  send(bytes: Buffer, to: Endpoint, options?: SendOptions): boolean {
    if (this.#closed) return true;
    if (this.#waiting.length + this.#inFlight >= MAX_PENDING) {
      this.onSendError?.(new Error('too many packets are waiting to be sent'), to);
      return true;
    }
    const packet = { bytes, to, ttl: options?.ttl ?? USUAL_TTL };
    if (this.#waiting.length > 0 || !this.#mayGo(packet)) {
      this.#waiting.push(packet);
      return false;
    }
    return this.#transmit(packet);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting.length = 0;
    this.#raw.close();
  }

  /**
   * The TTL belongs to the socket and not to a packet, and a packet in flight may still be in a queue below: so it changes only
   * when there is none, and packets that want another one wait, with all that come after them.
   */
  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#mayGo(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#transmit(next);
    }
  }

  #mayGo({ ttl }: Packet): boolean {
    return ttl === this.#ttl || this.#inFlight === 0;
  }

  #transmit({ bytes, to, ttl }: Packet): boolean {
    this.#inFlight += 1;
    try {
      if (ttl !== this.#ttl) this.#raw.setTTL(ttl);
      this.#ttl = ttl;
      this.#raw.send(bytes, to.port, to.address, (error) => this.#sent(error, to));
      // The system has often taken it already, though the callback comes later.
      return this.#raw.getSendQueueCount() === 0;
    } catch (error) {
      this.#inFlight -= 1;
      this.onSendError?.(error as Error, to);
      return true;
    }
  }

  #sent(error: Error | null, to: Endpoint): void {
    this.#inFlight -= 1;
    if (this.#closed) return;
    if (error) this.onSendError?.(error, to);
    this.#flush();
  }

  #receive(bytes: Buffer, from: Endpoint): void {
    // An IPv4 address inside an IPv6 one is nobody's on the wire, and Endpoints have one spelling each.
    if (EMBEDDED_IPV4.test(from.address)) return;
    this.#handlers.get(packetKind(bytes))?.(bytes, from);
  }
}

function widen(raw: dgram.Socket): void {
  try {
    raw.setRecvBufferSize(RECEIVE_BUFFER);
  } catch (error) {
    // Some systems refuse what Linux cuts down: then more of a burst is lost.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_BUFFER_SIZE') throw error;
  }
}

const EMBEDDED_IPV4 = /^::.*\./;

/** Addresses are addresses already: the resolver, dgram's own way, would put each packet off to a later tick. */
function lookup(
  address: string,
  options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, address, options === 6 ? 6 : 4);
}
