import type { Endpoint } from '../../net/endpoint.ts';
import type { Refusal } from '../report.ts';

/** What the router's answer means. */
export type Answer =
  | { readonly type: 'granted'; readonly external: Endpoint; readonly lifetime: number }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  /** The router does not speak this protocol. */
  | { readonly type: 'absent' }
  /** It does, and can be asked for a mapping from now on. */
  | { readonly type: 'ready' }
  | { readonly type: 'deleted' };

/** One of the protocols in which a router can be asked for a mapping of our one UDP port, over its port 5351. */
export interface Dialect {
  readonly protocol: 'pcp' | 'nat-pmp';
  /** Whether a mapping can be asked for already. */
  readonly ready: boolean;
  /** Forgets what the router has said: it may be another by now. */
  reset(): void;
  /** A question that changes nothing in the router, where the protocol needs one. */
  probe(): Buffer | undefined;
  /** Asks for a mapping, or for the same one again. `lifetime` in seconds. */
  ask(suggested: Endpoint, lifetime: number): Buffer;
  /** Deletes it. */
  remove(): Buffer;
  /** Undefined for what is no answer to us. Never throws. */
  receive(bytes: Buffer): Answer | undefined;
}
