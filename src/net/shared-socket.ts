import type { Endpoint } from './endpoint.ts';
import type { PacketKind } from './packet-kind.ts';
import type { DatagramSocket, PacketHandler, SendOptions } from './udp-socket.ts';

/** One user's part in a socket. Closing it leaves the others theirs. */
export interface SocketShare extends DatagramSocket {
  /** Who is offered the QUIC packets that come from there; nobody gets any others. */
  onPeer(remote: Endpoint, handler: PeerHandler | undefined): void;
}

/** Takes a packet, or says that it is not for this one: a peer can have several connections from one address. */
export type PeerHandler = (packet: Buffer) => boolean;

interface Peer {
  readonly share: Share;
  readonly handler: PeerHandler;
}

/**
 * One UDP socket and all who use it: a NAT's mapping belongs to the socket, so that STUN, probes and the QUIC of every peer go through
 * the same one. It is closed when the last share has been.
 */
export class SharedSocket {
  readonly #socket: DatagramSocket;
  readonly #shares = new Set<Share>();
  /** By address and port, the newest first. */
  readonly #peers = new Map<string, readonly Peer[]>();

  /** @param socket this object's alone from now on */
  constructor(socket: DatagramSocket) {
    this.#socket = socket;
    for (const kind of ['stun', 'other'] as const) {
      socket.onPacket(kind, (bytes, from) => {
        for (const share of [...this.#shares]) share.handlers.get(kind)?.(bytes, from);
      });
    }
    socket.onPacket('quic', (bytes, from) => {
      for (const { handler } of this.#peers.get(keyOf(from)) ?? []) if (handler(bytes)) return;
    });
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  share(): SocketShare {
    const share = new Share(this.#socket, {
      onPeer: (remote, handler) => this.#onPeer(share, remote, handler),
      onClose: () => this.#leave(share),
    });
    this.#shares.add(share);
    return share;
  }

  #onPeer(share: Share, remote: Endpoint, handler: PeerHandler | undefined): void {
    const key = keyOf(remote);
    const others = (this.#peers.get(key) ?? []).filter((peer) => peer.share !== share);
    const peers = handler === undefined ? others : [{ share, handler }, ...others];
    if (peers.length > 0) this.#peers.set(key, peers);
    else this.#peers.delete(key);
  }

  #leave(share: Share): void {
    this.#shares.delete(share);
    for (const [key, peers] of this.#peers) {
      const others = peers.filter((peer) => peer.share !== share);
      if (others.length > 0) this.#peers.set(key, others);
      else this.#peers.delete(key);
    }
    if (this.#shares.size === 0) this.#socket.close();
  }
}

interface ShareOwner {
  onPeer(remote: Endpoint, handler: PeerHandler | undefined): void;
  onClose(): void;
}

class Share implements SocketShare {
  readonly handlers = new Map<PacketKind, PacketHandler>();
  readonly #socket: DatagramSocket;
  readonly #owner: ShareOwner;
  #closed = false;

  constructor(socket: DatagramSocket, owner: ShareOwner) {
    this.#socket = socket;
    this.#owner = owner;
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  onPacket(kind: PacketKind, handler: PacketHandler | undefined): void {
    if (handler === undefined || this.#closed) this.handlers.delete(kind);
    else this.handlers.set(kind, handler);
  }

  onPeer(remote: Endpoint, handler: PeerHandler | undefined): void {
    if (!this.#closed) this.#owner.onPeer(remote, handler);
  }

  send(bytes: Buffer, to: Endpoint, options?: SendOptions): boolean {
    return this.#closed || this.#socket.send(bytes, to, options);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.handlers.clear();
    this.#owner.onClose();
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
