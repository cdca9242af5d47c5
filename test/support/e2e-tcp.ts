import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP server on a free port of 127.0.0.1. */
export interface Listener {
  readonly port: number;
  close(): void;
}

/** Listens; half-open connections are allowed, and a reset by the other side is no error. */
export async function listen(handler: (socket: Socket) => void, port = 0): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    handler(socket);
  });
  server.listen({ host: '127.0.0.1', port, backlog: 2048 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A port that nobody listened on a moment ago, for programs that cannot be told to choose. */
export async function freePort(): Promise<number> {
  const listener = await listen(() => {});
  listener.close();
  return listener.port;
}

/** One TCP connection as a test wants it: bytes that arrive are kept until they are asked for. */
export class Wire {
  readonly socket: Socket;
  /** How the connection ended: properly, or by a reset. */
  readonly closed: Promise<'ended' | 'reset'>;
  #received = Buffer.alloc(0);
  #over = false;
  #waiting: (() => void) | undefined;

  static async open(port: number, host = '127.0.0.1'): Promise<Wire> {
    const wire = new Wire(connect({ host, port, allowHalfOpen: true }));
    // One that is reset at once may never have been seen to be open.
    await Promise.race([new Promise((resolve) => wire.socket.once('connect', resolve)), wire.closed]);
    return wire;
  }

  constructor(socket: Socket) {
    this.socket = socket;
    let reset = false;
    socket.on('error', () => {
      reset = true;
    });
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#waiting?.();
    });
    const over = () => {
      this.#over = true;
      this.#waiting?.();
    };
    socket.once('end', over);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        over();
        resolve(reset || !socket.readableEnded ? 'reset' : 'ended');
      });
    });
  }

  send(data: string | Buffer): void {
    this.socket.write(data);
  }

  /** Sends the last bytes; the other direction stays open. */
  end(data: string | Buffer = ''): void {
    this.socket.end(data);
  }

  /** The next `size` bytes, as text. Rejects when the connection ends before. */
  async read(size: number): Promise<string> {
    await this.#until(() => this.#received.length >= size, size);
    const text = this.#received.toString('utf8', 0, size);
    this.#received = this.#received.subarray(size);
    return text;
  }

  /** Everything that still comes until the other side ends. Rejects on a reset. */
  async readAll(): Promise<string> {
    await this.#until(() => this.#over, 0);
    if (!this.socket.readableEnded) throw new Error('the connection was reset');
    return this.read(this.#received.length);
  }

  async #until(condition: () => boolean, size: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting = () => {
        if (condition()) resolve();
        else if (this.#over) reject(new Error(`the connection ended before ${size} bytes`));
      };
      this.#waiting();
    });
    this.#waiting = undefined;
  }
}

/** Sends a line and reads it back from a service that echoes. */
export async function echo(port: number, text = 'ping', host?: string): Promise<string> {
  const wire = await Wire.open(port, host);
  wire.end(text);
  return wire.readAll();
}
