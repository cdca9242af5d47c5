import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { ByteStream } from '../carrier.ts';
import { BinarySocket } from '../net/binary-socket.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime, Timer } from '../net/runtime.ts';
import { Bridge } from './bridge.ts';
import { INITIAL_WINDOW, URGENT_WINDOW } from './frame.ts';
import { Mux } from './mux.ts';
import { BULK_LANE, DATAGRAM_LANE, encodePreface } from './preface.ts';
import type { TokenBucket } from './token-bucket.ts';
import { TunnelRates } from './tunnel-rates.ts';

/** How far one stream's window grows, its publisher's budget permitting. */
const MAX_WINDOW = 16 * 1024 * 1024;

/** How long both sides may take to open their data connections once the publisher has answered. */
const ATTACH_TIMEOUT = 15_000;

/** Datagrams overdraw the rate by so many milliseconds more than bulk does, and so go before it. */
const DATAGRAM_HEADSTART = 250;

export interface RelayLimits {
  readonly bytes_per_second_per_tunnel: number;
  readonly buffered_bytes_per_publisher: number;
  readonly buffered_bytes: number;
}

/** A link to relay: who the two ends are, and whom it counts for. */
export interface RelayLink {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly tunnel: string;
  /** Which of the server's tokens it counts for, from 1; 0 without tokens. */
  readonly token: number;
  /** Sessions, as the assembly names them. */
  readonly publisher: string;
  readonly subscriber: string;
}

/** What a link has carried, in bytes as the server saw them. */
export interface Usage {
  readonly up: number;
  readonly down: number;
  readonly milliseconds: number;
}

export interface RelayServerHandler {
  /** Relayed bytes: `up` from subscriber to publisher, `down` back. */
  onBytes(link: RelayLink, direction: 'up' | 'down', bytes: number): void;
  /** The link is over: both bulk streams ended, one was reset, a data connection went, or never came. */
  onLinkClosed(link: RelayLink, usage: Usage): void;
}

interface ActiveLink {
  readonly link: RelayLink;
  readonly started: number;
  up: number;
  down: number;
  bridge: Bridge | undefined;
  /** Comes and goes with `bridge`, or goes before. */
  datagrams: Bridge | undefined;
  attachTimer: Timer | undefined;
}

/** What all links of one publishing session share. */
interface Publisher {
  readonly budget: Budget;
  links: number;
}

/** The server's end of the relay: a data connection for each session, and a bridge for each link. */
export class RelayServer {
  readonly #runtime: Runtime;
  readonly #handler: RelayServerHandler;
  #limits: RelayLimits;
  #total: Budget;
  readonly #sessions = new Map<string, Mux>();
  readonly #links = new Map<string, ActiveLink>();
  readonly #publishers = new Map<string, Publisher>();
  readonly #rates: TunnelRates;

