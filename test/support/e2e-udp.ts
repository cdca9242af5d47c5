import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { World } from './e2e.ts';

/** A UDP socket of a stranger, and all that it has heard. */
export class UdpEar {
  readonly #socket: Socket;
  readonly #heard: Buffer[] = [];
  #settling: { readonly mark: Buffer; readonly done: () => void } | undefined;
  #marks = 0;

  /** @param address one of 127.0.0.0/8 */
  static async open(world: World, address = '127.0.0.1'): Promise<UdpEar> {
    const socket = createSocket('udp4');
    world.onEnd(() => socket.close());
    await once(socket.bind(0, address), 'listening');
    return new UdpEar(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    // ICMP says that a port is closed: nobody's affair here.
    socket.on('error', () => undefined);
    socket.on('message', (bytes) => {
      if (this.#settling?.mark.equals(bytes)) this.#settling.done();
      else this.#heard.push(bytes);
    });
  }

  get address(): string {
    return this.#socket.address().address;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(bytes: Buffer, port: number, address = '127.0.0.1'): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.send(bytes, port, address, () => resolve());
    });
  }

  /** Everything that was sent to it before this call: the loopback keeps the order, and its own mark comes last. */
  async heard(): Promise<readonly Buffer[]> {
    const mark = Buffer.from(`mark ${++this.#marks}`);
    await new Promise<void>((done) => {
      this.#settling = { mark, done };
      void this.send(mark, this.port, this.address);
    });
    return this.#heard;
  }
}
