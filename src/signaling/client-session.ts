import { asUnderpassError, isErrorCode, UnderpassError } from '../errors.ts';
import type { Instant, Machine } from '../machine.ts';
import type { NatVerdict } from '../nat/behaviour.ts';
import type { SourceClaim } from '../nat/source-proofs.ts';
import { Backoff, HURRIED_DELAY } from './backoff.ts';
import type { ClientOutput, Notice, Unsent } from './client-output.ts';
import { CLOSE, closeError } from './close.ts';
import { earliest } from './deadlines.ts';
import {
  type ClientMessage,
  encode,
  type FromServer,
  outOfTurn,
  PROTOCOL_VERSION,
  parseServerMessage,
  type ServerMessage,
  type StunGreeting,
  seenOf,
} from './messages.ts';
import { type Request, Requests, serverError, timeoutError } from './requests.ts';

/** How long the server may take for `hello` and for `auth_ok`, in milliseconds. */
const HANDSHAKE_TIMEOUT = 10_000;
const PING_INTERVAL = 30_000;
const PONG_TIMEOUT = 10_000;
/** How long the answer to a `check` may take. */
const CHECK_TIMEOUT = 5_000;
/** A verdict that comes so much later than it was due: the process was asleep, and what has arrived is yet to be read. */
const LATE = 500;
/** How long it is put off then, once. */
const SECOND_LOOK = 2_000;
/** Connections that lasted this long were good ones: the next attempts are quick again. */
const STABLE_TIME = 10_000;
/** Messages without an answer that wait for the connection to come back. */
const MAX_OUTBOX = 256;

export interface ClientSessionOptions {
  readonly version: string;
  readonly token: string | undefined;
  /** b64u of the Ed25519 public key. */
  readonly identity: string;
  /** Signs the server's challenge, 32 bytes, under the label `underpass/1 auth`. */
  readonly sign: (challenge: Buffer) => Buffer;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
}

type State = 'stopped' | 'connecting' | 'greeting' | 'authenticating' | 'online' | 'pausing';

