import type { Socket } from 'node:dgram';
import type { Instant } from '../../machine.ts';
import type { Budget } from '../../net/budget.ts';
import type { Runtime } from '../../net/runtime.ts';
import { MAX_PAYLOAD } from './datagram-frame.ts';
import { createDatagramSocket, isCongested, isPassing, widen } from './datagram-socket.ts';
import type { UdpTarget } from './udp-target.ts';

/** A service that does not refuse for so long is there, though it says nothing. Milliseconds. */
const TRIAL = 1000;

/** Payloads that wait for the socket, or are kept to be sent to another address if this one refuses them. */
const MAX_KEPT = 16;

/** After all addresses have refused, or a socket could not be made, so long until the next try: milliseconds. */
const REFUSED_PAUSE = 50;
const FAILED_PAUSE = 1000;

export interface ServiceFlowOptions {
  readonly runtime: Runtime;
  readonly target: UdpTarget;
  /** For what is kept. */
  readonly budget: Budget;
  /** What the service is to find before the payload that it hears first. */
  readonly prefix: () => Buffer | undefined;
  /** The service has sent this. */
  readonly onMessage: (payload: Buffer) => void;
}

/**
 * One flow's socket at the publisher, connected to the service. Where the service has several addresses, those that refuse are
 * passed over; a service that is not there yet is tried with each payload.
 */
export class ServiceFlow {
  readonly #options: ServiceFlowOptions;
  /** Connected. */
  #socket: Socket | undefined;
  #starting = false;
  #closed = false;
  #addresses: readonly string[] = [];
  /** The address in use, and how many have refused what is kept. */
  #index = 0;
  #refusals = 0;
  #needsPrefix = true;
  /** The service has answered, or has had time to refuse. */
  #steady = false;
  #trialEnd: Instant = 0;
  #notBefore: Instant = Number.NEGATIVE_INFINITY;
  #kept: Buffer[] = [];
  #dropped = 0;

  constructor(options: ServiceFlowOptions) {
    this.#options = options;
  }

  /** Payloads that the service was not given. */
  get dropped(): number {
    return this.#dropped;
  }

