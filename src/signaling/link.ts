import type { FromClient } from './messages.ts';
import type { Session } from './sessions.ts';

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
  /** Until it has been offered. */
  request: FromClient<'p2p_connect'> | undefined;
  /** Since it has been offered. */
  publisher: Session | undefined;
  direct: boolean;
}
