import type { Instant } from '../machine.ts';
import type { SourceClaim } from '../nat/source-proofs.ts';
import type { PlanPunch } from './punch-plan.ts';

/** What a server allows. The keys are those of `limits` in its configuration; all are whole numbers. */
export interface ServerLimits {
  /** Clients at a time. */
  readonly sessions: number;
  readonly tunnels_per_session: number;
  /** Yamux streams in one link; told to clients. */
  readonly streams_per_link: number;
  /** Bytes in one `/_control` message. */
  readonly message_bytes: number;
  /** Bytes in one `/_data` message. */
  readonly frame_bytes: number;
  /** 0 is unlimited. */
  readonly bytes_per_second_per_tunnel: number;
  /** Offers that one publisher has not answered yet; also, requests that wait for one name to be published. */
  readonly pending_offers: number;
  /** Links of one publisher; also, of one subscriber. */
  readonly links_per_publisher: number;
  /** Links in all, those that wait for their publisher included. */
  readonly links: number;
  readonly buffered_bytes_per_publisher: number;
  readonly buffered_bytes: number;
  readonly connections_per_ip_per_minute: number;
  /** Wrong tokens, identities and secrets from one address. */
  readonly failed_auth_per_ip_per_minute: number;
}

/** What a `reload` can change. */
export interface HubPolicy {
  readonly limits: ServerLimits;
  /** Without tokens anyone may connect. */
  readonly tokens: readonly string[];
  /** Whether new links may look for a direct path. */
  readonly direct: boolean;
  /** Whether what came of searches is remembered: without it, burdensome ones that found nothing are repeated without a rest. */
  readonly rememberOutcomes: boolean;
}

/** What a hub begins with. */
export interface HubOptions extends HubPolicy {
  readonly version: string;
  /** Bytes from a CSPRNG. */
  readonly randomBytes: (size: number) => Buffer;
  /** What two clients try in order to reach each other directly. */
  readonly planPunch: PlanPunch;
  readonly checkSource: CheckSource;
}

/** Until when it counts that a client with this voucher was seen at this address; undefined where it was not. */
export type CheckSource = (claim: SourceClaim, now: Instant) => Instant | undefined;

export const defaultLimits: ServerLimits = {
  sessions: 10_000,
  tunnels_per_session: 16,
  streams_per_link: 1024,
  message_bytes: 64 * 1024,
  frame_bytes: 1024 * 1024,
  bytes_per_second_per_tunnel: 0,
  pending_offers: 64,
  links_per_publisher: 64,
  links: 2048,
  buffered_bytes_per_publisher: 64 * 1024 * 1024,
  buffered_bytes: 1280 * 1024 * 1024,
  connections_per_ip_per_minute: 600,
  failed_auth_per_ip_per_minute: 20,
};
