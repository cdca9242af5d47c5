import type { ErrorCode, UnderpassError } from '../errors.ts';
import type { PunchNotice } from './client-output.ts';
import type { FromServer, StunGreeting } from './messages.ts';
import type { SealedMessage } from './peer-message.ts';

/** What a server told its client about itself. */
export type ToldLimits = FromServer<'auth_ok'>['limits'];

/** What happens without being asked for. */
export interface SignalingHandler extends PunchHandler {
  /**
   * `resumed`: names and links are still there. Otherwise everything has to be registered and connected again. `stun`: where
   * the server answers STUN, if it does; `voucher`: what to show to it there, and nowhere else.
   */
  onOnline(
    resumed: boolean,
    limits: ToldLimits,
    stun: StunGreeting | undefined,
    voucher: Buffer | undefined,
  ): void;
  /** It tries again by itself after that time, in milliseconds. Requests in flight have failed. */
  onOffline(error: UnderpassError, retryInMs: number): void;
  /** It has given up; trying again cannot help. */
  onFatal(error: UnderpassError): void;
  /** A subscriber wants a link: `answer` or `refuse` within 10 s. Nothing in it has been verified. */
  onOffer(offer: FromServer<'p2p_offer'>): void;
  onLinkClosed(link: string, code: ErrorCode | undefined): void;
  /** Another process with this identity publishes the name now. */
  onReplaced(name: string): void;
}

/** What happens while a direct path is looked for. It begins as soon as a link is open, maybe before `connect` has resolved. */
export interface PunchHandler {
  /** The peer says so. It is to be opened with `PeerMessages`, since the server could have made it up. */
  onPeerMessage(link: string, message: SealedMessage): void;
  /** A try begins, in place of the one before: prepare it and say `armed`. */
  onPunchStep(step: FromServer<'p2p_step'>): void;
  /** Both sides are armed for the step of that number: try, and say `punchResult`. */
  onPunchGo(link: string, step: number): void;
  /** Nothing more is tried in the search of that number. */
  onPunchRelay(link: string, search: number, reason: string): void;
}

/** Calls what a message is for. */
export function tellOfPunch(handler: PunchHandler, message: PunchNotice): void {
  const { link } = message;
  switch (message.type) {
    case 'p2p_message':
      handler.onPeerMessage(link, { body: bytes(message.body), mac: bytes(message.mac) });
      break;
    case 'p2p_step':
      handler.onPunchStep(message);
      break;
    case 'p2p_go':
      handler.onPunchGo(link, message.step);
      break;
    case 'p2p_relay':
      handler.onPunchRelay(link, message.search, message.reason);
      break;
  }
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}
