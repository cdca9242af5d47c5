import type { ByteStream, ByteStreamHandler } from '../../src/carrier.ts';
import { Budget } from '../../src/net/budget.ts';
import type { Runtime } from '../../src/net/runtime.ts';
import { Mux, type MuxedStream, type MuxTransport } from '../../src/relay/mux.ts';
import type { SessionOptions } from '../../src/relay/session.ts';

/** One direction of a connection in memory: what is sent arrives `latency` milliseconds later. */
export class MemoryWire implements MuxTransport {
  readonly #runtime: Runtime;
  readonly #latency: number;
  #peer: { receive(chunk: Buffer): void; lost(): void } | undefined;
  /** Nothing leaves while it is set. */
  stalled = false;
  #waiting: (() => void)[] = [];
  bytes = 0;
  closed = false;

  constructor(runtime: Runtime, latency: number) {
    this.#runtime = runtime;
    this.#latency = latency;
  }

  connect(peer: { receive(chunk: Buffer): void; lost(): void }): void {
    this.#peer = peer;
  }

  send(buffers: Buffer[], sent: () => void): void {
    if (this.stalled) {
      this.#waiting.push(() => this.send(buffers, sent));
      return;
    }
    const bytes = Buffer.concat(buffers);
    this.bytes += bytes.length;
    this.#runtime.setTimer(0, sent);
    this.#runtime.setTimer(this.#latency, () => this.#peer?.receive(bytes));
  }

  resume(): void {
    this.stalled = false;
    for (const send of this.#waiting.splice(0)) send();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#runtime.setTimer(this.#latency, () => this.#peer?.lost());
  }
}

export interface MuxEnd {
  readonly mux: Mux;
  readonly wire: MemoryWire;
  readonly budget: Budget;
  /** Streams that the other end opened, in order. */
  readonly accepted: MuxedStream[];
  readonly closes: { reason: string; problem: string | undefined }[];
  onStream: (stream: ByteStream) => void;
  onClose: () => void;
  /** Its user has ended it. */
  isClosing: boolean;
}

/** Two muxes with a connection between them, in the runtime's time. */
export function muxPair(
  runtime: Runtime,
  { latency = 1, ...options }: Partial<SessionOptions> & { latency?: number } = {},
): { client: MuxEnd; server: MuxEnd } {
  const client = muxEnd(runtime, latency, { role: 'client', ...options });
  const server = muxEnd(runtime, latency, { role: 'server', ...options });
  client.wire.connect(server.mux);
  server.wire.connect(client.mux);
  return { client, server };
}

function muxEnd(
  runtime: Runtime,
  latency: number,
  options: Partial<SessionOptions> & Pick<SessionOptions, 'role'>,
): MuxEnd {
  const wire = new MemoryWire(runtime, latency);
  const budget = new Budget(1 << 30);
  const session = { maxInbound: 5000, maxWindow: 1 << 20, budget, ...options };
  const mux: Mux = new Mux(session, wire, runtime, {
    onStream: (stream) => {
      end.accepted.push(stream);
      end.onStream(stream);
    },
    onClose: (reason, problem) => {
      end.closes.push({ reason, problem });
      end.onClose();
    },
  });
  const end: MuxEnd = {
    mux,
    wire,
    budget,
    accepted: [],
    closes: [],
    onStream: () => {},
    onClose: () => {},
    isClosing: false,
  };
  return end;
}

/** Writes down what a stream tells its user, and consumes at once unless told not to. */
export class Recorder implements ByteStreamHandler {
  readonly stream: ByteStream;
  readonly chunks: Buffer[] = [];
  readonly events: ('end' | 'reset' | 'drain')[] = [];
  received = 0;
  consumes: boolean;

  constructor(stream: ByteStream, { consumes = true } = {}) {
    this.stream = stream;
    this.consumes = consumes;
    stream.attach(this);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  onData(chunk: Buffer): void {
    if (this.events.includes('reset') || this.events.includes('end')) throw new Error('data after the end');
    this.chunks.push(chunk);
    this.received += chunk.length;
    if (this.consumes) this.stream.consume(chunk.length);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onReset(): void {
    this.events.push('reset');
  }

  onDrain(): void {
    this.events.push('drain');
  }
}
