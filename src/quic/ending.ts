import { UnderpassError } from '../errors.ts';
import type { QuicheConnection, QuicheError } from './binding.ts';

/** The peer did something that a peer like ours does not do. */
export class ProtocolError extends Error {}

/** Why a connection is over. `problem` is set when the peer broke the protocol, `reason` is for the log. */
export type Ending =
  | { readonly kind: 'lost'; readonly reason: string }
  /** The peer has ended the link, not only this connection. */
  | { readonly kind: 'left' }
  | { readonly kind: 'protocol'; readonly problem: string }
  | { readonly kind: 'certificate' };

/** What we say when we close: an application's code where all is well, the transport's (RFC 9000 section 20.1) where not. */
export interface Goodbye {
  readonly app: boolean;
  readonly code: number;
}

/** The link is over; or it goes on without this connection. */
export const CLOSED = { app: true, code: 0 } as const;
export const DROPPED = { app: true, code: 1 } as const;
export const BAD_CERTIFICATE = { app: false, code: 0x12a } as const;
export const PROTOCOL_VIOLATION = { app: false, code: 0x0a } as const;

/** Crypto errors are TLS alerts (RFC 8446 section 6) counted from here. */
const ALERTS = 0x100;
const FIRST_CERTIFICATE_ALERT = ALERTS + 42;
const LAST_CERTIFICATE_ALERT = ALERTS + 48;
const CERTIFICATE_REQUIRED = ALERTS + 116;

/** What became of a connection that quiche has given up; undefined while it lives. */
export function endingOf(native: QuicheConnection): Ending | undefined {
  if (!native.isClosed() && !native.isDraining()) return undefined;
  if (native.isTimedOut()) return { kind: 'lost', reason: 'no answer' };
  const peer = native.peerError();
  if (peer?.isApp && peer.errorCode === CLOSED.code) return { kind: 'left' };
  if (peer !== null) return { kind: 'lost', reason: `closed by the peer, ${codeOf(peer)}` };
  return { kind: 'lost', reason: 'reset by the peer' };
}

/** Whether our TLS has refused the peer's. */
export function isRefused(native: QuicheConnection): boolean {
  const local = native.localError();
  return local !== null && !local.isApp && local.errorCode >= ALERTS;
}

/** What became of a connection on which a packet of the peer's went wrong. */
export function failureOf(native: QuicheConnection, error: unknown): Ending {
  const local = native.localError();
  if (error instanceof ProtocolError) return { kind: 'protocol', problem: error.message };
  if (local !== null && isCertificateAlert(local)) return { kind: 'certificate' };
  const problem = error instanceof Error ? error.message : String(error);
  return { kind: 'protocol', problem: local === null ? problem : `${problem}, ${codeOf(local)}` };
}

export function errorOf(ending: Ending, name: string): UnderpassError {
  switch (ending.kind) {
    case 'lost':
      return new UnderpassError('peer_lost', { name }, { cause: ending.reason });
    case 'left':
      return new UnderpassError('peer_left', { name });
    case 'protocol':
      return new UnderpassError('protocol_error', { problem: `QUIC: ${ending.problem}` });
    case 'certificate':
      return new UnderpassError('peer_certificate', { name });
  }
}

function isCertificateAlert({ isApp, errorCode }: QuicheError): boolean {
  if (isApp) return false;
  const named = errorCode >= FIRST_CERTIFICATE_ALERT && errorCode <= LAST_CERTIFICATE_ALERT;
  return named || errorCode === CERTIFICATE_REQUIRED;
}

function codeOf({ isApp, errorCode }: QuicheError): string {
  return `${isApp ? 'application' : 'transport'} code ${errorCode}`;
}
