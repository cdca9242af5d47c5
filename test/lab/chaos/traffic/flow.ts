import { createSocket, type Socket } from 'node:dgram';
import { Random } from '../../../support/random.ts';
import { Pattern } from './pattern.ts';
import { Pauses } from './pauses.ts';
import { type Datagrams, NO_DATAGRAMS } from './said.ts';

const HEADER = 12;
/** Numbers of datagrams that are remembered, to tell the first echo of one from others. */
const REMEMBERED = 4096;

/** A datagram: flow, number, seed of the flow; then bytes that all of these decide. */
function datagram(flow: number, number: number, seed: number, size: number): Buffer {
  const header = Buffer.alloc(HEADER);
  [flow, number, seed].forEach((value, index) => {
    header.writeUInt32BE(value, 4 * index);
  });
  return Buffer.concat([header, new Pattern(seed ^ number).bytes(0, size - HEADER)]);
}

/** Whether it is as it was made. */
export function isWhole(message: Buffer): boolean {
  if (message.length < HEADER) return false;
  const seed = message.readUInt32BE(8) ^ message.readUInt32BE(4);
  return new Pattern(seed).mismatch(0, message.subarray(HEADER)) === undefined;
}

/** One UDP flow: a socket that sends numbered datagrams of mixed sizes, and counts what comes back. */
export class Flow {
  readonly pauses: Pauses;
  readonly #id: number;
  readonly #seed: number;
  readonly #random: Random;
  readonly #socket: Socket;
  /** Of those sent lately and not echoed: number to size. */
  readonly #awaited = new Map<number, number>();
  #connected = false;
  #counts = NO_DATAGRAMS;

  constructor(port: number, id: number, seed: number) {
    this.#id = id;
    this.#seed = seed;
    this.#random = new Random(seed);
    this.pauses = new Pauses('udp', id);
    this.#socket = createSocket('udp4');
    // A port that nobody has at the moment is a pause like any other.
    this.#socket.on('error', () => undefined);
    this.#socket.on('message', (message) => this.#take(message));
    this.#socket.connect(port, '127.0.0.1', () => {
      this.#connected = true;
    });
  }

  get counts(): Datagrams {
    return this.#counts;
  }

  /** Sends the next one. */
  tick(): void {
    if (!this.#connected) return;
    const number = this.#counts.sent;
    const dice = this.#random.integer(20);
    const size = dice === 0 ? 4000 : dice < 7 ? 1200 : 64;
    this.#awaited.set(number, size);
    this.#awaited.delete(number - REMEMBERED);
    this.#count('sent');
    this.#socket.send(datagram(this.#id, number, this.#seed, size), () => undefined);
  }

  close(): void {
    this.#socket.close();
  }

  #take(message: Buffer): void {
    if (!isWhole(message) || message.readUInt32BE(0) !== this.#id || message.readUInt32BE(8) !== this.#seed) {
      this.#count('corrupted');
      return;
    }
    const size = this.#awaited.get(message.readUInt32BE(4));
    if (size === undefined) {
      this.#count('duplicates');
      return;
    }
    this.#awaited.delete(message.readUInt32BE(4));
    this.#count(size === message.length ? 'echoed' : 'corrupted');
    this.pauses.moved();
  }

  #count(what: keyof Datagrams): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 };
  }
}

export function total(all: readonly Datagrams[]): Datagrams {
  const sum = (what: keyof Datagrams) => all.reduce((before, each) => before + each[what], 0);
  return {
    sent: sum('sent'),
    echoed: sum('echoed'),
    duplicates: sum('duplicates'),
    corrupted: sum('corrupted'),
  };
}
