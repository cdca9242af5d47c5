import type { WebSocket } from 'ws';
import { asUnderpassError, type ErrorCode, UnderpassError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { NatVerdict } from '../nat/behaviour.ts';
import type { SourceClaim } from '../nat/source-proofs.ts';
import type { ServerAddress } from '../net/address.ts';
import { Driver } from '../net/driver.ts';
import type { Runtime } from '../net/runtime.ts';
import type { Trust } from '../net/trust.ts';
import { connectWebSocket, dropIfStranded, type OpenWebSocket } from '../net/websocket-client.ts';
import { type SignalingHandler, type ToldLimits, tellOfPunch } from './client-handler.ts';
import type { ClientOutput, Notice, Unsent } from './client-output.ts';
import { ClientSession } from './client-session.ts';
import { defaultLimits } from './limits.ts';
import { type FromClient, type FromServer, seenOf } from './messages.ts';
import type { SealedMessage } from './peer-message.ts';
import type { RegisteredSecret } from './registry.ts';
import type { Response } from './requests.ts';

export type { SignalingHandler, ToldLimits };

const CONNECT_TIMEOUT = 10_000;

/** What came of one try. */
export type PunchResult = Omit<FromClient<'p2p_result'>, 'type' | 'link' | 'step'>;

export interface SignalingClientOptions {
  readonly address: ServerAddress;
  readonly trust: Trust;
  readonly identity: Identity;
  readonly token?: string | undefined;
  readonly version: string;
  readonly runtime: Runtime;
  readonly handler: SignalingHandler;
}

interface Waiter {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: UnderpassError) => void;
  readonly onWaiting: (() => void) | undefined;
}

/** A client's connection to a server's `/_control`, which it keeps up until `close`. */
export class SignalingClient {
  readonly #options: SignalingClientOptions;
  readonly #session: ClientSession;
  readonly #driver: Driver<ClientOutput>;
  readonly #waiters = new Map<string, Waiter>();
  #socket: WebSocket | undefined;
  /** The same, with what it runs on. */
  #opened: OpenWebSocket | undefined;
  #opening: AbortController | undefined;

