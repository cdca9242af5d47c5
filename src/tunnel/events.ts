import type { ErrorCode } from '../errors.ts';
import type { NatReport } from '../nat/report.ts';
import type { ListeningPort } from './local/local-ports.ts';
import type { PeerStatus } from './peers.ts';

/**
 * The active path of a link changed, or the reason for which it is relayed; with `none`, connections wait for one. `peer` (publisher) is a link's short name, `target`
 * (subscriber) the tunnel's.
 */
export interface PathEvent {
  readonly event: 'path';
  readonly target?: string;
  readonly peer?: string;
  readonly kind: 'relayed' | 'direct' | 'none';
  /** How a direct path was found: `host`, `hairpin`, `ipv6`, `mapped`, `open`, `direct`, `bracket`, `extrapolate`, `sweep` or `birthday`. */
  readonly strategy: string | null;
  /** The peer's address on a direct path, `host:port`. */
  readonly remote: string | null;
  readonly rtt_ms: number | null;
  /** Until a direct path could be used: from when the two met, or from the begin of a later search. */
  readonly elapsed_ms: number | null;
  /** Why it is relayed: `searching`, `unpredictable`, `udp-blocked` and so on; the README has them all. */
  readonly reason: string | null;
}

interface PeerEventBase {
  readonly event: 'peer';
  readonly name: string;
  readonly peer: string;
  /** The fingerprint of its key, which it has proved to have. */
  readonly identity: string;
  readonly address: string;
  /** Whether the address is only what the server says. */
  readonly address_claimed: boolean;
}

/** A subscriber came, went, or was refused because of its key. */
export type PeerEvent =
  | (PeerEventBase & { readonly action: 'joined' | 'refused' })
  | (PeerEventBase & {
      readonly action: 'left';
      /** For how long it was connected. */
      readonly seconds: number;
      /** What has come from it for the service, and gone to it. */
      readonly bytes_in: number;
      readonly bytes_out: number;
    });

/** What a publisher or subscriber has to say. `--json` prints these as they are, with a `time` beside them. */
export type TunnelEvent =
  /** The name is registered; friends can connect. Again after each reconnect. */
  | { readonly event: 'ready'; readonly role: 'publisher'; readonly name: string }
  /**
   * The local ports are bound and the link to the publisher is up. Again after each new link. `listen` is the first of them; `ports` are
   * all, where there is more than one.
   */
  | {
      readonly event: 'ready';
      readonly role: 'subscriber';
      readonly target: string;
      readonly listen: string;
      readonly ports?: readonly ListeningPort[];
    }
  /** Nobody publishes the target yet; it connects as soon as somebody does. */
  | { readonly event: 'waiting'; readonly target: string }
  | PathEvent
  /** What network this machine is in; again when that changes. Never waited for. */
  | ({ readonly event: 'nat' } & NatReport)
  | PeerEvent
  /** Who is connected: once a minute while somebody is and something has changed, and when asked. */
  | { readonly event: 'peers'; readonly name: string; readonly peers: readonly PeerStatus[] }
  /** Something failed. When `retry` is true it is being tried again, otherwise `closed` follows. */
  | {
      readonly event: 'error';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string;
      readonly retry: boolean;
    }
  /** The publisher's identity is not the one remembered for this name. */
  | {
      readonly event: 'identity_changed';
      readonly target: string;
      readonly remembered: string;
      readonly seen: string;
    }
  /** The tunnel is over. */
  | { readonly event: 'closed'; readonly name?: string; readonly target?: string };
