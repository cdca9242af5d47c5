import { ChannelError, ChannelFrame, encodePing } from './channel-frame.ts';

/** What is asked and answered on a lane: numbers of PINGs. */
export interface CalledLane {
  /** PING goes out, with this number; and the last one that did. */
  pingDue: number | undefined;
  pinged: number;
  /** PONG goes out, with this number. */
  pongDue: number | undefined;
}

/** Numbers the PINGs of a channel, and answers the peer's. */
export class ChannelCalls {
  #sent = 0;
  #heard = 0;

  /** The peer is to say that it has come so far on this lane. */
  call(lane: CalledLane): void {
    this.#sent += 1;
    lane.pingDue = this.#sent;
    lane.pinged = this.#sent;
  }

  /** Returns whether the peer has not called elsewhere since. */
  onPing(lane: CalledLane, number: number): boolean {
    lane.pongDue = number;
    const isNews = number > this.#heard;
    if (isNews) this.#heard = number;
    return isNews;
  }

  /** Returns whether it answers the last call on this lane. Throws ChannelError where there was none. */
  onPong(lane: CalledLane, number: number): boolean {
    if (number === 0 || number > this.#sent) throw new ChannelError('an answer to no question');
    return number === lane.pinged;
  }

  pending({ pingDue, pongDue }: CalledLane): boolean {
    return pingDue !== undefined || pongDue !== undefined;
  }

  transmit(lane: CalledLane, into: Buffer[]): void {
    if (lane.pingDue !== undefined) into.push(encodePing(ChannelFrame.ping, lane.pingDue));
    if (lane.pongDue !== undefined) into.push(encodePing(ChannelFrame.pong, lane.pongDue));
    lane.pingDue = undefined;
    lane.pongDue = undefined;
  }
}
