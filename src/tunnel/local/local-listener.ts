import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from '../../net/address.ts';
import { listenError } from '../../net/listen-error.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { SOCKET_BUFFER } from './forward.ts';

/** How long an application may wait for a link, at least, milliseconds. */
const HOLD_TIME = 10_000;

/** Applications that may wait at a time; one more is turned away. */
const MAX_HELD = 1024;

/** A subscriber's local port. Connections that come while there is no link are held for a while, then closed. */
export class LocalListener {
  readonly #runtime: Runtime;
  readonly #onConnection: (socket: Socket) => void;
  readonly #server: Server;
  readonly #patience: () => number;
  readonly #held = new Map<Socket, Timer>();
  #open = false;

  /** @param patience how long one that comes now may wait, milliseconds; 10 s at least */
  constructor(runtime: Runtime, onConnection: (socket: Socket) => void, patience = () => 0) {
    this.#patience = patience;
    this.#runtime = runtime;
    this.#onConnection = onConnection;
    const options = { allowHalfOpen: true, highWaterMark: SOCKET_BUFFER };
    this.#server = createServer(options, (socket) => this.#onSocket(socket));
  }

  /** Binds the port and resolves with `host:port`. Rejects with `port_in_use` or `listen_failed`. */
  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      // It stays: a later error is one connection that could not be accepted, and no reason to stop.
      this.#server.on('error', (error) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        const { address, port: bound } = this.#server.address() as AddressInfo;
        resolve(formatAddress(address, bound));
      });
    });
  }

  /** The link is up: whoever waited is served, and whoever comes is served at once. */
  open(): void {
    this.#open = true;
    for (const [socket, timer] of this.#held) {
      timer.cancel();
      this.#onConnection(socket);
    }
    this.#held.clear();
  }

  /** The link is down. */
  hold(): void {
    this.#open = false;
  }

  close(): void {
    this.#server.close();
    for (const [socket, timer] of this.#held) {
      timer.cancel();
      // An end would look as if the service had answered with nothing.
      socket.resetAndDestroy();
    }
    this.#held.clear();
  }

  #onSocket(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#open) this.#onConnection(socket);
    else if (this.#held.size >= MAX_HELD) socket.resetAndDestroy();
    else this.#hold(socket);
  }

  #hold(socket: Socket): void {
    const time = Math.max(HOLD_TIME, this.#patience());
    const timer = this.#runtime.setTimer(time, () => socket.resetAndDestroy());
    this.#held.set(socket, timer);
    socket.once('close', () => {
      timer.cancel();
      this.#held.delete(socket);
    });
  }
}
