import { randomBytes } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { QuicheConnection } from '../../src/quic/binding.ts';
import { answer } from '../processes/rpc.ts';
import { bind, configured, HERE, HOST, PacketSender, THERE } from './quic-end.ts';

// A bare proxy over QUIC: TCP connections become streams of one connection, and at the other end TCP connections again. It uses
// quiche as our carrier does, with the same configuration, and does nothing that two ends which trust each other do not need.

const READ_SIZE = 64 * 1024;
const STREAM_STEP = 4;
const NOTHING = Buffer.alloc(0);
/** Carries FIN. quiche (0.18) may forget to send one that has no byte to go with. */
const LAST = Buffer.alloc(1);

/** One stream and its TCP connection. */
interface Joint {
  readonly tcp: Socket;
  /** What quiche had no room for; the connection is paused meanwhile. */
  unsent: Buffer;
  /** Whether TCP has said its last byte, and whether quiche has taken it. */
  ended: boolean;
  finished: boolean;
}

class QuicProxy {
  readonly #packets: PacketSender;
  readonly #native: QuicheConnection;
  readonly #joints = new Map<number, Joint>();
  readonly #dial: (() => Socket) | undefined;
  readonly #into = Buffer.allocUnsafeSlow(READ_SIZE);
  #turn: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 0;
  onEstablished: (() => void) | undefined;

  /** @param dial connects to the service, on the side that has one */
  constructor(native: QuicheConnection, udp: UdpSocket, peerPort: number, dial?: () => Socket) {
    this.#native = native;
    this.#packets = new PacketSender(native, udp, peerPort);
    this.#dial = dial;
    udp.on('message', (packet) => {
      native.recv(packet, { from: THERE, to: HERE });
      this.#wake();
    });
    this.#wake();
  }

  /** Opens a stream for a connection. */
  add(tcp: Socket): void {
    this.#join(this.#nextId, tcp);
    this.#nextId += STREAM_STEP;
  }

  #join(id: number, tcp: Socket): Joint {
    const joint: Joint = { tcp, unsent: NOTHING, ended: false, finished: false };
    this.#joints.set(id, joint);
    tcp.on('data', (chunk) => {
      joint.unsent = chunk;
      tcp.pause();
      this.#wake();
    });
    tcp.on('drain', () => this.#wake());
    tcp.on('error', () => tcp.destroy());
    // A reset travels as an end: the service of the bench stops then.
    for (const event of ['end', 'close']) {
      tcp.on(event, () => {
        joint.ended = true;
        this.#wake();
      });
    }
    return joint;
  }

  #wake(): void {
    this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const native = this.#native;
    if (native.isClosed()) throw new Error('the bare QUIC connection is gone');
    for (const id of native.readable()) this.#read(id);
    for (const [id, joint] of this.#joints) this.#write(id, joint);
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

  #read(id: number): void {
    const { tcp } = this.#joints.get(id) ?? this.#join(id, (this.#dial as () => Socket)());
    while (!tcp.writableNeedDrain) {
      const read = this.#native.streamRecv(id, this.#into);
      if (read === null) return;
      const [size, isEnd] = read;
      const bytes = this.#into.subarray(0, isEnd ? size - LAST.length : size);
      if (tcp.writable) tcp.write(Buffer.from(bytes));
      if (!isEnd) continue;
      tcp.end();
      return;
    }
  }

  #write(id: number, joint: Joint): void {
    if (joint.unsent.length > 0) {
      const taken = this.#native.streamSend(id, joint.unsent, false) ?? 0;
      joint.unsent = joint.unsent.subarray(taken);
      if (joint.unsent.length === 0) joint.tcp.resume();
    } else if (joint.ended && !joint.finished) {
      joint.finished = this.#native.streamSend(id, LAST, true) === LAST.length;
    }
  }
}

const udp = createSocket({
  type: 'udp4',
  lookup: (address, _options, callback) => callback(null, address, 4),
});

const handlers = {
  /** Returns the port that the other proxy sends to. */
  bind: () => bind(udp),
  /** Waits for the other proxy; its streams go on to the service. */
  publish: async ({ peerPort, servicePort }: { peerPort: number; servicePort: number }) => {
    const { quiche, config } = await configured('publisher');
    const native = quiche.Connection.accept(randomBytes(20), null, HERE, THERE, config);
    const dial = () => connect({ host: HOST, port: servicePort, noDelay: true, allowHalfOpen: true });
    new QuicProxy(native, udp, peerPort, dial);
  },
  /** Connects to the other proxy, and returns where TCP connections are accepted from now on. */
  subscribe: async ({ peerPort }: { peerPort: number }) => {
    const { quiche, config } = await configured('subscriber');
    const native = quiche.Connection.connect(null, randomBytes(20), HERE, THERE, config);
    const proxy = new QuicProxy(native, udp, peerPort);
    await new Promise<void>((resolve) => {
      proxy.onEstablished = resolve;
    });
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (tcp) => proxy.add(tcp));
    server.listen({ host: HOST, port: 0 });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
};
export type QuicProxyHandlers = typeof handlers;
answer(handlers);