  send(payload: Buffer): void {
    const socket = this.#socket;
    if (this.#steady && socket !== undefined) {
      this.#transmit(socket, payload);
      return;
    }
    if (this.#closed) return;
    this.#keep(payload);
    if (socket === undefined) void this.#start();
    else {
      this.#transmit(socket, payload);
      if (this.#options.runtime.now() >= this.#trialEnd) this.#settle();
    }
  }

  close(): void {
    this.#closed = true;
    this.#steady = false;
    this.#forgetKept();
    this.#discard();
  }

  /** From here on nothing is kept. */
  #settle(): void {
    this.#steady = true;
    this.#forgetKept();
  }

  #keep(payload: Buffer): void {
    if (this.#kept.length >= MAX_KEPT) this.#dropOldest();
    if (this.#options.budget.reserve(payload.length)) this.#kept.push(payload);
    else if (this.#socket === undefined) this.#dropped += 1;
  }

  #dropOldest(): void {
    const oldest = this.#kept.shift();
    if (oldest === undefined) return;
    this.#options.budget.release(oldest.length);
    if (this.#socket === undefined) this.#dropped += 1;
  }

  #forgetKept(): void {
    for (const { length } of this.#kept) this.#options.budget.release(length);
    this.#kept = [];
  }

  async #start(): Promise<void> {
    const { runtime, target } = this.#options;
    if (this.#starting || runtime.now() < this.#notBefore) return;
    this.#starting = true;
    this.#addresses = await target.addresses();
    this.#starting = false;
    if (this.#closed) return;
    this.#refusals = 0;
    this.#index = 0;
    if (this.#addresses.length > 0) this.#connect();
    else this.#pause(FAILED_PAUSE);
  }

  #connect(): void {
    const address = this.#addresses[this.#index] as string;
    const { target, onMessage, runtime } = this.#options;
    const socket = createDatagramSocket(address);
    let connected = false;
    this.#starting = true;
    socket.on('error', (error) => {
      if (connected) this.#onError(socket, error);
      else {
        socket.close();
        this.#starting = false;
        if (!this.#closed) this.#tryNext();
      }
    });
    socket.on('message', (payload) => {
      // A socket that has been given up may have had an answer on the way.
      if (socket !== this.#socket) return;
      if (!this.#steady) {
        this.#settle();
        target.answered(address);
      }
      this.#refusals = 0;
      onMessage(payload);
    });
    socket.once('connect', () => {
      connected = true;
      this.#starting = false;
      if (this.#closed) {
        socket.close();
        return;
      }
      widen(socket);
      this.#socket = socket;
      this.#needsPrefix = true;
      this.#trialEnd = runtime.now() + TRIAL;
      for (const payload of this.#kept) this.#transmit(socket, payload);
    });
    socket.connect(target.port, address);
  }

  #transmit(socket: Socket, payload: Buffer): void {
    try {
      if (isCongested(socket)) {
        this.#dropped += 1;
        return;
      }
      if (this.#needsPrefix) this.#introduce(socket, payload);
      // The system may tell the sender of a refusal, but then of this one only: without a callback nobody hears of it.
      else if (this.#steady) socket.send(payload);
      else socket.send(payload, (error) => error && this.#onError(socket, error));
    } catch (error) {
      this.#onError(socket, error as NodeJS.ErrnoException);
    }
  }

  /** Sends the prefix with it. If that does not go out, it goes with the next one: or a peer could write a prefix of its own. */
  #introduce(socket: Socket, payload: Buffer): void {
    const prefix = this.#options.prefix() ?? NOTHING;
    if (prefix.length + payload.length > MAX_PAYLOAD) {
      this.#dropped += 1;
      return;
    }
    this.#needsPrefix = false;
    socket.send(Buffer.concat([prefix, payload]), (error) => {
      if (!error) return;
      if (socket === this.#socket) this.#needsPrefix = true;
      this.#onError(socket, error);
    });
  }

  #onError(socket: Socket, error: NodeJS.ErrnoException): void {
    if (socket !== this.#socket) return;
    if (REFUSALS.has(error.code ?? '')) {
      this.#onRefusal();
    } else if (!isPassing(error)) {
      this.#discard();
      this.#pause(FAILED_PAUSE);
    }
  }

  /** Nobody listens there, or not any more. Whoever does next knows nothing of this flow. */
  #onRefusal(): void {
    const wasThere = this.#steady;
    this.#steady = false;
    this.#needsPrefix = true;
    this.#trialEnd = this.#options.runtime.now() + TRIAL;
    if (this.#addresses.length > 1 && !wasThere) {
      this.#tryNext();
      return;
    }
    // The next payload looks for it again, from the address that has answered.
    if (wasThere && this.#addresses.length > 1) this.#discard();
    this.#forgetKept();
    this.#options.target.unreachable();
  }

  /** What is kept goes to the next address. When all have refused it, it is lost, and the next payload goes round again. */
  #tryNext(): void {
    this.#discard();
    this.#refusals += 1;
    this.#index = (this.#index + 1) % this.#addresses.length;
    if (this.#refusals < this.#addresses.length) this.#connect();
    else {
      this.#pause(REFUSED_PAUSE);
      this.#options.target.unreachable();
    }
  }

  /** A flood towards a service that is not there would make nothing but sockets. */
  #pause(time: number): void {
    this.#steady = false;
    this.#dropped += this.#kept.length;
    this.#forgetKept();
    this.#notBefore = this.#options.runtime.now() + time;
  }

  #discard(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    try {
      socket?.close();
    } catch {
      // It was what has failed.
    }
  }
}

const NOTHING = Buffer.alloc(0);

/** What comes back where nobody listens; Windows calls it a reset. */
const REFUSALS = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN']);
