import type { WebSocket } from 'ws';
import { asUnderpassError, type ErrorCode, type UnderpassError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Driver } from '../net/driver.ts';
import { RateLimiter, rateKey } from '../net/rate-limit.ts';
import type { Runtime } from '../net/runtime.ts';
import type { WebSocketRoute } from '../net/websocket-server.ts';
import { SignalingHub } from './hub.ts';
import type { HubOutput, LinkOpen } from './hub-output.ts';
import type { CheckSource, HubPolicy } from './limits.ts';
import type { StunGreeting } from './messages.ts';
import type { PunchOutcome } from './punch.ts';
import type { PlanPunch } from './punch-plan.ts';
import type { ClaimResult, NameRegistry } from './registry.ts';

/** A client that lets this many bytes wait does not read, and is not waited for. */
const MAX_BACKLOG = 1024 * 1024;

/** What the relay and the metrics want to know. */
export interface SignalingHooks {
  /** Both sides agreed to a link: bridge it. */
  onLinkOpen(link: LinkOpen): void;
  /** The parties ended a link. Not called for those that `linkClosed` ended. */
  onLinkClosed(link: string): void;
  /** A client is gone for good, and its data connection has nobody behind it. */
  onSessionClosed(session: string): void;
  /** A search for a direct path is over. */
  onPunched(outcome: PunchOutcome): void;
  /** Bytes that a client says have come over a direct path. Nothing may be limited or charged by it. */
  onDirectBytes(direction: 'up' | 'down', bytes: number): void;
  /** A client was told of an error. */
  onFailure(error: UnderpassError): void;
}

export interface SignalingServerOptions extends HubPolicy {
  readonly version: string;
  readonly registry: NameRegistry;
  readonly planPunch: PlanPunch;
  readonly checkSource: CheckSource;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly hooks: SignalingHooks;
}

/** Runs the hub over the `/_control` WebSockets of one server. */
export class SignalingServer {
  /** For the WebSocket listener. */
  readonly route: WebSocketRoute;
  readonly #options: SignalingServerOptions;
  readonly #hub: SignalingHub;
  readonly #driver: Driver<HubOutput>;
  readonly #sockets = new Map<number, WebSocket>();
  readonly #rates: RateLimiter;
  #lastConnection = 0;

  constructor(options: SignalingServerOptions) {
    this.#options = options;
    const { runtime, limits } = options;
    this.#hub = new SignalingHub({ ...options, randomBytes: (size) => runtime.randomBytes(size) });
    this.#driver = new Driver(this.#hub, runtime, (output) => this.#perform(output));
    this.#rates = new RateLimiter(limits.connections_per_ip_per_minute);
    this.route = {
      path: /^\/_control$/,
      maxPayload: () => this.#hub.limits.message_bytes,
      admit: (_, remoteAddress) => (socket) => this.#accept(socket, remoteAddress),
    };
  }

  /** How much there is of everything, for metrics. */
  get counts(): SignalingHub['counts'] {
    return this.#hub.counts;
  }

  /** Clients by what their NAT is called, for metrics. */
  get sessionsByNat(): Readonly<Record<string, number>> {
    return this.#hub.sessions.countByNat();
  }

  /** From now on the greeting says this of STUN. */
  announceStun(stun: StunGreeting): void {
    this.#hub.stun = stun;
  }

  /** Whether this address may open one more WebSocket, of either kind; counts it. */
  allow(remoteAddress: string): boolean {
    return this.#rates.take(rateKey(remoteAddress), this.#options.runtime.now());
  }

  /** Whose `/_data/<session_id>` this is: a session as `onLinkOpen` names it. Uses the id up. */
  takeDataSession(id: string): string | undefined {
    return this.#hub.takeDataSession(id);
  }

  /** The relay has ended a link; its parties are told. */
  linkClosed(link: string, code?: ErrorCode): void {
    this.#input((now) => this.#hub.linkClosed(link, code, now));
  }

  /** New limits, tokens and policy, for what comes. Nobody is dropped. */
  reload(policy: HubPolicy): void {
    this.#hub.reload(policy);
    this.#rates.setRate(policy.limits.connections_per_ip_per_minute);
  }

  /** Refuses everything new with `server_restarting`; what is there goes on. */
  drain(): void {
    this.#hub.drain();
  }

  /** Closes every WebSocket, telling clients to come back. */
  close(): void {
    this.#input(() => this.#hub.shutdown());
    this.#driver.stop();
  }

  #accept(socket: WebSocket, remoteAddress: string): void {
    const id = ++this.#lastConnection;
    this.#sockets.set(id, socket);
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#input((now) => this.#hub.fail(id, 'binary message', now));
      else this.#input((now) => this.#hub.receive(id, String(data), now));
    });
    socket.on('close', (code) => {
      this.#sockets.delete(id);
      this.#input((now) => this.#hub.disconnect(id, code === 1000, now));
    });
    socket.on('error', () => socket.terminate());
    this.#input((now) => this.#hub.connect(id, remoteAddress, now));
  }

  #perform(output: HubOutput): void {
    const { hooks } = this.#options;
    switch (output.type) {
      case 'send':
        this.#send(output.connection, output.text);
        break;
      case 'close':
        this.#sockets.get(output.connection)?.close(output.code, output.reason);
        break;
      case 'claim':
        void this.#claim(output);
        break;
      case 'lookup':
        void this.#lookup(output);
        break;
      case 'release':
        void this.#release(output);
        break;
      case 'link_open':
        hooks.onLinkOpen(output);
        break;
      case 'link_closed':
        hooks.onLinkClosed(output.link);
        break;
      case 'session_closed':
        hooks.onSessionClosed(output.session);
        break;
      case 'punched':
        hooks.onPunched(output);
        break;
      case 'direct_bytes':
        hooks.onDirectBytes(output.direction, output.bytes);
        break;
      case 'failure':
        this.#onFailure(output.error);
        break;
    }
  }

  #onFailure(error: UnderpassError): void {
    const { log, hooks } = this.#options;
    if (error.code === 'internal') log.error('a message could not be handled', { problem: error.message });
    hooks.onFailure(error);
  }

  #send(connection: number, text: string): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined) return;
    socket.send(text);
    if (socket.bufferedAmount <= MAX_BACKLOG) return;
    this.#hub.fail(connection, 'messages are not read', this.#options.runtime.now());
    socket.terminate();
  }

  async #claim({ ref, registration }: Extract<HubOutput, { type: 'claim' }>): Promise<void> {
    let result: ClaimResult = { claimed: false, code: 'server_full' };
    try {
      result = await this.#options.registry.claim(registration, this.#options.runtime.now());
    } catch (error) {
      this.#complain(error);
    }
    this.#input((now) => this.#hub.claimed(ref, result, now));
  }

  async #lookup({ ref, name }: Extract<HubOutput, { type: 'lookup' }>): Promise<void> {
    const { registry, runtime } = this.#options;
    const found = await registry.lookup(name, runtime.now()).catch((error) => this.#complain(error));
    this.#input((now) => this.#hub.found(ref, found, now));
  }

  async #release({ name, session, hold }: Extract<HubOutput, { type: 'release' }>): Promise<void> {
    const { registry, runtime } = this.#options;
    await registry.release(name, session, hold, runtime.now()).catch((error) => this.#complain(error));
  }

  #complain(error: unknown): undefined {
    this.#options.log.error('the name registry failed', { problem: asUnderpassError(error).message });
  }

  #input(give: (now: number) => void): void {
    give(this.#options.runtime.now());
    this.#driver.pump();
  }
}
