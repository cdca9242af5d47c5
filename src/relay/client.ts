import type { WebSocket } from 'ws';
import type { ByteStream } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { BinarySocket } from '../net/binary-socket.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime, Timer } from '../net/runtime.ts';
import { Mux } from './mux.ts';
import { BULK_LANE, type Preface, PrefacedStream } from './preface.ts';

export interface RelayClientOptions {
  readonly runtime: Runtime;
  /** Opens this session's `/_data` WebSocket. Called when a link needs it and there is none. */
  readonly connect: () => Promise<WebSocket>;
}

/** Links that the server may have open to this client at a time: more than any of its limits allows. */
const MAX_STREAMS = 4096;
const MAX_WINDOW = 16 * 1024 * 1024;
const RECEIVE_BUDGET = 256 * 1024 * 1024;

/** How long the server may take to open a link's stream once the peer has answered. */
const STREAM_TIMEOUT = 15_000;

interface Expected {
  readonly resolve: (stream: ByteStream) => void;
  readonly reject: (error: UnderpassError) => void;
  readonly timer: Timer;
}

/** A client's end of the relay: one `/_data` connection, on which the server opens a stream for every link. */
export class RelayClient {
  readonly #options: RelayClientOptions;
  readonly #expected = new Map<string, Expected>();
  #connecting: Promise<void> | undefined;
  #mux: Mux | undefined;
  #closed = false;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  /** Opens the data connection, unless it is there. Rejects with what `connect` rejects with. */
  ready(): Promise<void> {
    if (this.#mux !== undefined) return Promise.resolve();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Waits for the server to open the bulk lane of this link. Rejects with `server_lost` when it does not. */
  accept(link: Buffer): Promise<ByteStream> {
    const id = link.toString('hex');
    return new Promise((resolve, reject) => {
      const timer = this.#options.runtime.setTimer(STREAM_TIMEOUT, () => this.#fail(id));
      this.#expected.set(id, { resolve, reject, timer });
    });
  }

  /** The link is no longer wanted: whoever waits for its stream is told so. */
  abandon(link: Buffer): void {
    this.#fail(link.toString('hex'));
  }

  close(): void {
    this.#closed = true;
    this.#mux?.close();
    this.#failAll();
  }

  async #connect(): Promise<void> {
    const socket = await this.#options.connect();
    const transport = new BinarySocket(socket, (socket as any)._socket, {
      onBytes: (chunk) => mux.receive(chunk),
      onClose: () => mux.lost(),
    });
    const options = {
      role: 'server',
      maxInbound: MAX_STREAMS,
      maxWindow: MAX_WINDOW,
      budget: new Budget(RECEIVE_BUDGET),
    } as const;
    const mux: Mux = new Mux(options, transport, this.#options.runtime, {
      onStream: (stream) => {
        new PrefacedStream(stream, (preface, opened) => this.#onLane(preface, opened));
      },
      onClose: () => {
        if (this.#mux !== mux) return;
        this.#mux = undefined;
        this.#failAll();
      },
    });
    this.#mux = mux;
    if (this.#closed) mux.close();
  }

  #onLane({ link, lane }: Preface, stream: ByteStream): void {
    const id = link.toString('hex');
    const expected = this.#expected.get(id);
    if (expected === undefined || lane !== BULK_LANE) {
      stream.reset();
      return;
    }
    this.#expected.delete(id);
    expected.timer.cancel();
    expected.resolve(stream);
  }

  #fail(id: string): void {
    const expected = this.#expected.get(id);
    if (expected === undefined) return;
    this.#expected.delete(id);
    expected.timer.cancel();
    expected.reject(new UnderpassError('server_lost'));
  }

  #failAll(): void {
    for (const id of [...this.#expected.keys()]) this.#fail(id);
  }
}
