import type { UnderpassError } from '../errors.ts';
import type { NatReport } from '../nat/report.ts';
import type { FromServer } from '../signaling/messages.ts';

/** A tunnel, as the connection it lives on sees it. */
export interface Tenant {
  /** The name it publishes; undefined for a subscriber. Offers for it come here. */
  readonly publishes: string | undefined;
  /** Whether it may ever leave the relay, so that the NAT matters. */
  readonly mayGoDirect: boolean;
  /** `resumed`: the server still knows this tunnel's names and links. */
  onOnline(resumed: boolean): void;
  /** The connection is being built again; requests have failed, links live on for a while. */
  onOffline(error: UnderpassError): void;
  /** The connection is over, for good. */
  onFatal(error: UnderpassError): void;
  onOffer(offer: FromServer<'p2p_offer'>): void;
  onReplaced(): void;
  /** Another network, or more is known of it. */
  onNat(report: NatReport): void;
}
