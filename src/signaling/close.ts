import { type ErrorCode, UnderpassError } from '../errors.ts';

/** WebSocket close codes of `/_control` (docs/protocol.md section 3). */
export const CLOSE = {
  normal: 1000,
  restarting: 1012,
  protocol: 4000,
  authentication: 4001,
  rateLimited: 4002,
  full: 4003,
  resumedElsewhere: 4004,
  heartbeat: 4008,
} as const;

/** The close code that goes with an error. */
export function closeCode(code: ErrorCode): number {
  switch (code) {
    case 'auth_failed':
    case 'identity_invalid':
    case 'protocol_unsupported':
      return CLOSE.authentication;
    case 'rate_limited':
      return CLOSE.rateLimited;
    case 'server_full':
      return CLOSE.full;
    case 'server_restarting':
      return CLOSE.restarting;
    case 'heartbeat_timeout':
      return CLOSE.heartbeat;
    default:
      return CLOSE.protocol;
  }
}

/** What a close means to a client that was given no better reason. */
export function closeError(code: number): UnderpassError {
  switch (code) {
    case CLOSE.restarting:
      return new UnderpassError('server_restarting');
    case CLOSE.protocol:
      return new UnderpassError('protocol_error', { problem: 'the server says that it was us' });
    case CLOSE.authentication:
      return new UnderpassError('auth_failed');
    case CLOSE.rateLimited:
      return new UnderpassError('rate_limited');
    case CLOSE.full:
      return new UnderpassError('server_full');
    default:
      return new UnderpassError('server_lost');
  }
}
