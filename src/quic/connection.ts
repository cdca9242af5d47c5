import type { Instant } from '../machine.ts';
import type { Runtime } from '../net/runtime.ts';
import { Alarm } from './alarm.ts';
import {
  isQuicheError,
  type Quiche,
  type QuicheAddress,
  type QuicheConfig,
  type QuicheConnection,
} from './binding.ts';
import { PACKET_SIZE } from './config.ts';
import {
  type Ending,
  endingOf,
  failureOf,
  type Goodbye,
  isRefused,
  PROTOCOL_VIOLATION,
  ProtocolError,
} from './ending.ts';
import { Farewell } from './farewell.ts';
import { admits, ID_SIZE, isLong } from './gate.ts';
import { Pulse } from './pulse.ts';
import { Slab } from './slab.ts';
import { Waste } from './waste.ts';

export interface ConnectionOptions {
  readonly quiche: Quiche;
  readonly config: QuicheConfig;
  /** Whether we open it. */
  readonly isClient: boolean;
  readonly runtime: Runtime;
  /** An idle connection asks for a sign of life three times within this time, milliseconds. */
  readonly idleTimeout: number;
  /** True: the bytes are not needed any more, and may change. */
  send(packet: Buffer): boolean;
}

/** `more`: there is more to write at once. `received`: something has come, and nothing was written. */
export type TurnResult = 'more' | 'done' | 'received';

export interface ConnectionHandler {
  /** Packets or time have arrived, or `wake` was called. Read and write now. */
  onTurn(native: QuicheConnection): TurnResult;
  /** What there is to send has been sent, as far as it may be. */
  onSent(native: QuicheConnection): void;
  /** Nothing is heard from the peer any more, although it was asked; or it is heard again. */
  onSilence(silent: boolean): void;
  /** It is over: nothing is sent or received any more. Once. */
  onOver(ending: Ending): void;
}

/** Packets that may wait for their turn. A flood is dropped, and starves nobody. */
const MAX_WAITING = 1024;

/** Packets that are received and sent in one go, before others may use the event loop. */
const LONG_TURN = { packets: 128, sends: 256 };

/** The same beside datagrams, which somebody is waiting for: a fifth more work for what the streams carry. */
const SHORT_TURN = { packets: 32, sends: 16 };

/**
 * The acknowledgement of a single packet waits so long, milliseconds, for an answer that takes it along: it costs this end, and above
 * all the other, as much as the answer does. The peer expects it within 25 ms (RFC 9000 section 13.2.1).
 */
const ACK_DELAY = 10;

/** Packets sent at a time by whoever waits for answers, and not for room. */
const FEW_PACKETS = 4;

/** How often an idle connection asks for a sign of life, and once more, until it gives the peer up. */
const KEEPALIVES = 4;

/** Which address is in use is not quiche's business, so it knows one, and none of its code for several paths is ever used. */
const HERE: QuicheAddress = { host: '127.0.0.1', port: 1 };
const THERE: QuicheAddress = { host: '127.0.0.1', port: 2 };
const PATH = { from: THERE, to: HERE };

const NOTHING = Buffer.alloc(0);

