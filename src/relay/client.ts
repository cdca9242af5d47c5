import type { ByteStream } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { BinarySocket } from '../net/binary-socket.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime } from '../net/runtime.ts';
import type { OpenWebSocket } from '../net/websocket-client.ts';
import { Mux } from './mux.ts';
import { BULK_LANE, type Preface, PrefacedStream } from './preface.ts';

export interface RelayClientOptions {
  readonly runtime: Runtime;
  /** Opens this session's `/_data` WebSocket. Called when a link needs it and there is none. */
  readonly connect: () => Promise<OpenWebSocket>;
}

/** Links that the server may have open to this client at a time: more than any of its limits allows. */
const MAX_STREAMS = 4096;
const MAX_WINDOW = 16 * 1024 * 1024;
const RECEIVE_BUDGET = 256 * 1024 * 1024;

/** How long the server may take to open a link's stream once the peer has answered. */
const STREAM_TIMEOUT = 15_000;

/** A link whose stream the server is going to open. */
export interface ExpectedStream {
  /**
   * The stream, once it is there. Rejects with `peer_timeout` when it does not come in time, with `server_lost` when the
   * data connection goes, or with what `abandon` was given.
   */
  arrival(): Promise<ByteStream>;
  /** It is no longer wanted. */
  cancel(): void;
}

interface Expected {
  arrived(stream: ByteStream): void;
  failed(error: UnderpassError): void;
}

/** A client's end of the relay: one `/_data` connection, on which the server opens a stream for every link. */
export class RelayClient {
  readonly #options: RelayClientOptions;
  /** By link. Two wait where both its ends are in this client; the server opens the subscriber's stream first, and both are alike. */
  readonly #expected = new Map<string, Expected[]>();
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

  /** Says that the server will open the bulk lane of this link, so that it is let in even before anybody waits for it. */
  expect(link: Buffer): ExpectedStream {
    const id = link.toString('hex');
    const { runtime } = this.#options;
    const stream = new Promise<ByteStream>((resolve, reject) => {
      const waiting = this.#expected.get(id) ?? [];
      this.#expected.set(id, [...waiting, { arrived: resolve, failed: reject }]);
    });
    // Whoever waits hears of a failure; before that there is nobody to tell.
    stream.catch(() => undefined);
    return {
      arrival: () => {
        const timer = runtime.setTimer(STREAM_TIMEOUT, () =>
          this.abandon(link, new UnderpassError('peer_timeout')),
        );
        return stream.finally(() => timer.cancel());
      },
      cancel: () => {
        this.abandon(link, new UnderpassError('peer_lost'));
        void stream.then(
          (arrived) => arrived.reset(),
          () => undefined,
        );
      },
    };
  }

  /** The server will not open this link's stream: whoever waits for it is told why. */
  abandon(link: Buffer, error: UnderpassError): void {
    const id = link.toString('hex');
    const waiting = this.#expected.get(id) ?? [];
    this.#expected.delete(id);
    for (const expected of waiting) expected.failed(error);
  }

  close(): void {
    this.#closed = true;
    this.#mux?.close();
    this.#failAll();
  }

  async #connect(): Promise<void> {
    const { websocket, transport: socket } = await this.#options.connect();
    const transport = new BinarySocket(websocket, socket, {
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
    const [expected, ...others] = this.#expected.get(id) ?? [];
    if (expected === undefined || lane !== BULK_LANE) {
      stream.reset();
      return;
    }
    if (others.length > 0) this.#expected.set(id, others);
    else this.#expected.delete(id);
    expected.arrived(stream);
  }

  #failAll(): void {
    const all = [...this.#expected.values()].flat();
    this.#expected.clear();
    for (const expected of all) expected.failed(new UnderpassError('server_lost'));
  }
}
