import type { UnderpassError } from '../errors.ts';
import type { PunchOutcome } from './punch.ts';
import type { Registration } from './registry.ts';

/** A link that both sides have agreed to: the relay may bridge it. */
export interface LinkOpen {
  /** b64u of 16 bytes. */
  readonly link: string;
  /** The tunnel's name. */
  readonly name: string;
  /** Session keys, as `takeDataSession` returns them. */
  readonly publisher: string;
  readonly subscriber: string;
  /** Which of the server's tokens the publisher came with, counted from 1; 0 without tokens. */
  readonly token: number;
  /** Whether the link may look for a direct path. */
  readonly direct: boolean;
}

/** What the hub wants done, in this order. */
export type HubOutput =
  | { readonly type: 'send'; readonly connection: number; readonly text: string }
  /** The hub has forgotten the connection already. */
  | { readonly type: 'close'; readonly connection: number; readonly code: number; readonly reason: string }
  /** Ask the name registry; `claimed` and `found` take the answer with the same `ref`. */
  | { readonly type: 'claim'; readonly ref: number; readonly registration: Registration }
  | { readonly type: 'lookup'; readonly ref: number; readonly name: string }
  | { readonly type: 'release'; readonly name: string; readonly session: string; readonly hold: boolean }
  | ({ readonly type: 'link_open' } & LinkOpen)
  /** The parties closed it, or one is gone. Not said for links that `linkClosed` closed. */
  | { readonly type: 'link_closed'; readonly link: string }
  /** The client is gone for good: its data connection may go too. */
  | { readonly type: 'session_closed'; readonly session: string }
  /** A search for a direct path is over. */
  | ({ readonly type: 'punched' } & PunchOutcome)
  /** Bytes that a client says have come over a direct path: up from subscribers to publishers, or down. Anybody can claim anything. */
  | { readonly type: 'direct_bytes'; readonly direction: 'up' | 'down'; readonly bytes: number }
  /** A client was told of an error; of one that is `internal`, no more than that. */
  | { readonly type: 'failure'; readonly error: UnderpassError };
