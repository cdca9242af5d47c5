import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { QuicheConnection } from '../../src/quic/binding.ts';
import { answer } from '../processes/rpc.ts';
import { bind, configured, HERE, HOST, PacketSender, THERE } from './quic-end.ts';

// A bare proxy for one application's UDP: each datagram becomes a QUIC DATAGRAM, and at the other end a datagram again. It uses
// quiche as our carrier does, with the same configuration, and knows neither flows nor ports, nor anything too large.

/** What the library can, too. */
interface WithDatagrams {
  /** Null: its queue is full, and the datagram is lost. */
  dgramSend(datagram: Uint8Array): unknown;
  /** Null when there is none. */
  dgramRecv(into: Uint8Array): number | null;
}

const SLAB_SIZE = 64 * 1024;
const LARGEST = 1500;

class QuicUdpProxy {
  readonly #native: QuicheConnection & WithDatagrams;
  readonly #packets: PacketSender;
  readonly #local: Socket;
  /** Where datagrams go on this side: to the service, or to whoever has spoken last. */
  #localPort: number;
  #slab = Buffer.allocUnsafeSlow(SLAB_SIZE);
  #used = 0;
  #turn: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  onEstablished: (() => void) | undefined;

  /** @param servicePort on the side that has a service */
  constructor(native: QuicheConnection, udp: Socket, peerPort: number, local: Socket, servicePort?: number) {
    this.#native = native as QuicheConnection & WithDatagrams;
    this.#packets = new PacketSender(native, udp, peerPort);
    this.#local = local;
    this.#localPort = servicePort ?? 0;
    udp.on('message', (packet) => {
      native.recv(packet, { from: THERE, to: HERE });
      this.#wake();
    });
    local.on('message', (datagram, { port }) => {
      if (servicePort === undefined) this.#localPort = port;
      if (this.#native.dgramSend(datagram) === null) {
        this.#packets.send();
        this.#native.dgramSend(datagram);
      }
      this.#wake();
    });
    this.#wake();
  }

  #wake(): void {
    this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const native = this.#native;
    if (native.isClosed()) throw new Error('the bare QUIC connection is gone');
    while (this.#deliver());
    this.#packets.send();
    clearTimeout(this.#timer);
    const timeout = native.timeout();
    if (timeout !== null) {
      this.#timer = setTimeout(() => {
        native.onTimeout();
        this.#wake();
      }, timeout + 1);
    }
    if (native.isEstablished()) this.onEstablished?.();
  }

  #deliver(): boolean {
    if (SLAB_SIZE - this.#used < LARGEST) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_SIZE);
      this.#used = 0;
    }
    const size = this.#native.dgramRecv(this.#slab.subarray(this.#used, this.#used + LARGEST));
    if (size === null) return false;
    this.#local.send(this.#slab, this.#used, size, this.#localPort, HOST);
    this.#used += size;
    return true;
  }
}

const open = () =>
  createSocket({ type: 'udp4', lookup: (address, _options, callback) => callback(null, address, 4) });
const udp = open();
const local = open();

const handlers = {
  /** Returns the port that the other proxy sends to. */
  bind: () => bind(udp),
  /** Waits for the other proxy; its datagrams go on to the service. */
  publish: async ({ peerPort, servicePort }: { peerPort: number; servicePort: number }) => {
    const { quiche, config } = await configured('publisher');
    await bind(local);
    const native = quiche.Connection.accept(randomBytes(20), null, HERE, THERE, config);
    new QuicUdpProxy(native, udp, peerPort, local, servicePort);
  },
  /** Connects to the other proxy, and returns where datagrams are accepted from now on. */
  subscribe: async ({ peerPort }: { peerPort: number }) => {
    const { quiche, config } = await configured('subscriber');
    const port = await bind(local);
    const native = quiche.Connection.connect(null, randomBytes(20), HERE, THERE, config);
    const proxy = new QuicUdpProxy(native, udp, peerPort, local);
    await new Promise<void>((resolve) => {
      proxy.onEstablished = resolve;
    });
    return port;
  },
};
export type QuicUdpProxyHandlers = typeof handlers;
answer(handlers);
