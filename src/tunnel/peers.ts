import type { Runtime, Timer } from '../net/runtime.ts';
import type { LinkPath } from './link/link.ts';

/** Somebody who is connected to a publisher. `--json` prints it as it is. */
export interface PeerStatus {
  /** The link's short name. */
  readonly peer: string;
  /** The fingerprint of its key. */
  readonly identity: string;
  /** Its IP address: where its direct path leads, or what the server says. */
  readonly address: string;
  /** Whether that is only what the server says. */
  readonly address_claimed: boolean;
  /** Null while there is no path. */
  readonly kind: 'relayed' | 'direct' | null;
  /** How a direct path was found. */
  readonly strategy: string | null;
  /** For how long it has been connected. */
  readonly seconds: number;
  /** What has come from it for the service, and gone to it. */
  readonly bytes_in: number;
  readonly bytes_out: number;
  /** TCP connections that are open. */
  readonly connections: number;
  /** UDP flows that are. */
  readonly flows: number;
}

/** Counts what one peer does. Whoever serves it keeps it up to date. */
export class PeerMeter {
  bytesIn = 0;
  bytesOut = 0;
  connections = 0;
  flowsOf = (): number => 0;
}

/** What the table asks of a link. */
export interface PeerLink {
  readonly path: LinkPath | undefined;
  close(): void;
}

export interface PeerArrival {
  readonly identity: string;
  /** What the server says of its address. */
  readonly address: string;
  readonly link: PeerLink;
  readonly meter: PeerMeter;
}

/** Where a peer is, as far as this side knows. */
export interface PeerAddress {
  readonly address: string;
  /** 0 where it is not known. */
  readonly port: number;
  /** Whether it is only what the server says. */
  readonly claimed: boolean;
}

/** How often a change is told, milliseconds. */
const TELL_EVERY = 60_000;

interface Peer extends PeerArrival {
  readonly since: number;
}

/** Who is connected to a publisher. */
export class Peers {
  readonly #runtime: Runtime;
  readonly #onChange: (peers: readonly PeerStatus[]) => void;
  readonly #peers = new Map<string, Peer>();
  #timer: Timer | undefined;
  #told = '';

  /** @param onChange called once a minute while somebody is connected and something but the time has changed */
  constructor(runtime: Runtime, onChange: (peers: readonly PeerStatus[]) => void) {
    this.#runtime = runtime;
    this.#onChange = onChange;
  }

  has(peer: string): boolean {
    return this.#peers.has(peer);
  }

  /** Somebody has connected. @param peer a name that nobody else has now */
  add(peer: string, arrival: PeerArrival): void {
    this.#peers.set(peer, { ...arrival, since: this.#runtime.now() });
    this.#schedule();
  }

  /** Its link is over. Returns what there was to say of it at last; undefined when it was not there. */
  remove(peer: string): PeerStatus | undefined {
    const known = this.#peers.get(peer);
    if (known === undefined) return undefined;
    this.#peers.delete(peer);
    if (this.#peers.size === 0) this.stop();
    return this.#statusOf(peer, known);
  }

  list(): readonly PeerStatus[] {
    return Array.from(this.#peers, ([peer, known]) => this.#statusOf(peer, known));
  }

  /** Ends its link. False: there is nobody of that name. */
  close(peer: string): boolean {
    const known = this.#peers.get(peer);
    known?.link.close();
    return known !== undefined;
  }

  /** Tells nothing more by itself. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#told = '';
  }

  #schedule(): void {
    this.#timer ??= this.#runtime.setTimer(TELL_EVERY, () => {
      this.#timer = undefined;
      const peers = this.list();
      const told = JSON.stringify(peers.map(({ seconds: _, ...what }) => what));
      if (told !== this.#told) this.#onChange(peers);
      this.#told = told;
      if (this.#peers.size > 0) this.#schedule();
    });
  }

  #statusOf(peer: string, { identity, address: claim, link, meter, since }: Peer): PeerStatus {
    const { path } = link;
    const { address, claimed } = addressOf(path, claim);
    return {
      ...{ peer, identity, address, address_claimed: claimed },
      kind: path === undefined || path.kind === 'none' ? null : path.kind,
      strategy: path?.kind === 'direct' ? path.strategy : null,
      seconds: Math.round((this.#runtime.now() - since) / 1000),
      bytes_in: meter.bytesIn,
      bytes_out: meter.bytesOut,
      connections: meter.connections,
      flows: meter.flowsOf(),
    };
  }
}

/** Where a direct path leads, whose peer has answered from there; else what the server says. */
export function addressOf(path: LinkPath | undefined, claim: string): PeerAddress {
  if (path?.kind === 'direct') {
    const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(path.remote) ?? [];
    if (address !== undefined) return { address, port: Number(port), claimed: false };
  }
  return { address: claim, port: 0, claimed: true };
}
