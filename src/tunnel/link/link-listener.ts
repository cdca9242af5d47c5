import type { FromServer } from '../../signaling/messages.ts';
import type { SealedMessage } from '../../signaling/peer-message.ts';
import type { Standpoint } from '../direct/standpoint.ts';

/** A link that looks for a direct path, as the connection it was made through sees it. */
export interface LinkListener {
  onPeerMessage(message: SealedMessage): void;
  onPunchStep(step: FromServer<'p2p_step'>): void;
  onPunchGo(step: number): void;
  onPunchRelay(search: number, reason: string): void;
  onStandpoint(standpoint: Standpoint): void;
  /** The connection was built again, and the server knows the link yet. */
  onOnline(): void;
}
