import type { UnderpassError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { LinkMode } from '../signaling/offer.ts';
import type { Protocol } from '../signaling/offered-ports.ts';
import type { ServerConfig } from './config/server-config.ts';
import type { PortSpec } from './local/ports.ts';
import type { PeerStatus } from './peers.ts';

/** How to reach the server. */
export interface ClientOptions {
  /** `host`, `host:port`, `wss://…` or `ws://…`. */
  readonly server: string;
  readonly token?: string | undefined;
  /** Accept any certificate, and `ws://` to other machines. */
  readonly insecure?: boolean | undefined;
  /** SHA-256 of the server's certificate, 64 hex digits; colons and case do not matter. */
  readonly serverFingerprint?: string | undefined;
  /** Whether lost connections are built again. Default true. */
  readonly reconnect?: boolean | undefined;
  /** STUN servers besides the server's own: `host` or `host:port`, 3478 by default. */
  readonly stun?: readonly string[] | undefined;
  /** Whether the router is asked to forward a port (PCP, NAT-PMP, UPnP). Default true. */
  readonly portMapping?: boolean | undefined;
  /** Whether peers may be told this machine's addresses in its own network. Default true. */
  readonly lanAddresses?: boolean | undefined;
  /** Where identities and pins are kept. Default `~/.underpass`. */
  readonly stateDir?: string | undefined;
  readonly logger?: Logger | undefined;
}

/** What both ends of a tunnel may be told. */
interface TunnelOptions {
  readonly secret: string;
  /** What `localPort` carries. A publisher's default is `tcp`, a subscriber's whatever is offered. */
  readonly protocol?: Protocol | undefined;
  readonly mode?: LinkMode | undefined;
  /** Seconds that connections wait for another path when all are lost, 0 to 3600. Default 60. */
  readonly grace?: number | undefined;
  /** Seconds without a packet after which a UDP flow is forgotten, 1 to 86400. Default 60. */
  readonly udpIdle?: number | undefined;
  /** MiB that all connections of one link may hold each way, for applications and for acknowledgement, 4 to 1024. Default 64. */
  readonly buffers?: number | undefined;
}

/** One of `localPort` and `ports` is needed. */
export interface PublishOptions extends TunnelOptions {
  readonly name: string;
  /** Where the service runs. Default `localhost`. */
  readonly localHost?: string | undefined;
  readonly localPort?: number | undefined;
  /** `27015/udp`, `27015-27020/tcp+udp`, or several: `[25565, '24454/udp']`. Without a protocol they are TCP. */
  readonly ports?: PortSpec | undefined;
  /** Tells the service who connects: the PROXY protocol, version 2, goes before everything else. */
  readonly proxyProtocol?: 'v2' | undefined;
  /** Fingerprints of the only keys that may connect. */
  readonly allow?: readonly string[] | undefined;
  /** Fingerprints of keys that may not. */
  readonly deny?: readonly string[] | undefined;
}

/** One of `localPort` and `ports` is needed. */
export interface SubscribeOptions extends TunnelOptions {
  /** The name that the publisher chose. */
  readonly target: string;
  /** Where to listen. Default `127.0.0.1`. */
  readonly listenHost?: string | undefined;
  /** For the first port that is offered; the others keep their distance from it. 0 lets the system choose each. */
  readonly localPort?: number | undefined;
  /** `8000`, `same` (as they are offered) or `0`, with `/tcp`, `/udp` or `/tcp+udp` behind it where only that is wanted. */
  readonly ports?: number | string | undefined;
}

/** A published or reached service. */
export interface Tunnel {
  /** Resolves when the tunnel is over: with what ended it, or undefined after `close`. Never rejects. */
  readonly closed: Promise<UnderpassError | undefined>;
  close(): Promise<void>;
}

/** A published service. */
export interface PublishedTunnel extends Tunnel {
  /** Who is connected. */
  peers(): readonly PeerStatus[];
  /**
   * Ends the link of one of them, by the short name that `peers` and the events give it; false when nobody has it. It may come back, unless
   * its key is denied.
   */
  closePeer(peer: string): boolean;
}

/** A server that accepts connections. */
export interface RunningServer {
  /** As `wss://0.0.0.0:4040`. */
  readonly listen: string;
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the certificate in hex; undefined for `ws://`. */
  readonly fingerprint: string | undefined;
  /** Where it answers STUN: these UDP ports of these addresses, or of `host`'s where none are announced. Undefined: nowhere. */
  readonly stun: { readonly addresses: readonly string[]; readonly ports: readonly number[] } | undefined;
  /** What works but should not stay so, a sentence each. */
  readonly warnings: readonly string[];
  /** Applies tokens, limits and `p2p` of another configuration to what comes from now on. */
  reload(config: ServerConfig): void;
  /** Accepts nothing new from now on, and resolves when every link has ended or `graceMs` have passed; `close` comes next. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}
