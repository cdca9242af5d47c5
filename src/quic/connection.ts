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
import { type Ending, endingOf, failureOf, isRefused, PROTOCOL_VIOLATION, ProtocolError } from './ending.ts';
import { Farewell } from './farewell.ts';
import { admits, ID_SIZE } from './gate.ts';
import { Slab } from './slab.ts';
import { Waste } from './waste.ts';

export interface ConnectionOptions {
  readonly quiche: Quiche;
  readonly config: QuicheConfig;
  /** Whether we open it. */
  readonly isClient: boolean;
  readonly runtime: Runtime;
  /** A quiet connection asks for a sign of life three times within this time, milliseconds. */
  readonly idleTimeout: number;
  send(packet: Buffer): void;
}

export interface ConnectionHandler {
  /** Packets or time have arrived, or `wake` was called. Read and write now. True: there is more to write at once. */
  onTurn(native: QuicheConnection): boolean;
  /** It is over: nothing is sent or received any more. Once. */
  onOver(ending: Ending): void;
}

/** Packets that may wait for their turn, and how many get theirs at a time. A flood is dropped, and starves nobody. */
const MAX_WAITING = 1024;
const PACKETS_A_TURN = 128;

/** Packets sent in one go, before others may use the event loop. */
const SENDS_A_TURN = 256;

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
  readonly #timeout: Alarm;
  readonly #keepalive: Alarm;
  #heardAt: Instant;
  readonly #waste = new Waste();
  #sendFailure: Ending | undefined;
  #over = false;
  #farewell: Farewell | undefined;

  constructor(options: ConnectionOptions, handler: ConnectionHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#id = options.runtime.randomBytes(ID_SIZE);
    this.#heardAt = options.runtime.now();
    this.#timeout = new Alarm(options.runtime, () => {
      this.#native?.onTimeout();
      this.wake();
    });
    this.#keepalive = new Alarm(options.runtime, () => this.#keepAlive());
    this.#keepalive.set(options.idleTimeout / 3);
    if (options.isClient) {
      const { quiche, config } = options;
      this.#native = quiche.Connection.connect(null, this.#id, HERE, THERE, config);
      this.wake();
    }
  }

  /** A packet has arrived. The bytes are ours from now on. */
  receive(packet: Buffer): void {
    if (this.#over) {
      const answer = this.#farewell?.answer();
      if (answer !== undefined) this.#options.send(answer);
      return;
    }
    if (this.#waiting.length >= MAX_WAITING || !admits(packet, this.#id, !this.#options.isClient)) return;
    this.#waiting.push(packet);
    this.wake();
  }

  /** Streams have received or sent so many bytes. */
  carried(bytes: number): void {
    this.#waste.carried(bytes);
  }

  /** Asks for a turn. */
  wake(): void {
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
  close({ app, code }: { readonly app: boolean; readonly code: number }): void {
    if (this.#over) return;
    // A client that refuses a certificate says so where the server can read it: behind the handshake.
    if (!app) this.#flush();
    this.#native?.close(app, code, NOTHING);
    this.#stop();
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const failure = this.#takePackets();
    if (failure !== undefined) {
      this.#finish(failure);
      return;
    }
    const native = this.#native;
    if (native === undefined) return;
    const more = this.run((native) => {
      const more = this.#handler.onTurn(native);
      if (this.#waste.isTooMuch(() => native.stats().recv))
        throw new ProtocolError('a flood that carries nothing');
      return more;
    });
    // The handler may have closed it.
    if (this.#over) return;
    const sendsLeft = this.#flush();
    const ending = this.#sendFailure ?? endingOf(native);
    if (ending !== undefined) {
      this.#finish(ending);
      return;
    }
    if (more || sendsLeft || this.#waiting.length > 0) this.wake();
    const timeout = native.timeout();
    // quiche cuts its fractions off; whoever comes a millisecond early comes twice.
    if (timeout !== null) this.#timeout.set(timeout + 1);
  }

  #takePackets(): Ending | undefined {
    const packets = this.#waiting.splice(0, PACKETS_A_TURN);
    if (packets.length > 0) this.#heardAt = this.#options.runtime.now();
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
    for (let i = 0; i < SENDS_A_TURN; i++) {
      const packet = this.#nextPacket();
      if (packet === undefined) return false;
      this.#options.send(packet);
    }
    return true;
  }

  #nextPacket(): Buffer | undefined {
    if (this.#native === undefined || this.#sendFailure !== undefined) return undefined;
    try {
      const sent = this.#native.send(this.#slab.room(PACKET_SIZE));
      return sent === null ? undefined : this.#slab.take(sent[0]);
    } catch (error) {
      this.#sendFailure = failureOf(this.#native, error);
      return undefined;
    }
  }

  #keepAlive(): void {
    const { runtime, idleTimeout } = this.#options;
    const interval = idleTimeout / 3;
    this.#keepalive.set(interval);
    if (runtime.now() - this.#heardAt < interval / 2) return;
    this.#waste.pardon();
    this.run((native) => native.isEstablished() && native.sendAckEliciting());
    this.wake();
  }

  #finish(ending: Ending): void {
    if (this.#over) return;
    this.#stop();
    this.#handler.onOver(ending);
  }

  #stop(): void {
    for (let packet = this.#nextPacket(); packet !== undefined; packet = this.#nextPacket()) {
      this.#farewell = new Farewell(packet);
      this.#options.send(packet);
    }
    this.#over = true;
    this.#native = undefined;
    this.#waiting = [];
    clearImmediate(this.#turn);
    this.#timeout.cancel();
    this.#keepalive.cancel();
  }
}
