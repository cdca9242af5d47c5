import type { FromServer } from '../../signaling/messages.ts';
import type { SealedMessage } from '../../signaling/peer-message.ts';
import type { Connection } from '../connection.ts';
import type { Standpoint } from '../direct/standpoint.ts';
import type { LinkListener } from './link-listener.ts';

/** Notices that come before the peers have met: no more than a first step and a handful of addresses. */
const MAX_EARLY = 32;

/** Keeps what the server says of a link whose two ends have yet to meet. */
export class EarlyListener implements LinkListener {
  readonly #connection: Connection;
  readonly #link: string;
  #notices: ((listener: LinkListener) => void)[] = [];

  /** @param link its id as the server knows it, base64url */
  constructor(connection: Connection, link: string) {
    this.#connection = connection;
    this.#link = link;
    connection.listen(link, this);
  }

  /** They have met: `listener` hears what was said, and from now on everything. */
  handTo(listener: LinkListener): void {
    this.#connection.listen(this.#link, listener);
    const notices = this.#notices;
    this.#notices = [];
    for (const notice of notices) notice(listener);
  }

  /** They will not meet. */
  close(): void {
    this.#connection.unlisten(this.#link);
  }

  onPeerMessage(message: SealedMessage): void {
    this.#keep((listener) => listener.onPeerMessage(message));
  }

  onPunchStep(step: FromServer<'p2p_step'>): void {
    this.#keep((listener) => listener.onPunchStep(step));
  }

  onPunchGo(step: number): void {
    this.#keep((listener) => listener.onPunchGo(step));
  }

  onPunchRelay(search: number, reason: string): void {
    this.#keep((listener) => listener.onPunchRelay(search, reason));
  }

  /** Where we stand is asked for when they meet. */
  onStandpoint(_standpoint: Standpoint): void {}

  onOnline(): void {}

  #keep(notice: (listener: LinkListener) => void): void {
    if (this.#notices.length < MAX_EARLY) this.#notices.push(notice);
  }
}
