import { UnderpassError } from '../../errors.ts';
import { describePathReason } from '../../path-reason.ts';
import type { LinkMode } from '../../signaling/offer.ts';

/** What one end of a link wants, and can do. */
export interface Wish {
  readonly mode: LinkMode;
  /** Whether it has QUIC. */
  readonly canDirect: boolean;
}

export interface Agreement {
  /** Whether channels may go through the server. */
  readonly mayRelay: boolean;
  /** Why no direct path is looked for; undefined where one is. */
  readonly refusal: string | undefined;
}

/** What both ends and the server agree on. */
export function agree(own: Wish, peer: Wish, serverAllows: boolean): Agreement {
  const mayRelay = own.mode !== 'direct' && peer.mode !== 'direct';
  return { mayRelay, refusal: refusalOf(own, peer, serverAllows) };
}

export function directUnavailable(name: string, reason: string): UnderpassError {
  return new UnderpassError('direct_unavailable', { name, reason: describePathReason(reason) });
}

function refusalOf(own: Wish, peer: Wish, serverAllows: boolean): string | undefined {
  if (own.mode === 'relay') return 'off';
  if (peer.mode === 'relay') return 'peer-off';
  if (!own.canDirect) return 'unsupported';
  if (!peer.canDirect) return 'peer-unsupported';
  return serverAllows ? undefined : 'server-off';
}
