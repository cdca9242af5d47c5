import type { ErrorCode, UnderpassError } from '../errors.ts';
import type { FromClient, FromServer, StunGreeting } from './messages.ts';
import type { Request, Response } from './requests.ts';

/** What a client says without expecting an answer. */
export type Notice = FromClient<
  | 'unregister'
  | 'p2p_answer'
  | 'p2p_refuse'
  | 'p2p_close'
  | 'p2p_message'
  | 'p2p_armed'
  | 'p2p_result'
  | 'p2p_again'
  | 'p2p_bytes'
>;
/** What a client is told while a direct path is looked for. */
export type PunchNotice = FromServer<'p2p_message' | 'p2p_step' | 'p2p_go' | 'p2p_relay'>;
/** A request before it has an id. */
export type Unsent<Message extends Request = Request> = Message extends Request
  ? Omit<Message, 'request_id'>
  : never;

/** What the client session wants done, or has to say. */
export type ClientOutput =
  /** Open a WebSocket, then say `opened`, or `failed`. */
  | { readonly type: 'connect' }
  | { readonly type: 'send'; readonly text: string }
  /** Close the WebSocket, or stop opening it; nothing more is expected from it. */
  | { readonly type: 'disconnect'; readonly code: number }
  /** `resumed`: names and links are still there. Otherwise they are gone. */
  | {
      readonly type: 'online';
      readonly resumed: boolean;
      readonly limits: FromServer<'auth_ok'>['limits'];
      readonly stun: StunGreeting | undefined;
      /** b64u of 16 bytes, for the server's STUN. */
      readonly voucher: string | undefined;
    }
  /** Trying again after that time. Requests in flight have failed. */
  | { readonly type: 'offline'; readonly error: UnderpassError; readonly retry_in_ms: number }
  /** Trying again cannot help; the machine has stopped. */
  | { readonly type: 'fatal'; readonly error: UnderpassError }
  | { readonly type: 'offer'; readonly offer: FromServer<'p2p_offer'> }
  | { readonly type: 'link_closed'; readonly link: string; readonly code: ErrorCode | undefined }
  | { readonly type: 'punch'; readonly message: PunchNotice }
  | { readonly type: 'replaced'; readonly name: string }
  | { readonly type: 'waiting'; readonly request: string }
  | { readonly type: 'response'; readonly request: string; readonly response: Response }
  | { readonly type: 'failed'; readonly request: string; readonly error: UnderpassError };
