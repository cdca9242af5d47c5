import type { CalledLane } from './channel-calls.ts';
import { ChannelDecoder, type ChannelSink } from './channel-frame.ts';
import type { ReceivePosition } from './channel-receiver.ts';
import type { SendingLane } from './channel-sender.ts';

/** What a channel knows of one of its lanes. */
export class ChannelLane implements SendingLane, ReceivePosition, CalledLane {
  position: number | undefined;
  arrived: number | undefined;
  /** The opener's header, until it has gone out. */
  header: Buffer | undefined;
  /** An ACK goes out before anything else. */
  greets = false;
  /** The peer is known to be there. */
  heard = false;
  doubted = false;
  pingDue: number | undefined;
  pinged = 0;
  pongDue: number | undefined;
  /** The ACK for the peer's FIN has gone out here. */
  endAcknowledged = false;
  /** The channel's last frame has gone out here. */
  closed = false;
  readonly decoder: ChannelDecoder;

  constructor(sink: ChannelSink) {
    this.decoder = new ChannelDecoder(sink);
  }
}