  constructor(options: SignalingClientOptions) {
    this.#options = options;
    const { identity, runtime, version, token } = options;
    this.#session = new ClientSession({
      version,
      token,
      identity: identity.publicKey.toString('base64url'),
      sign: (challenge) => identity.sign('underpass/1 auth', challenge),
      random: () => runtime.randomBytes(4).readUInt32BE() / 2 ** 32,
    });
    this.#driver = new Driver(this.#session, runtime, (output) => this.#perform(output));
  }

  get online(): boolean {
    return this.#session.online;
  }

  start(): void {
    this.#session.start();
    this.#driver.pump();
  }

  /** Publishes a name; `nat`, `lan` and `claim` as for `reportNat`, where they are known already. Rejects with `name_in_use`, `too_many_tunnels`, `server_lost` … */
  async register(
    name: string,
    secrets: readonly RegisteredSecret[],
    nat?: NatVerdict,
    lan = false,
    claim?: SourceClaim,
  ): Promise<void> {
    const seen = claim && seenOf(claim);
    await this.#request({ type: 'register', name, secrets: [...secrets], nat, lan, seen });
  }

  /**
   * Tells the server what network this is, whether peers are told addresses of it (`lan`), and where the server's STUN has seen us.
   * Offline it is lost: report again at each `onOnline`, and when it changes.
   */
  reportNat(verdict: NatVerdict, lan = false, claim?: SourceClaim): void {
    this.#session.reportNat(verdict, lan, claim);
    this.#driver.pump();
  }

  unregister(name: string): void {
    this.#notify({ type: 'unregister', name });
  }

  /**
   * Asks for a link. `onWaiting` is called when nobody publishes the name yet; it then waits for as long as that takes.
   * Rejects with `tunnel_not_found`, `invalid_secret`, `peer_timeout`, `server_lost` …; when aborted, with the reason.
   */
  async connect(
    fields: Omit<Extract<Unsent, { type: 'p2p_connect' }>, 'type'>,
    onWaiting?: () => void,
    signal?: AbortSignal,
  ): Promise<FromServer<'p2p_answer'>> {
    return (await this.#request(
      { type: 'p2p_connect', ...fields },
      onWaiting,
      signal,
    )) as FromServer<'p2p_answer'>;
  }

  answer(link: string, answer: string, mac: string): void {
    this.#notify({ type: 'p2p_answer', link, answer, mac });
  }

  refuse(link: string, code: ErrorCode): void {
    this.#notify({ type: 'p2p_refuse', link, code });
  }

  closeLink(link: string, code?: ErrorCode): void {
    this.#notify({ type: 'p2p_close', link, ...(code === undefined ? {} : { code }) });
  }

  /** To the other end of an open link. The server drops what is more than 64 messages a minute. */
  sendPeerMessage(link: string, { body, mac }: SealedMessage): void {
    const text = (bytes: Buffer) => bytes.toString('base64url');
    this.#notify({ type: 'p2p_message', link, body: text(body), mac: text(mac) });
  }

  /** This side is ready for the step. */
  armed(link: string, step: number): void {
    this.#notify({ type: 'p2p_armed', link, step });
  }

  /** What came of a step; `refused` when this side takes part in none. */
  punchResult(link: string, step: number, result: PunchResult): void {
    this.#notify({ type: 'p2p_result', link, step, ...result });
  }

  /** Asks for another search after that of this number, 0 for none. The server makes pauses. */
  punchAgain(link: string, search: number): void {
    this.#notify({ type: 'p2p_again', link, search });
  }

  /** How many bytes have come over the direct path since the last report. At most six reports a minute count. */
  directBytes(link: string, received: number): void {
    this.#notify({ type: 'p2p_bytes', link, received });
  }

  /** An id for `/_data/<session_id>`, to be used once and within 30 s. */
  async openData(): Promise<string> {
    const response = (await this.#request({ type: 'open_data' })) as FromServer<'data_ready'>;
    return response.session_id;
  }

  /** The connection is doubted: it is built again unless the server answers within 5 s. */
  check(): void {
    if (this.#socket !== undefined && this.#opened !== undefined && dropIfStranded(this.#opened)) return;
    this.#input((now) => this.#session.check(now));
  }

  /** While it is on, the connection is built again after 5 s at most, unless the server is full. */
  hurry(on: boolean): void {
    this.#input((now) => this.#session.hurry(on, now));
  }

  /** Ends the session. Requests in flight reject with `server_lost`. Nothing is heard after this. */
  close(): void {
    this.#session.stop();
    this.#driver.pump();
  }

  #request(unsent: Unsent, onWaiting?: () => void, signal?: AbortSignal): Promise<Response> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = this.#session.request(unsent, this.#options.runtime.now());
      const abort = () => {
        this.#waiters.delete(id);
        this.#session.cancel(id);
        this.#driver.pump();
        reject(signal?.reason);
      };
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', abort);
          settle(value);
        };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.set(id, { resolve: settled(resolve), reject: settled(reject), onWaiting });
      this.#driver.pump();
    });
  }

  #notify(notice: Notice): void {
    this.#session.notify(notice);
    this.#driver.pump();
  }

  #perform(output: ClientOutput): void {
    const { handler } = this.#options;
    switch (output.type) {
      case 'connect':
        void this.#open();
        break;
      case 'send':
        this.#socket?.send(output.text);
        break;
      case 'disconnect':
        this.#disconnect(output.code);
        break;
      case 'online':
        handler.onOnline(output.resumed, output.limits, output.stun, bytesOf(output.voucher));
        break;
      case 'offline':
        handler.onOffline(output.error, output.retry_in_ms);
        break;
      case 'fatal':
        handler.onFatal(output.error);
        break;
      case 'offer':
        handler.onOffer(output.offer);
        break;
      case 'link_closed':
        handler.onLinkClosed(output.link, output.code);
        break;
      case 'punch':
        tellOfPunch(handler, output.message);
        break;
      case 'replaced':
        handler.onReplaced(output.name);
        break;
      case 'waiting':
        this.#waiters.get(output.request)?.onWaiting?.();
        break;
      case 'response':
        this.#settle(output.request)?.resolve(output.response);
        break;
      case 'failed':
        this.#settle(output.request)?.reject(output.error);
        break;
    }
  }

  #settle(request: string): Waiter | undefined {
    const waiter = this.#waiters.get(request);
    this.#waiters.delete(request);
    return waiter;
  }

  async #open(): Promise<void> {
    const { address, trust } = this.#options;
    const opening = new AbortController();
    this.#opening = opening;
    try {
      const opened = await connectWebSocket({
        address,
        path: '/_control',
        trust,
        maxPayload: defaultLimits.message_bytes,
        timeout: CONNECT_TIMEOUT,
        signal: opening.signal,
      });
      if (opening.signal.aborted) opened.websocket.terminate();
      else this.#attach(opened);
    } catch (error) {
      if (!opening.signal.aborted) this.#input((now) => this.#session.failed(asUnderpassError(error), now));
    }
  }

  #attach(opened: OpenWebSocket): void {
    const socket = opened.websocket;
    this.#socket = socket;
    this.#opened = opened;
    socket.on('message', (data, isBinary) => {
      if (socket !== this.#socket) return;
      // An empty text is no message either, and fails as such.
      this.#input((now) => this.#session.receive(isBinary ? '' : String(data), now));
    });
    socket.on('close', (code) => {
      if (socket !== this.#socket) return;
      this.#socket = undefined;
      this.#input((now) => this.#session.closed(code, now));
    });
    this.#input((now) => this.#session.opened(now));
  }

  #disconnect(code: number): void {
    this.#opening?.abort(new UnderpassError('server_lost'));
    this.#opening = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(code);
  }

  #input(give: (now: number) => void): void {
    give(this.#options.runtime.now());
    this.#driver.pump();
  }
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64url');
}