/** The client's side of `/_control`: gets a connection, keeps it alive, resumes it, and matches answers to requests. */
export class ClientSession implements Machine<ClientOutput> {
  readonly #options: ClientSessionOptions;
  readonly #backoff: Backoff;
  readonly #requests = new Requests();
  readonly #outputs: ClientOutput[] = [];
  readonly #outbox: Notice[] = [];
  #state: State = 'stopped';
  /** What to do next in this state: give up, try again, ping. */
  #deadline: Instant | undefined;
  #pongDue: Instant | undefined;
  #putOff = false;
  /** The server has asked for this pause. */
  #patient = false;
  #onlineSince: Instant = 0;
  #session: string | undefined;
  /** What the server's greeting said. */
  #stun: StunGreeting | undefined;
  /** What the server said is wrong, just before it closes. */
  #parting: UnderpassError | undefined;
  #lastRequest = 0;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  get online(): boolean {
    return this.#state === 'online';
  }

  start(): void {
    if (this.#state === 'stopped') this.#connect();
  }

  /** Ends the session for good; requests in flight fail. */
  stop(): void {
    if (this.#state === 'stopped') return;
    this.#leave(CLOSE.normal, new UnderpassError('server_lost'));
    this.#state = 'stopped';
    this.#session = undefined;
    this.#outbox.length = 0;
  }

  opened(now: Instant): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'greeting';
    this.#deadline = now + HANDSHAKE_TIMEOUT;
  }

  /** The WebSocket could not be opened. */
  failed(error: UnderpassError, now: Instant): void {
    if (this.#state === 'connecting') this.#lose(error, now);
  }

  /** The WebSocket has closed, with this code. */
  closed(code: number, now: Instant): void {
    if (this.#connected) this.#lose(this.#parting ?? closeError(code), now);
  }

  receive(text: string, now: Instant): void {
    if (!this.#connected) return;
    try {
      this.#handle(parseServerMessage(text), now);
    } catch (error) {
      this.#lose(asUnderpassError(error), now);
    }
  }

  /** Sends a request and returns its id; `response` or `failed` follows, once. Offline it fails with `server_lost`. */
  request(unsent: Unsent, now: Instant): string {
    const request_id = `r${++this.#lastRequest}`;
    const request: Request = { ...unsent, request_id };
    if (this.online) {
      this.#requests.add(request, now);
      this.#send(request);
    } else {
      this.#fail(request, new UnderpassError('server_lost'));
    }
    return request_id;
  }

  /** Nobody wants the answer any more. Nothing follows. */
  cancel(requestId: string): void {
    const request = this.#requests.take(requestId);
    if (request) this.#abandon(request);
  }

  /** Sends a message that has no answer, or keeps it for when the session resumes. */
  notify(notice: Notice): void {
    if (this.online) this.#send(notice);
    else if (this.#session !== undefined && this.#outbox.length < MAX_OUTBOX) this.#outbox.push(notice);
  }

  /** Tells the server what network this is. Not kept while offline: by the time it is back, that may have changed. */
  reportNat(nat: NatVerdict, lan: boolean, claim?: SourceClaim): void {
    if (this.online) this.#send({ type: 'nat', nat, lan, seen: claim && seenOf(claim) });
  }

  /** The connection is doubted: it is built again unless the server answers within 5 s. */
  check(now: Instant): void {
    if (this.online) {
      if (this.#pongDue === undefined) this.#ping(now);
      this.#pongDue = earliest(this.#pongDue, now + CHECK_TIMEOUT);
    } else if (this.#connected) this.#deadline = earliest(this.#deadline, now + CHECK_TIMEOUT);
  }

  /** While it is on, pauses between attempts last 5 s at most, unless the server asks for longer ones. */
  hurry(on: boolean, now: Instant): void {
    this.#backoff.hurried = on;
    if (on && this.#state === 'pausing' && !this.#patient)
      this.#deadline = earliest(this.#deadline, now + HURRIED_DELAY);
  }

  pollOutput(): ClientOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return earliest(this.#deadline, this.#pongDue, this.#requests.nextDeadline());
  }

  handleTimeout(now: Instant): void {
    for (let late = this.#requests.expire(now); late; late = this.#requests.expire(now)) {
      this.#abandon(late);
      this.#fail(late, timeoutError(late));
    }
    if (this.#isPongMissing(now)) this.#lose(new UnderpassError('heartbeat_timeout'), now);
    if (this.#deadline === undefined || now < this.#deadline) return;
    if (this.#state === 'pausing') this.#connect();
    else if (this.#state === 'online') this.#ping(now);
    else this.#lose(new UnderpassError('heartbeat_timeout'), now);
  }

  #isPongMissing(now: Instant): boolean {
    if (this.#pongDue === undefined || now < this.#pongDue) return false;
    if (this.#putOff || now - this.#pongDue < LATE) return true;
    this.#putOff = true;
    this.#pongDue = now + SECOND_LOOK;
    return false;
  }

  /** Whether there is a WebSocket to hear from. */
  get #connected(): boolean {
    return this.#state === 'greeting' || this.#state === 'authenticating' || this.#state === 'online';
  }

  #connect(): void {
    this.#state = 'connecting';
    this.#deadline = undefined;
    this.#parting = undefined;
    this.#outputs.push({ type: 'connect' });
  }

  #handle(message: ServerMessage, now: Instant): void {
    if (message.type === 'auth_error') throw serverError(message.code, message.message);
    if (this.#state === 'greeting' && message.type === 'hello') this.#authenticate(message, now);
    else if (this.#state === 'authenticating' && message.type === 'auth_ok') this.#begin(message, now);
    else if (this.online) this.#serve(message);
    else throw outOfTurn(message);
  }

  #authenticate(hello: FromServer<'hello'>, now: Instant): void {
    if (!hello.protocol.includes(PROTOCOL_VERSION)) throw new UnderpassError('protocol_unsupported');
    this.#stun = hello.stun;
    const { version, token, identity, sign } = this.#options;
    this.#send({
      type: 'auth',
      protocol: PROTOCOL_VERSION,
      client_version: version,
      identity,
      signature: sign(Buffer.from(hello.challenge, 'base64url')).toString('base64url'),
      ...(token === undefined ? {} : { token }),
      ...(this.#session === undefined ? {} : { resume: this.#session }),
    });
    this.#state = 'authenticating';
    this.#deadline = now + HANDSHAKE_TIMEOUT;
  }

  #begin({ session, resumed, limits, voucher }: FromServer<'auth_ok'>, now: Instant): void {
    this.#state = 'online';
    this.#session = session;
    this.#onlineSince = now;
    this.#deadline = now + PING_INTERVAL;
    const waiting = this.#outbox.splice(0);
    if (resumed) for (const notice of waiting) this.#send(notice);
    this.#outputs.push({ type: 'online', resumed, limits, stun: this.#stun, voucher });
  }

  #serve(message: ServerMessage): void {
    switch (message.type) {
      case 'pong':
        this.#pongDue = undefined;
        this.#putOff = false;
        break;
      case 'p2p_offer':
        this.#outputs.push({ type: 'offer', offer: message });
        break;
      case 'p2p_close': {
        const code = message.code !== undefined && isErrorCode(message.code) ? message.code : undefined;
        this.#outputs.push({ type: 'link_closed', link: message.link, code });
        break;
      }
      case 'p2p_message':
      case 'p2p_step':
      case 'p2p_go':
      case 'p2p_relay':
        this.#outputs.push({ type: 'punch', message });
        break;
      case 'replaced':
        this.#outputs.push({ type: 'replaced', name: message.name });
        break;
      case 'p2p_waiting':
        if (this.#requests.waiting(message.request_id)) {
          this.#outputs.push({ type: 'waiting', request: message.request_id });
        }
        break;
      case 'registered':
      case 'p2p_answer':
      case 'data_ready':
        if (this.#requests.answered(message)) {
          this.#outputs.push({ type: 'response', request: message.request_id, response: message });
        }
        break;
      case 'error':
        this.#error(message);
        break;
      default:
        throw outOfTurn(message);
    }
  }

  #error({ request_id, code, message }: FromServer<'error'>): void {
    if (request_id === undefined) {
      // It is about the session, which the server has ended and now closes.
      this.#parting = serverError(code, message);
      this.#session = undefined;
      return;
    }
    const request = this.#requests.take(request_id);
    if (request)
      this.#fail(request, serverError(code, message, 'name' in request ? { name: request.name } : {}));
  }

  #ping(now: Instant): void {
    this.#deadline = now + PING_INTERVAL;
    this.#pongDue ??= now + PONG_TIMEOUT;
    this.#send({ type: 'ping', timestamp: Math.round(now) });
  }

  #lose(error: UnderpassError, now: Instant): void {
    if (this.online && now - this.#onlineSince >= STABLE_TIME) this.#backoff.reset();
    this.#leave(error.code === 'protocol_error' ? CLOSE.protocol : CLOSE.heartbeat, error);
    if (!error.retry) {
      this.#state = 'stopped';
      this.#outputs.push({ type: 'fatal', error });
      return;
    }
    this.#state = 'pausing';
    this.#patient = error.code === 'rate_limited' || error.code === 'server_full';
    const retry_in_ms = this.#backoff.next(this.#patient);
    this.#deadline = now + retry_in_ms;
    this.#outputs.push({ type: 'offline', error, retry_in_ms });
  }

  /** Drops the connection and everything that hangs on it. */
  #leave(code: number, error: UnderpassError): void {
    if (this.#state !== 'pausing') this.#outputs.push({ type: 'disconnect', code });
    this.#state = 'pausing';
    this.#deadline = undefined;
    this.#pongDue = undefined;
    this.#putOff = false;
    for (const request of this.#requests.takeAll()) {
      this.#abandon(request);
      this.#fail(request, error.retry ? new UnderpassError('server_lost', {}, { cause: error }) : error);
    }
  }

  /** The server may still answer; a link that comes of it must not live on. */
  #abandon(request: Request): void {
    if (request.type === 'p2p_connect') this.notify({ type: 'p2p_close', link: request.link });
  }

  #fail(request: Request, error: UnderpassError): void {
    this.#outputs.push({ type: 'failed', request: request.request_id, error });
  }

  #send(message: ClientMessage): void {
    this.#outputs.push({ type: 'send', text: encode(message) });
  }
}
