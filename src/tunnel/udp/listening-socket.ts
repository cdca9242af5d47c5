import type { RemoteInfo, Socket } from 'node:dgram';
import { formatAddress } from '../../net/address.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { createDatagramSocket, isCongested, isPassing, widen } from './datagram-socket.ts';

/** Until a socket that has failed is opened again, and after each failure twice as long: milliseconds. */
const FIRST_DELAY = 100;
const LONGEST_DELAY = 5000;

/** A socket that has nothing but errors to tell, so many, is not as good as it was. */
const MAX_ERRORS = 1000;

export interface ListeningSocketOptions {
  readonly runtime: Runtime;
  /** An IP address of this machine, IPv6 with its zone where it needs one. */
  readonly address: string;
  readonly onMessage: (bytes: Buffer, from: RemoteInfo) => void;
  /** It has failed, and is opened again after a while. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/** A UDP port of this machine that stays: what an error says of one datagram does not end it, and if it does fail it comes back. */
export class ListeningSocket {
  readonly address: string;
  readonly #options: ListeningSocketOptions;
  #socket: Socket | undefined;
  /** Undefined before it was bound for the first time. */
  #port: number | undefined;
  #errors = 0;
  #delay = FIRST_DELAY;
  #retry: Timer | undefined;
  #closed = false;

  constructor(options: ListeningSocketOptions) {
    this.#options = options;
    this.address = options.address;
  }

  /** Binds the port (0: any) and resolves with it. Rejects with the system's error, and is of no use then. Once. */
  open(port: number): Promise<number> {
    return new Promise((resolve, reject) => this.#bind(port, resolve, reject));
  }

  /** Nothing is said of what cannot be sent. False: it was dropped here. */
  send(payload: Buffer, port: number, address: string): boolean {
    const socket = this.#socket;
    if (socket === undefined || isCongested(socket)) return false;
    try {
      // Without a callback the system's opinion costs nothing.
      socket.send(payload, port, address);
      return true;
    } catch (error) {
      this.#fail(socket, error as Error);
      return false;
    }
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#socket?.close();
    this.#socket = undefined;
  }

  #bind(port: number, onBound: (port: number) => void, onError: (error: Error) => void): void {
    const { address, onMessage } = this.#options;
    const socket = createDatagramSocket(address);
    let bound = false;
    socket.on('error', (error) => {
      if (bound) this.#onError(socket, error);
      else {
        socket.close();
        onError(error);
      }
    });
    socket.on('message', (bytes, from) => {
      this.#errors = 0;
      this.#delay = FIRST_DELAY;
      onMessage(bytes, from);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      bound = true;
      if (this.#closed) {
        socket.close();
        return onError(new Error(`closed: ${formatAddress(address, port)}`));
      }
      widen(socket);
      this.#socket = socket;
      this.#errors = 0;
      this.#port = socket.address().port;
      onBound(this.#port);
    });
  }

  #onError(socket: Socket, error: Error): void {
    this.#errors += 1;
    if (!isPassing(error) || this.#errors > MAX_ERRORS) this.#fail(socket, error);
  }

  #fail(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#options.onFailure?.(error);
    try {
      socket.close();
    } catch {
      // It was what has failed.
    }
    this.#bindLater();
  }

  #bindLater(): void {
    if (this.#closed || this.#port === undefined) return;
    const port = this.#port;
    this.#retry = this.#options.runtime.setTimer(this.#delay, () =>
      this.#bind(
        port,
        () => {},
        () => this.#bindLater(),
      ),
    );
    this.#delay = Math.min(LONGEST_DELAY, 2 * this.#delay);
  }
}
