import { Budget } from '../../src/net/budget.ts';
import { type SessionOptions, type SessionOutput, YamuxSession } from '../../src/relay/session.ts';
import { Random } from './random.ts';
import { cutAtRandom } from './seeds.ts';

const PERIOD = 524_287;
const once = new Random(42).bytes(PERIOD);
const PATTERN = Buffer.concat([once, once]);

/** The bytes (at most 512 KiB) that every stream carries at an offset: whoever reads them knows what was written. */
export function patternAt(offset: number, length: number): Buffer {
  const start = offset % PERIOD;
  return PATTERN.subarray(start, start + Math.min(length, PERIOD));
}

/** What one side knows of one of its streams. */
export class Half {
  written = 0;
  ended = false;
  read = 0;
  unconsumed = 0;
  mostUnconsumed = 0;
  endSeen = false;
  over: 'reset' | 'finished' | undefined;
}

/** One yamux session with a book of what went through it. */
export class Side {
  readonly budget: Budget;
  readonly session: YamuxSession;
  readonly halves = new Map<number, Half>();
  /** Bytes that have been transmitted and not yet received by the other side. */
  inFlight: Buffer = Buffer.alloc(0);
  closed: Extract<SessionOutput, { type: 'closed' }> | undefined;

  constructor(options: Partial<SessionOptions> & Pick<SessionOptions, 'role'>, budget = new Budget(1 << 30)) {
    this.budget = budget;
    this.session = new YamuxSession({ maxInbound: 1000, maxWindow: 1 << 20, budget, ...options }, 0);
  }

  open(now: number): number {
    const id = this.session.open(now);
    if (id === undefined) throw new Error('the session is closed');
    this.halves.set(id, new Half());
    return id;
  }

  half(id: number): Half {
    const half = this.halves.get(id);
    if (half === undefined) throw new Error(`nothing is known of stream ${id}`);
    return half;
  }

  /** Writes the next bytes of the pattern. */
  write(id: number, length: number): void {
    const half = this.half(id);
    if (half.ended || half.over !== undefined) return;
    const chunk = patternAt(half.written, length);
    this.session.write(id, chunk);
    half.written += chunk.length;
  }

  end(id: number): void {
    this.session.end(id);
    this.half(id).ended = true;
  }

  consume(id: number, bytes: number, now: number): void {
    const half = this.half(id);
    const taken = Math.min(bytes, half.unconsumed);
    half.unconsumed -= taken;
    this.session.consume(id, taken, now);
  }

  /** Takes outputs into the book, and checks each against the pattern and the order of things. */
  report(): void {
    for (let output = this.session.pollOutput(); output; output = this.session.pollOutput()) {
      if (this.closed) throw new Error(`${output.type} after closed`);
      if (output.type === 'closed') this.closed = output;
      else if (output.type !== 'pong' && output.type !== 'doubt') this.#note(output);
    }
  }

  #note(output: Exclude<SessionOutput, { type: 'closed' | 'pong' | 'doubt' }>): void {
    if (output.type === 'stream') {
      if (this.halves.has(output.id)) throw new Error(`stream ${output.id} twice`);
      this.halves.set(output.id, new Half());
      return;
    }
    const half = this.half(output.id);
    if (half.over !== undefined) throw new Error(`${output.type} for stream ${output.id} after ${half.over}`);
    if (output.type === 'data') {
      if (half.endSeen) throw new Error('data after the end');
      if (!output.chunk.equals(patternAt(half.read, output.chunk.length))) throw new Error('wrong bytes');
      half.read += output.chunk.length;
      half.unconsumed += output.chunk.length;
      half.mostUnconsumed = Math.max(half.mostUnconsumed, half.unconsumed);
    } else if (output.type === 'end') {
      if (half.endSeen) throw new Error('two ends');
      half.endSeen = true;
    } else if (output.type === 'reset' || output.type === 'finished') half.over = output.type;
  }
}

/** Transmits up to about `limit` bytes into the side's pipe. */
export function transmit(side: Side, limit: number): number {
  const buffers: Buffer[] = [];
  const size = side.session.transmit(limit, buffers);
  const bytes = Buffer.concat(buffers);
  if (bytes.length !== size) throw new Error(`transmit said ${size} and gave ${bytes.length}`);
  side.inFlight = Buffer.concat([side.inFlight, bytes]);
  side.report();
  return size;
}

/** Moves bytes out of the pipe of `from` into `to`, cut at random. */
export function deliver(from: Side, to: Side, bytes: number, now: number, random: Random): void {
  const arriving = from.inFlight.subarray(0, bytes);
  from.inFlight = from.inFlight.subarray(bytes);
  const longest = random.pick([7, 500, 70_000]);
  for (const piece of longest === 7 && arriving.length > 2000
    ? [arriving]
    : cutAtRandom(arriving, random, longest)) {
    to.session.receive(piece, now);
    if (random.integer(2) === 0) to.report();
  }
  to.report();
}

/** Runs both sides until nothing moves any more, consuming everything. */
export function settle(a: Side, b: Side, now: number, random: Random): void {
  for (let idle = 0; idle < 2; ) {
    let moved = 0;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      moved += transmit(from, 100_000);
      deliver(from, to, from.inFlight.length, now, random);
      for (const id of to.halves.keys()) to.consume(id, Number.POSITIVE_INFINITY, now);
    }
    idle = moved === 0 ? idle + 1 : 0;
  }
}