  constructor(limits: RelayLimits, runtime: Runtime, handler: RelayServerHandler) {
    this.#limits = limits;
    this.#total = new Budget(limits.buffered_bytes);
    this.#runtime = runtime;
    this.#rates = new TunnelRates(runtime);
    this.#handler = handler;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  /** New links are held to these; those that exist keep what they began with. */
  reload(limits: RelayLimits): void {
    this.#limits = limits;
    this.#total = new Budget(limits.buffered_bytes);
  }

  /** Whether the memory for the windows of one more link of this publisher is there. */
  hasRoom(publisher: string): boolean {
    const { buffered_bytes, buffered_bytes_per_publisher } = this.#limits;
    const own = this.#publishers.get(publisher)?.links ?? 0;
    return (
      windowsOf(this.#links.size + 1) <= buffered_bytes && windowsOf(own + 1) <= buffered_bytes_per_publisher
    );
  }

  /** A session's `/_data` connection is there. An older one of the same session is closed. */
  attach(session: string, socket: WebSocket, transport: Duplex): void {
    this.#sessions.get(session)?.close();
    const pipe = new BinarySocket(socket, transport, {
      onBytes: (chunk) => mux.receive(chunk),
      onClose: () => mux.lost(),
    });
    const options = { role: 'client', maxInbound: 0, maxWindow: MAX_WINDOW, budget: this.#total } as const;
    const mux: Mux = new Mux(options, pipe, this.#runtime, {
      onStream: (stream) => stream.reset(),
      onClose: () => {
        if (this.#sessions.get(session) === mux) this.#sessions.delete(session);
      },
    });
    this.#sessions.set(session, mux);
    for (const active of this.#links.values()) this.#bridge(active);
  }

  /** The session is over: its data connection and its links go. */
  detach(session: string): void {
    this.#sessions.get(session)?.close();
    for (const { link } of [...this.#links.values()]) {
      if (link.publisher === session || link.subscriber === session) this.closeLink(link.id);
    }
  }

  /** Both peers agreed: relay between them as soon as both data connections are there. */
  openLink(link: RelayLink): void {
    const id = link.id.toString('hex');
    const attachTimer = this.#runtime.setTimer(ATTACH_TIMEOUT, () => this.closeLink(link.id));
    const none = { up: 0, down: 0, bridge: undefined, datagrams: undefined };
    const active = { link, started: this.#runtime.now(), ...none, attachTimer };
    this.#links.set(id, active);
    this.#publisher(link).links += 1;
    this.#bridge(active);
  }

  closeLink(id: Buffer): void {
    const active = this.#links.get(id.toString('hex'));
    if (active?.bridge !== undefined) active.bridge.reset();
    else if (active !== undefined) this.#finish(active);
  }

  close(): void {
    for (const mux of [...this.#sessions.values()]) mux.close();
    for (const active of [...this.#links.values()]) this.closeLink(active.link.id);
    this.#rates.close();
  }

  #bridge(active: ActiveLink): void {
    const { link } = active;
    const publisher = this.#sessions.get(link.publisher);
    const subscriber = this.#sessions.get(link.subscriber);
    if (active.bridge !== undefined || publisher === undefined || subscriber === undefined) return;
    active.attachTimer?.cancel();
    const { budget } = this.#publisher(link);
    const bulk = pairOf(subscriber.open(budget), publisher.open(budget));
    const datagrams = pairOf(subscriber.open(budget, true), publisher.open(budget, true));
    if (bulk === undefined) {
      for (const stream of datagrams ?? []) stream.reset();
      this.#finish(active);
      return;
    }
    const bucket = this.#rates.acquire(link.tunnel, this.#limits.bytes_per_second_per_tunnel);
    active.bridge = this.#introduce(active, bulk, BULK_LANE, bucket);
    if (datagrams !== undefined) active.datagrams = this.#introduce(active, datagrams, DATAGRAM_LANE, bucket);
  }

  #introduce(active: ActiveLink, [near, far]: Pair, lane: number, bucket: TokenBucket): Bridge {
    const { link } = active;
    const isBulk = lane === BULK_LANE;
    for (const stream of [near, far]) stream.write(encodePreface({ link: link.id, lane }));
    return new Bridge(near, far, {
      gate: {
        pass: (bytes) => {
          const delay = bucket.take(bytes, this.#runtime.now());
          return isBulk ? delay : Math.max(0, delay - DATAGRAM_HEADSTART);
        },
      },
      wait: (milliseconds, callback) => this.#runtime.setTimer(milliseconds, callback),
      onBytes: (direction, bytes) => {
        active[direction] += bytes;
        this.#handler.onBytes(link, direction, bytes);
      },
      onClose: () => {
        if (isBulk) this.#finish(active);
        else active.datagrams = undefined;
      },
    });
  }

  #finish(active: ActiveLink): void {
    const { link, up, down } = active;
    if (!this.#links.delete(link.id.toString('hex'))) return;
    active.attachTimer?.cancel();
    active.datagrams?.reset();
    if (active.bridge !== undefined) this.#rates.release(link.tunnel);
    const publisher = this.#publisher(link);
    publisher.links -= 1;
    if (publisher.links === 0) this.#publishers.delete(link.publisher);
    this.#handler.onLinkClosed(link, { up, down, milliseconds: this.#runtime.now() - active.started });
  }

  #publisher({ publisher: session }: RelayLink): Publisher {
    const known = this.#publishers.get(session);
    if (known !== undefined) return known;
    const budget = new Budget(this.#limits.buffered_bytes_per_publisher, this.#total);
    const publisher = { budget, links: 0 };
    this.#publishers.set(session, publisher);
    return publisher;
  }
}

/** A lane's streams: the subscriber's, and the publisher's. */
type Pair = readonly [ByteStream, ByteStream];

/** Undefined, and nothing left open, where one is missing. */
function pairOf(near: ByteStream | undefined, far: ByteStream | undefined): Pair | undefined {
  if (near !== undefined && far !== undefined) return [near, far];
  near?.reset();
  far?.reset();
  return undefined;
}

/** Bytes that so many links may have on the way without asking for more: a window on each side, for both lanes. */
function windowsOf(links: number): number {
  return links * 2 * (INITIAL_WINDOW + URGENT_WINDOW);
}
