import dgram from 'node:dgram';
import { once } from 'node:events';

/** An application's UDP socket on this machine. */
export class LocalUdp {
  readonly socket: dgram.Socket;
  readonly port: number;
  readonly #received: { readonly bytes: Buffer; readonly from: dgram.RemoteInfo }[] = [];
  #wake: () => void = () => {};

  private constructor(socket: dgram.Socket) {
    this.socket = socket;
    this.port = socket.address().port;
    socket.on('message', (bytes, from) => {
      this.#received.push({ bytes, from });
      this.#wake();
    });
  }

  /** @param host an address; @param port 0 for any */
  static async open(host = '127.0.0.1', port = 0): Promise<LocalUdp> {
    const socket = dgram.createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
    socket.bind(port, host);
    await once(socket, 'listening');
    return new LocalUdp(socket);
  }

  /** Answers everything with itself. */
  echo(): this {
    this.socket.on('message', (bytes, { port, address }) => this.socket.send(bytes, port, address));
    return this;
  }

  send(bytes: Buffer | string, port: number, address = '127.0.0.1'): void {
    this.socket.send(bytes, port, address);
  }

  /** The next datagram, which may have come already. */
  async next(): Promise<{ readonly bytes: Buffer; readonly from: dgram.RemoteInfo }> {
    for (;;) {
      const next = this.#received.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async text(): Promise<string> {
    return String((await this.next()).bytes);
  }

  close(): void {
    this.socket.close();
  }
}
