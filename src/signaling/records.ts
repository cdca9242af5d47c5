import type { Instant } from '../machine.ts';
import type { NatVerdict } from '../nat/behaviour.ts';
import type { FromClient } from './messages.ts';

/** Where a link stands: asking the registry, waiting for a publisher, waiting for its answer, or agreed. */
export type LinkState = 'looking' | 'parked' | 'offered' | 'open' | 'closed';

/** What the server knows about one subscriber's way to one publisher. */
export interface Link {
  readonly id: string;
  readonly name: string;
  /** The `p2p_connect` that it began with. */
  readonly requestId: string;
  readonly subscriber: Session;
  state: LinkState;
  readonly request: FromClient<'p2p_connect'>;
  /** Since it has been offered. */
  publisher: Session | undefined;
  direct: boolean;
}

/** One client, for as long as it is remembered: it outlives its connection. */
export interface Session {
  /** What the server calls it. Not a secret, unlike `id`. */
  readonly key: string;
  /** What the client resumes it with. */
  readonly id: string;
  /** What the client shows to the server's STUN, 16 bytes. */
  readonly voucher: Buffer;
  readonly identity: string;
  /** Which token it came with, counted from 1; 0 for none. */
  readonly token: number;
  remoteAddress: string;
  /** The last that the client said of its network. */
  nat: NatVerdict | undefined;
  /** Whether it tells its peers addresses of that network. */
  lan: boolean;
  /** Where the server's STUN has seen it, as the client has proved, and until when that counts. */
  seen: { readonly address: string; readonly until: Instant } | undefined;
  /** Undefined while the client is away. */
  connection: number | undefined;
  readonly outbox: string[];
  /** Names that it publishes. */
  readonly tunnels: Set<string>;
  /** Claims that the registry has not answered. */
  claims: number;
  /** Links of which it is a party. */
  readonly links: Set<Link>;
}

/** Where the server vouches that a client is; undefined where it cannot. */
export function vouchedAddress(session: Session | undefined, now: Instant): string | undefined {
  return session?.seen && now < session.seen.until ? session.seen.address : undefined;
}
