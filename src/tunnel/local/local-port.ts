import { createSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { asUnderpassError, type UnderpassError } from '../../errors.ts';
import { listenError } from '../../net/listen-error.ts';
import type { Runtime } from '../../net/runtime.ts';
import { LocalListener } from './local-listener.ts';
import type { PlannedPort } from './local-plan.ts';

/** What takes a local application's datagrams. It listens once. */
export interface UdpPort {
  /** Binds the port and resolves with `host:port`. Rejects with `port_in_use` or `listen_failed`. */
  listen(host: string, port: number): Promise<string>;
  close(): void;
}

export interface LocalPortOptions {
  readonly runtime: Runtime;
  readonly host: string;
  /** @param number of the offered port */
  readonly onConnection: (socket: Socket, number: number) => void;
  /** How long one that comes while there is no path may wait, milliseconds; 10 s at least. */
  readonly patience?: () => number;
  /** Makes what takes the datagrams for the offered port with this number. */
  readonly udp: (number: number) => UdpPort;
}

type Wanted = Pick<PlannedPort, 'transport' | 'local'> & Partial<PlannedPort>;

/** One local port of a subscriber, over one transport. */
export class LocalPort {
  readonly #options: LocalPortOptions;
  #wanted: Wanted;
  #tcp: LocalListener | undefined;
  #udp: UdpPort | undefined;
  #listen: string | undefined;
  #linked = false;
  #closed = false;
  /** How often in a row it could not be opened. */
  failures = 0;

  constructor(options: LocalPortOptions, wanted: Wanted) {
    this.#options = options;
    this.#wanted = wanted;
  }

  /** As `host:port`; undefined while it is not open. */
  get listen(): string | undefined {
    return this.#listen;
  }

  get wanted(): Wanted {
    return this.#wanted;
  }

  /** Whether it can be the port that is wanted now, so that nobody is turned away. */
  fits({ transport, local, number }: PlannedPort): boolean {
    const mine = this.#wanted;
    if (mine.transport !== transport || mine.local !== local) return false;
    const same = mine.number === number || mine.number === undefined;
    // A TCP port asks for its number with each connection, what takes datagrams has it for good.
    return local === 0 || transport === 'udp' ? same : true;
  }

  become(planned: PlannedPort): void {
    this.#wanted = planned;
  }

  /**
   * Binds the port. Rejects with `port_in_use` or `listen_failed`, and can be tried again.
   * @param preferred to be taken where any is good and this one is free
   */
  async open(preferred = 0): Promise<void> {
    const { local } = this.#wanted;
    try {
      const listen = await this.#bind(local === 0 ? preferred : local).catch((error: UnderpassError) => {
        if (local !== 0 || preferred === 0) throw error;
        return this.#bind(0);
      });
      if (this.#closed) return this.#release();
      this.#listen = listen;
      this.failures = 0;
      if (this.#linked) this.#tcp?.open();
    } catch (error) {
      this.failures += 1;
      throw asUnderpassError(error);
    }
  }

  /** Whether there is a link for whoever connects. */
  set linked(linked: boolean) {
    this.#linked = linked;
    if (this.#listen === undefined) return;
    if (linked) this.#tcp?.open();
    else this.#tcp?.hold();
  }

  close(): void {
    this.#closed = true;
    // What is being bound is closed when it is.
    if (this.#listen !== undefined) this.#release();
    this.#listen = undefined;
  }

  #bind(port: number): Promise<string> {
    const { runtime, host, onConnection, patience, udp } = this.#options;
    if (this.#wanted.transport === 'udp') {
      this.#udp = udp(this.#wanted.number ?? 0);
      return this.#udp.listen(host, port);
    }
    const serve = (socket: Socket) => onConnection(socket, this.#wanted.number ?? 0);
    this.#tcp = new LocalListener(runtime, serve, patience);
    return this.#tcp.listen(host, port);
  }

  #release(): void {
    this.#tcp?.close();
    this.#udp?.close();
  }
}

/** Tells early that a UDP port is taken. Rejects with `port_in_use` or `listen_failed`. */
export function probeUdp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(listenError(error, host, port));
    });
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(resolve));
  });
}
