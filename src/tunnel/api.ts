import type { UnderpassError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { LinkMode } from '../signaling/offer.ts';
import type { ServerConfig } from './config/server-config.ts';

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

export interface PublishOptions {
  readonly name: string;
  readonly secret: string;
  /** Where the service runs. Default `localhost`. */
  readonly localHost?: string | undefined;
  readonly localPort: number;
  readonly mode?: LinkMode | undefined;
  /** How long connections wait for a new path when there is none, milliseconds. Default 60,000. */
  readonly grace?: number | undefined;
}

export interface SubscribeOptions {
  /** The name that the publisher chose. */
  readonly target: string;
  readonly secret: string;
  /** Where to listen. Default `127.0.0.1`. */
  readonly listenHost?: string | undefined;
  /** 0 lets the system choose. */
  readonly localPort: number;
  readonly mode?: LinkMode | undefined;
  /** How long connections wait for a new path when there is none, milliseconds. Default 60,000. */
  readonly grace?: number | undefined;
}

/** A published or reached service. */
export interface Tunnel {
  /** Resolves when the tunnel is over: with what ended it, or undefined after `close`. Never rejects. */
  readonly closed: Promise<UnderpassError | undefined>;
  close(): Promise<void>;
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
