import { ChannelDecoder, type ChannelSink } from './channel-frame.ts';
import type { ReceivePosition } from './channel-receiver.ts';
import type { SendPosition } from './channel-sender.ts';

/** What a channel knows of one of its lanes. */
export class ChannelLane implements SendPosition, ReceivePosition {
  position: number | undefined;
  arrived: number | undefined;
  /** The opener's header, until it has gone out. */
  header: Buffer | undefined;
  /** An ACK goes out before anything else. */
  greets = false;
  /** The peer is known to be there. */
  heard = false;
  /** It was left because nothing seemed to come through: what was sent here may still be on its way, and of no use. */
  doubted = false;
  /** Our latest question there, and whether it has yet to go out. */
  question = 0;
  asks = false;
  /** The peer's, until the answer has gone out. */
  asked: number | undefined;
  /** The ACK for the peer's FIN has gone out here. */
  endAcknowledged = false;
  /** The channel's last frame has gone out here. */
  closed = false;
  readonly decoder: ChannelDecoder;

  constructor(sink: ChannelSink) {
    this.decoder = new ChannelDecoder(sink);
  }
}
