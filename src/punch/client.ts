import type { Logger } from '../log.ts';
import { Driver } from '../net/driver.ts';
import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import type { Runtime } from '../net/runtime.ts';
import { SharedSocket, type SocketShare } from '../net/shared-socket.ts';
import { UdpSocket } from '../net/udp-socket.ts';
import { PunchAgent } from './agent.ts';
import { MAIN_SOCKET, type PunchOptions, type PunchOutput, type SelectedPath } from './agent-types.ts';
import type { PeerCandidate } from './remotes.ts';
import type { FailureReason, Prediction } from './round.ts';
import type { PunchStep } from './strategy.ts';

/** The sockets that servers have measured, by family. */
export type MainSockets = Readonly<Partial<Record<4 | 6, SharedSocket>>>;

export interface PuncherOptions extends Omit<PunchOptions, 'families' | 'randomBytes'> {
  readonly sockets: MainSockets;
  readonly runtime: Runtime;
  readonly log: Logger;
}

export interface PuncherHandler {
  /** To be told to the peer. */
  onPredicted(prediction: Prediction): void;
  /** To be told to the server: from here on, "go" may come. */
  onArmed(): void;
  /** There is a path, or it has moved. */
  onSelected(path: Omit<SelectedPath, 'socket'>): void;
  /** A step has come to nothing; there may be another one. */
  onFailed(reason: FailureReason): void;
  /** The path is dead, and the puncher closed. */
  onLost(): void;
  /** A QUIC packet of the peer's, by the selected path. Whether it was for this link. */
  onPacket(packet: Buffer): boolean;
}

/** Addresses of the peer's from which packets are taken after it has moved: some are still on their way from the one before. */
const MAX_REMOTES = 2;

interface Selected {
  readonly share: SocketShare;
  readonly remote: Endpoint;
}

/** Runs an agent on sockets, and carries packets on the path that it has found. */
export class Puncher {
  readonly #options: PuncherOptions;
  readonly #handler: PuncherHandler;
  readonly #agent: PunchAgent;
  readonly #driver: Driver<PunchOutput>;
  readonly #shares = new Map<number, SocketShare>();
  /** The latest last. */
  #selected: readonly Selected[] = [];
  #closed = false;

  constructor(options: PuncherOptions, handler: PuncherHandler) {
    const { sockets, runtime } = options;
    this.#options = options;
    this.#handler = handler;
    const families = ([4, 6] as const).filter((family) => sockets[family] !== undefined);
    const randomBytes = (size: number) => runtime.randomBytes(size);
    this.#agent = new PunchAgent({ ...options, families, randomBytes });
    this.#driver = new Driver(this.#agent, runtime, (output) => this.#perform(output));
    for (const family of families) {
      const socket = sockets[family];
      if (socket !== undefined) this.#use(MAIN_SOCKET[family], socket);
    }
  }

  addCandidate(candidate: PeerCandidate): void {
    this.#input((now) => this.#agent.addCandidate(candidate, now));
  }

  predict(prediction: Prediction): void {
    this.#input((now) => this.#agent.predict(prediction, now));
  }

  /** @param vouched addresses at which our own server has seen the peer */
  arm(step: PunchStep, vouched: readonly string[] = []): void {
    this.#input((now) => this.#agent.arm(step, now, vouched));
  }

  go(): void {
    this.#input((now) => this.#agent.go(now));
  }

  /** Our own network has changed, or QUIC hears nothing: `onLost` within 1.5 s, unless the peer answers. */
  check(): void {
    this.#input((now) => this.#agent.check(now));
  }

  /** Sends a packet by the selected path. Without one, or after `close`, it is dropped. False: the bytes must not change. */
  send(packet: Buffer): boolean {
    const path = this.#selected.at(-1);
    return path === undefined || path.share.send(packet, path.remote);
  }

  /** Nothing is sent or heard any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#agent.close();
    this.#driver.stop();
    this.#selected = [];
    for (const share of this.#shares.values()) share.close();
    this.#shares.clear();
  }

  #input(give: (now: number) => void): void {
    if (this.#closed) return;
    give(this.#options.runtime.now());
    this.#driver.pump();
  }

  #perform(output: PunchOutput): void {
    switch (output.type) {
      case 'send': {
        const { socket, bytes, to, ttl } = output;
        this.#shares.get(socket)?.send(bytes, to, ttl === undefined ? {} : { ttl });
        break;
      }
      case 'open':
        void this.#open(output.socket, output.family);
        break;
      case 'close':
        this.#shares.get(output.socket)?.close();
        this.#shares.delete(output.socket);
        break;
      case 'predicted':
        this.#handler.onPredicted(output.prediction);
        break;
      case 'armed':
        this.#handler.onArmed();
        break;
      case 'selected':
        this.#select(output);
        break;
      case 'failed':
        this.#handler.onFailed(output.reason);
        break;
      case 'lost':
        this.close();
        this.#handler.onLost();
        break;
    }
  }

  async #open(id: number, family: 4 | 6): Promise<void> {
    let socket: UdpSocket;
    try {
      socket = await UdpSocket.open({ family });
    } catch (error) {
      this.#options.log.debug('a socket could not be opened', { problem: String(error) });
      this.#input((now) => this.#agent.failed(id, now));
      return;
    }
    if (this.#closed) return socket.close();
    this.#use(id, new SharedSocket(socket));
    this.#input((now) => this.#agent.opened(id, socket.local.port, now));
  }

  #use(id: number, socket: SharedSocket): void {
    const share = socket.share();
    this.#shares.set(id, share);
    share.onPacket('stun', (bytes, from) => {
      this.#input((now) => this.#agent.receive(id, from, bytes, now));
    });
  }

  /** Only a pair that has answered a fresh probe is selected: what comes from anywhere else does not get to QUIC. */
  #select({ socket, remote, strategy, rtt }: SelectedPath): void {
    const share = this.#shares.get(socket);
    if (share === undefined) return;
    const known = this.#selected.filter((path) => path.share !== share || !sameEndpoint(path.remote, remote));
    for (const old of known.slice(0, -(MAX_REMOTES - 1))) old.share.onPeer(old.remote, undefined);
    this.#selected = [...known.slice(-(MAX_REMOTES - 1)), { share, remote }];
    share.onPeer(remote, (packet) => {
      const isOurs = this.#handler.onPacket(packet);
      // Whoever sends under our connection id wants what we send.
      if (isOurs) this.#agent.alive();
      return isOurs;
    });
    this.#handler.onSelected({ strategy, remote, rtt });
  }
}
