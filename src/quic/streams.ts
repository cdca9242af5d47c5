import type { ByteStream } from '../carrier.ts';
import type { QuicheConnection } from './binding.ts';
import { STREAM_SLACK } from './config.ts';
import type { Connection, TurnResult } from './connection.ts';
import { Control } from './control.ts';
import { ProtocolError } from './ending.ts';
import { PeerStreams, STREAM_STEP } from './peer-streams.ts';
import { Scheduler } from './scheduler.ts';
import { Slab } from './slab.ts';
import { QuicStream, type StreamHost } from './stream.ts';

export interface StreamsOptions {
  readonly role: 'subscriber' | 'publisher';
  readonly maxStreams: number;
  readonly connection: Connection;
  /** The peer has accepted us. */
  onGreeting(): void;
  /** Delivers the datagrams that have come, and returns whether there were any. */
  onDatagrams(native: QuicheConnection): boolean;
  /** The peer opened a stream. */
  onStream(stream: ByteStream): void;
}

/** Bytes given to quiche in one turn. What is below the scheduler delays all other streams. */
const BYTES_A_TURN = 96 * 1024;

/**
 * Of the room that quiche says it has, this much is used. It counts neither headers nor repetitions, and takes bytes that it then
 * cannot send: without this it held megabytes after some seconds on a path of 100 Mbit/s.
 */
const USABLE_ROOM = 0.9;

const NOTHING = Buffer.alloc(0);

/** The streams of a connection: opens, accepts, reads, feeds and resets them. */
export class Streams implements StreamHost {
  readonly #options: StreamsOptions;
  readonly #control: Control;
  readonly #scheduler = new Scheduler();
  readonly #slab = new Slab();
  readonly #streams = new Map<number, QuicStream>();
  /** How many of them are open; the others have something left to send or to read. */
  #open = 0;
  readonly #peers: PeerStreams;
  /** Streams whose reset has overtaken their first byte. */
  readonly #doomed = new Set<number>();
  #lastRead: QuicStream | undefined;
  #nextId = 0;
  #over = false;
  /** In this turn. */
  #hasReceived = false;
  #hasSent = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#peers = new PeerStreams(options.role === 'publisher' ? options.maxStreams * STREAM_SLACK : 0);
    this.#control = new Control(options.role, {
      onGreeting: () => options.onGreeting(),
      onReset: (id) => this.#onReset(id),
    });
  }

  /** Opens a stream; undefined when there are too many. The peer hears of it with its first byte. */
  open(): ByteStream | undefined {
    const { role, maxStreams, connection } = this.#options;
    if (role === 'publisher' || this.#open >= maxStreams) return undefined;
    const id = this.#nextId;
    const stream = connection.run((native) => {
      if (native.peerStreamsLeftBidi() === 0) return undefined;
      native.streamSend(id, NOTHING, false);
      return this.#add(id);
    });
    if (stream !== undefined) this.#nextId += STREAM_STEP;
    return stream;
  }

  /** Reads what there is to read, and gives quiche what there is to send. */
  turn(native: QuicheConnection): TurnResult {
    this.#hasReceived = false;
    this.#hasSent = false;
    if (native.isReadable()) this.#receiveAll(native);
    if (this.#control.transmit(native)) this.#hasSent = true;
    if (this.#scheduler.isIdle) return this.#hasReceived && !this.#hasSent ? 'received' : 'done';
    const room = Math.floor(this.#control.room(native) * USABLE_ROOM);
    const wantsMore = this.#scheduler.transmit(native, Math.min(room, BYTES_A_TURN));
    return wantsMore && room >= BYTES_A_TURN ? 'more' : 'done';
  }

  /** Ends all streams, because the connection is over. */
  kill(): void {
    this.#over = true;
    this.#lastRead = undefined;
    for (const stream of [...this.#streams.values()]) stream.kill();
    this.#streams.clear();
  }

  schedule(stream: QuicStream): void {
    this.#scheduler.add(stream);
    this.wake();
  }

  wake(): void {
    this.#options.connection.wake();
  }

  read(stream: QuicStream): void {
    this.#options.connection.run((native) => stream.receive(native, this.#slab));
  }

  received(bytes: number): void {
    this.#hasReceived = true;
    this.#options.connection.carried(bytes);
  }

  sent(bytes: number): void {
    this.#hasSent = true;
    this.#options.connection.carried(bytes);
  }

  closed(stream: QuicStream, wasReset: boolean): void {
    this.#open -= 1;
    if (wasReset) this.#control.reset(stream.id);
  }

  finished(stream: QuicStream): void {
    this.#streams.delete(stream.id);
    if (this.#lastRead === stream) this.#lastRead = undefined;
    this.#scheduler.forget(stream);
    if (this.#streams.size === 0) this.#options.connection.use('streams', false);
  }

  /** Datagrams first; the greeting before all. */
  #receiveAll(native: QuicheConnection): void {
    const { onDatagrams } = this.#options;
    const wasGreeted = this.#control.greeted;
    if (wasGreeted && onDatagrams(native)) {
      this.#hasReceived = true;
      if (!native.isReadable()) return;
    }
    this.#read(native);
    if (!wasGreeted && this.#control.greeted) onDatagrams(native);
  }

  /** The stream that was read last is tried before all are asked for: that costs as much as two packets do. */
  #read(native: QuicheConnection): void {
    if (this.#over) return;
    if (this.#lastRead !== undefined) {
      this.#lastRead.receive(native, this.#slab);
      if (this.#over || !native.isReadable()) return;
    }
    for (const id of native.readable()) {
      if (this.#over) return;
      if (id === this.#control.theirs) this.#control.receive(native);
      else if (this.#control.greeted) this.#receive(native, id);
    }
  }

  #add(id: number): QuicStream {
    const stream = new QuicStream(this, id);
    if (this.#streams.size === 0) this.#options.connection.use('streams', true);
    this.#streams.set(id, stream);
    this.#open += 1;
    return stream;
  }

  #receive(native: QuicheConnection, id: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      this.#lastRead = stream;
      stream.receive(native, this.#slab);
    } else if (this.#doomed.delete(id)) this.#add(id).reset();
    else if (this.#peers.isNew(id)) this.#accept(id);
  }

  #accept(id: number): void {
    const isFull = this.#open >= this.#options.maxStreams;
    const stream = this.#add(id);
    if (isFull) stream.reset();
    else this.#options.onStream(stream);
  }

  #onReset(id: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) stream.kill();
    else if (this.#options.role === 'publisher') {
      if (this.#peers.isNew(id)) this.#doomed.add(id);
      if (this.#doomed.size > this.#options.maxStreams * STREAM_SLACK) {
        throw new ProtocolError('resets of streams that never come');
      }
    } else if (id >= this.#nextId) throw new ProtocolError(`reset of stream ${id}`);
  }
}