/** Drives one connection of quiche's: packets in, packets out, timers, and its end. Works in turns of the event loop. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #handler: ConnectionHandler;
  readonly #id: Buffer;
  readonly #slab = new Slab();
  #native: QuicheConnection | undefined;
  #waiting: Buffer[] = [];
  #turn: NodeJS.Immediate | undefined;
  /** The next turn is not only for packets that have arrived. */
  #mustSend = false;
  /** Packets that have arrived since any were sent, and how many that were. */
  #unanswered = 0;
  #sent = 0;
  readonly #timeout: Alarm;
  readonly #acknowledgement: Alarm;
  readonly #pulse: Pulse;
  readonly #beat: Alarm;
  /** When packets arrived last, and how many of all so far had been the peer's when we looked last. */
  #arrivedAt: Instant;
  #genuine = 0;
  readonly #waste = new Waste();
  /** Who wants to know when the path dies; both together, and turns are short. */
  readonly #users = new Set<'streams' | 'datagrams'>();
  #turnSize = LONG_TURN;
  #pardonedAt: Instant;
  #sendFailure: Ending | undefined;
  #over = false;
  #farewell: Farewell | undefined;

  constructor(options: ConnectionOptions, handler: ConnectionHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#id = options.runtime.randomBytes(ID_SIZE);
    const now = options.runtime.now();
    this.#arrivedAt = now;
    this.#pardonedAt = now;
    this.#pulse = new Pulse(options.idleTimeout / KEEPALIVES, now);
    this.#timeout = new Alarm(options.runtime, () => {
      this.#native?.onTimeout();
      this.wake();
    });
    this.#acknowledgement = new Alarm(options.runtime, () => this.#unanswered > 0 && this.wake());
    this.#beat = new Alarm(options.runtime, () => this.#onBeat());
    this.#setBeat();
    if (options.isClient) {
      const { quiche, config } = options;
      this.#native = quiche.Connection.connect(null, this.#id, HERE, THERE, config);
      this.wake();
    }
  }

  /** A packet has arrived. False where it is not for this connection; otherwise the bytes are ours from now on. */
  receive(packet: Buffer): boolean {
    if (!admits(packet, this.#id, isLong(packet) && this.#isOpening())) return false;
    if (this.#over) {
      const answer = this.#farewell?.answer();
      if (answer !== undefined) this.#options.send(answer);
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(packet);
      this.#plan();
    }
    return true;
  }

  /** Whether the peer may still be under the id that it has made up for us. */
  #isOpening(): boolean {
    return !this.#options.isClient && !this.#over && !this.#native?.isEstablished();
  }

  /** Streams or datagrams have received or sent so many bytes. @param datagrams how many that were */
  carried(bytes: number, datagrams = 0): void {
    this.#waste.carried(bytes, datagrams);
    if (bytes > 0 && this.#pulse.carried(() => this.#options.runtime.now())) this.#setBeat();
  }

  /** Streams, or datagrams, are in use from now on, or no longer: only while any are is it silence when nothing is heard. */
  use(what: 'streams' | 'datagrams', inUse: boolean): void {
    const before = this.#users.size;
    if (inUse) this.#users.add(what);
    else this.#users.delete(what);
    this.#turnSize = this.#users.size === 2 ? SHORT_TURN : LONG_TURN;
    if (before > 0 && this.#users.size > 0) return;
    this.#pulse.watch(inUse, this.#options.runtime.now());
    this.#setBeat();
  }

  /** Asks for a turn, because there is something to send or to read. */
  wake(): void {
    this.#mustSend = true;
    this.#plan();
  }

  #plan(): void {
    if (this.#over) return;
    this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  /** Does something with quiche, unless it is over; what the peer has broken ends it. */
  run<Result>(action: (native: QuicheConnection) => Result): Result | undefined {
    const native = this.#native;
    if (native === undefined) return undefined;
    try {
      return action(native);
    } catch (error) {
      if (!isQuicheError(error) && !(error instanceof ProtocolError)) throw error;
      const { app, code } = PROTOCOL_VIOLATION;
      native.close(app, code, NOTHING);
      this.#finish(failureOf(native, error));
      return undefined;
    }
  }

  /** Says goodbye with a code. `onOver` is not called. */
  close({ app, code }: Goodbye): void {
    if (this.#over) return;
    // A client that refuses a certificate says so where the server can read it: behind the handshake.
    if (!app) this.#flush();
    this.#native?.close(app, code, NOTHING);
    this.#stop();
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const mustSend = this.#mustSend;
    this.#mustSend = false;
    const failure = this.#takePackets();
    if (failure !== undefined) {
      this.#finish(failure);
      return;
    }
    if (this.#pulse.silent) this.#feel();
    const native = this.#native;
    if (native === undefined) return;
    const result = this.run((native) => {
      const result = this.#handler.onTurn(native);
      if (this.#waste.isTooMuch(() => native.stats().recv))
        throw new ProtocolError('a flood that carries nothing');
      return result;
    });
    // Not before applications have been given what has come for them: that is what they wait for, and not an acknowledgement.
    process.nextTick(() => this.#endTurn(native, mustSend, result));
  }

  #endTurn(native: QuicheConnection, mustSend: boolean, result: TurnResult | undefined): void {
    // The handler may have closed it.
    if (this.#over) return;
    const mayWait = !mustSend && result === 'received' && this.#unanswered === 1 && this.#sent <= FEW_PACKETS;
    const sendsLeft = !mayWait && this.#flush();
    if (mayWait) this.#acknowledgement.set(ACK_DELAY);
    else this.run((native) => this.#handler.onSent(native));
    if (this.#over) return;
    const ending = this.#sendFailure ?? endingOf(native);
    if (ending !== undefined) {
      this.#finish(ending);
      return;
    }
    if (result === 'more' || sendsLeft) this.wake();
    else if (this.#waiting.length > 0) this.#plan();
    const timeout = native.timeout();
    // quiche cuts its fractions off; whoever comes a millisecond early comes twice.
    if (timeout !== null) this.#timeout.set(timeout + 1);
  }

  #takePackets(): Ending | undefined {
    const packets = this.#waiting.splice(0, this.#turnSize.packets);
    this.#unanswered += packets.length;
    if (packets.length > 0) this.#arrivedAt = this.#options.runtime.now();
    for (const packet of packets) {
      this.#waste.arrived(packet.length);
      const native = this.#native ?? this.#accept();
      try {
        native.recv(packet, PATH);
      } catch (error) {
        // Before the first good packet, a bad one proves nothing about the peer. One that TLS refuses was good.
        if (this.#native === undefined && !isRefused(native)) continue;
        this.#native = native;
        return failureOf(native, error);
      }
      this.#native = native;
    }
    return undefined;
  }

  #accept(): QuicheConnection {
    const { quiche, config } = this.#options;
    return quiche.Connection.accept(this.#id, null, HERE, THERE, config);
  }

  /** Sends what there is to send; true when there is more. */
  #flush(): boolean {
    this.#unanswered = 0;
    for (this.#sent = 0; this.#sent < this.#turnSize.sends; this.#sent++) {
      const packet = this.#nextPacket();
      if (packet === undefined) return false;
      if (!this.#options.send(packet)) this.#slab.take(packet.length);
    }
    return true;
  }

  #nextPacket(): Buffer | undefined {
    if (this.#native === undefined || this.#sendFailure !== undefined) return undefined;
    try {
      const room = this.#slab.room(PACKET_SIZE);
      const sent = this.#native.send(room);
      return sent === null ? undefined : room.subarray(0, sent[0]);
    } catch (error) {
      this.#sendFailure = failureOf(this.#native, error);
      return undefined;
    }
  }

  #onBeat(): void {
    const { runtime, idleTimeout } = this.#options;
    const now = runtime.now();
    if (now - this.#pardonedAt >= idleTimeout / KEEPALIVES) {
      this.#pardonedAt = now;
      this.#waste.pardon();
    }
    this.#feel((native) => {
      const asks = this.#pulse.poll(now, () => native.pathStats()[0]?.rtt);
      if (!asks || !native.isEstablished()) return;
      native.sendAckEliciting();
      this.wake();
    });
    if (!this.#over) this.#setBeat();
  }

  #setBeat(): void {
    this.#beat.set(this.#pulse.wakeAt - this.#options.runtime.now());
  }

  /** Looks whether what arrived was the peer's, which costs more than a packet does: so it is seldom done. Then acts on it. */
  #feel(act: (native: QuicheConnection) => void = () => {}): void {
    const { silent } = this.#pulse;
    this.run((native) => {
      const { recv } = native.stats();
      if (recv !== this.#genuine) this.#pulse.heard(this.#arrivedAt);
      this.#genuine = recv;
      act(native);
    });
    if (!this.#over && this.#pulse.silent !== silent) this.#handler.onSilence(!silent);
  }

  #finish(ending: Ending): void {
    if (this.#over) return;
    this.#stop();
    this.#handler.onOver(ending);
  }

  #stop(): void {
    for (let packet = this.#nextPacket(); packet !== undefined; packet = this.#nextPacket()) {
      this.#slab.take(packet.length);
      this.#farewell = new Farewell(packet);
      this.#options.send(packet);
    }
    this.#over = true;
    this.#native = undefined;
    this.#waiting = [];
    clearImmediate(this.#turn);
    this.#timeout.cancel();
    this.#acknowledgement.cancel();
    this.#beat.cancel();
  }
}
