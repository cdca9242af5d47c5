import type { ByteStream } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { BinarySocket } from '../net/binary-socket.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime } from '../net/runtime.ts';
import { dropIfStranded, type OpenWebSocket } from '../net/websocket-client.ts';
import { Mux, type MuxedStream } from './mux.ts';
import { BULK_LANE, DATAGRAM_LANE, type Preface, PrefacedStream } from './preface.ts';

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

/** How long links that were closed may take to end, at both ends, before the connection does. Milliseconds. */
const GOODBYE_TIMEOUT = 1000;

/** A link's streams through the server. */
export interface RelayLanes {
  readonly bulk: ByteStream;
  /** Where there is one. Rejects if it does not come. Whoever has no use for it resets it. */
  readonly datagrams?: Promise<ByteStream> | undefined;
}

/** A link whose streams the server is going to open. */
export interface ExpectedStream {
  /**
   * The streams, once that of the bulk lane is there. Rejects with `peer_timeout` when it does not come in time, with `server_lost` when the
   * data connection goes, or with what `abandon` was given.
   */
  arrival(): Promise<RelayLanes>;
  /** It is no longer wanted. */
  cancel(): void;
}

interface Expected {
  arrived(stream: ByteStream): void;
  failed(error: UnderpassError): void;
}

const TOO_LATE = new UnderpassError('peer_timeout');

/** A client's end of the relay: one `/_data` connection, on which the server opens a stream for every link. */
export class RelayClient {
  readonly #options: RelayClientOptions;
  /**
   * By link and lane. Two wait where both ends of the link are in this client; the server opens the subscriber's stream first, and
   * both are alike.
   */
  readonly #expected = new Map<string, Expected[]>();
  #connecting: Promise<void> | undefined;
  #mux: Mux | undefined;
  /** Whoever waits for the last stream to be over. */
  #onQuiet: (() => void) | undefined;
  /** What `#mux` runs on. */
  #socket: OpenWebSocket | undefined;
  /** It was there, and was lost: the server may not know that yet. */
  #wasLost = false;
  #closed = false;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  /** Whether the data connection is there; not any more when its streams hear of its end. */
  get connected(): boolean {
    return this.#mux !== undefined && !this.#mux.closed;
  }

  /** Opens the data connection, unless it is there. Rejects with what `connect` rejects with. */
  ready(): Promise<void> {
    if (this.#mux !== undefined) return Promise.resolve();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /**
   * Opens it again where it was lost. Before a link is asked for or answered: the server would open its streams on the old one, as long as
   * it takes that for a good one. Rejects as `ready` does.
   */
  async recover(): Promise<void> {
    if (this.#wasLost) await this.ready();
  }

  /** The data connection is doubted: it is given up, with what it carries, unless the server answers within 5 s. */
  check(): void {
    if (this.#socket === undefined || dropIfStranded(this.#socket)) return;
    this.#mux?.check();
  }

  /** Says that the server will open the lanes of this link, so that they are let in even before anybody waits for them. */
  expect(link: Buffer): ExpectedStream {
    const bulk = this.#expectLane(link, BULK_LANE);
    const datagrams = this.#expectLane(link, DATAGRAM_LANE);
    return {
      arrival: async () => {
        const lanes = { bulk: await this.#inTime(bulk, () => this.abandon(link, TOO_LATE)), datagrams };
        // It is opened together with the other one. Nobody waits for it.
        this.#inTime(datagrams, () => this.#fail(link, DATAGRAM_LANE, TOO_LATE)).catch(() => undefined);
        return lanes;
      },
      cancel: () => {
        this.abandon(link, new UnderpassError('peer_lost'));
        for (const lane of [bulk, datagrams]) {
          void lane.then(
            (arrived) => arrived.reset(),
            () => undefined,
          );
        }
      },
    };
  }

  /** The server will not open this link's streams: whoever waits for them is told why. */
  abandon(link: Buffer, error: UnderpassError): void {
    for (const lane of [BULK_LANE, DATAGRAM_LANE]) this.#fail(link, lane, error);
  }

  /** Ends at once: a goodbye that has not reached a link's other end is lost. See `quiet`. */
  close(): void {
    this.#closed = true;
    this.#mux?.close();
    this.#failAll();
  }

  /** Resolves when every stream is over, but in a second at the latest. For links that have been closed. */
  async quiet(): Promise<void> {
    if (this.#mux === undefined || this.#mux.streamCount === 0) return;
    await new Promise<void>((resolve) => {
      const deadline = this.#options.runtime.setTimer(GOODBYE_TIMEOUT, resolve);
      this.#onQuiet = () => {
        deadline.cancel();
        resolve();
      };
    });
    this.#onQuiet = undefined;
  }

  async #connect(): Promise<void> {
    const opened = await this.#options.connect();
    const transport = new BinarySocket(opened.websocket, opened.transport, {
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
        new PrefacedStream(stream, (preface, opened) => this.#onLane(preface, opened, stream));
      },
      onStreamOver: () => {
        if (mux.streamCount === 0) this.#onQuiet?.();
      },
      onClose: () => {
        this.#onQuiet?.();
        if (this.#mux !== mux) return;
        this.#mux = undefined;
        this.#socket = undefined;
        this.#wasLost = true;
        this.#failAll();
      },
    });
    this.#mux = mux;
    this.#socket = opened;
    this.#wasLost = false;
    if (this.#closed) mux.close();
  }

  #expectLane(link: Buffer, lane: number): Promise<ByteStream> {
    const key = keyOf(link, lane);
    const stream = new Promise<ByteStream>((resolve, reject) => {
      const waiting = this.#expected.get(key) ?? [];
      this.#expected.set(key, [...waiting, { arrived: resolve, failed: reject }]);
    });
    // Whoever waits hears of a failure; before that there is nobody to tell.
    stream.catch(() => undefined);
    return stream;
  }

  #inTime<T>(promise: Promise<T>, onLate: () => void): Promise<T> {
    const timer = this.#options.runtime.setTimer(STREAM_TIMEOUT, onLate);
    return promise.finally(() => timer.cancel());
  }

  #fail(link: Buffer, lane: number, error: UnderpassError): void {
    const key = keyOf(link, lane);
    const waiting = this.#expected.get(key) ?? [];
    this.#expected.delete(key);
    for (const expected of waiting) expected.failed(error);
  }

  #onLane({ link, lane }: Preface, stream: ByteStream, muxed: MuxedStream): void {
    const key = keyOf(link, lane);
    const [expected, ...others] = this.#expected.get(key) ?? [];
    if (expected === undefined) {
      stream.reset();
      return;
    }
    if (others.length > 0) this.#expected.set(key, others);
    else this.#expected.delete(key);
    if (lane === DATAGRAM_LANE) muxed.makeUrgent();
    expected.arrived(stream);
  }

  #failAll(): void {
    const all = [...this.#expected.values()].flat();
    this.#expected.clear();
    for (const expected of all) expected.failed(new UnderpassError('server_lost'));
  }
}

function keyOf(link: Buffer, lane: number): string {
  return `${link.toString('hex')}/${lane}`;
}
