import { asUnderpassError, type ErrorCode, UnderpassError } from '../errors.ts';
import type { Instant, Machine } from '../machine.ts';
import { Gatekeeper } from './auth.ts';
import { CLOSE, closeCode } from './close.ts';
import { type Connection, Connections } from './connections.ts';
import { DataIds } from './data-ids.ts';
import { earliest } from './deadlines.ts';
import type { HubOutput } from './hub-output.ts';
import type { HubOptions, HubPolicy, ServerLimits } from './limits.ts';
import { Links } from './links.ts';
import {
  type ClientMessage,
  encode,
  type FromClient,
  outOfTurn,
  PROTOCOL_VERSION,
  parseClientMessage,
  type ServerMessage,
  type StunGreeting,
  wordsFor,
} from './messages.ts';
import type { PlanPunch } from './punch-plan.ts';
import { Punches } from './punches.ts';
import type { Session } from './records.ts';
import type { ClaimResult, Registration } from './registry.ts';
import { Sessions } from './sessions.ts';
import { Tunnels } from './tunnels.ts';

type Seen = NonNullable<FromClient<'nat'>['seen']>;

/** Connections beyond the sessions allowed: clients that resume, and those that have yet to prove themselves. */
const SPARE_CONNECTIONS = 1024;

/** The server's side of all signaling: one machine for all clients, with one timer. Connections are numbers here. */
export class SignalingHub implements Machine<HubOutput> {
  limits: ServerLimits;
  direct: boolean;
  rememberOutcomes: boolean;
  /** What newcomers are told of STUN. */
  stun: StunGreeting | undefined;
  readonly gatekeeper: Gatekeeper;
  readonly sessions = new Sessions((output) => this.emit(output));
  readonly planPunch: PlanPunch;
  readonly punches = new Punches(this);
  readonly #options: HubOptions;
  readonly #tunnels = new Tunnels(this);
  readonly #links = new Links(this);
  readonly #dataIds = new DataIds();
  readonly #connections = new Connections();
  readonly #outputs: HubOutput[] = [];
  #draining = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.direct = options.direct;
    this.rememberOutcomes = options.rememberOutcomes;
    this.planPunch = options.planPunch;
    this.gatekeeper = new Gatekeeper(options.tokens, options.limits.failed_auth_per_ip_per_minute);
  }

  /** How much there is of everything. */
  get counts() {
    return {
      connections: this.#connections.size,
      sessions: this.sessions.size,
      tunnels: this.#tunnels.size,
      links: this.#links.size,
      punches: this.punches.size,
      dataIds: this.#dataIds.size,
    };
  }

  /** Somebody connected. `id` was never used before. */
  connect(id: number, remoteAddress: string, now: Instant): void {
    const challenge = this.#options.randomBytes(32);
    const connection = this.#connections.add(id, remoteAddress, challenge, now);
    if (this.#draining || this.#connections.size > this.limits.sessions + SPARE_CONNECTIONS) {
      this.#reject(connection, new UnderpassError(this.#draining ? 'server_restarting' : 'server_full'), now);
      return;
    }
    this.#say(connection, {
      type: 'hello',
      protocol: [PROTOCOL_VERSION],
      server_version: this.#options.version,
      challenge: challenge.toString('base64url'),
      stun: this.stun,
    });
  }

  /** A text message arrived. Nothing that it says can throw or disturb another session. */
  receive(id: number, text: string, now: Instant): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    try {
      const message = parseClientMessage(text);
      if (connection.session) this.#handle(connection, connection.session, message, now);
      else this.#authenticate(connection, message, now);
    } catch (error) {
      this.#reject(connection, asUnderpassError(error), now);
    }
    this.#endExpired(now);
  }

  /** The connection did what no client does: a binary message, a queue that it never reads. Ends its session. */
  fail(id: number, problem: string, now: Instant): void {
    const connection = this.#connections.get(id);
    if (connection) this.#reject(connection, new UnderpassError('protocol_error', { problem }), now);
  }

  /** The connection is gone. With `goodbye` (close code 1000) the client does not mean to come back. */
  disconnect(id: number, goodbye: boolean, now: Instant): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#forget(connection, now);
    if (goodbye && connection.session) this.#end(connection.session, now);
  }

  /** The registry's answer to the `claim` output with this `ref`. */
  claimed(ref: number, result: ClaimResult, now: Instant): void {
    const publication = this.#tunnels.claimed(ref, result);
    if (publication) this.#links.published(publication, now);
    this.#endExpired(now);
  }

  /** The registry's answer to the `lookup` output with this `ref`. */
  found(ref: number, registration: Registration | undefined, now: Instant): void {
    this.#links.found(ref, registration, now);
    this.#endExpired(now);
  }

  /** The relay says that a link is over; both parties hear of it. */
  linkClosed(link: string, code: ErrorCode | undefined, now: Instant): void {
    this.#links.relayClosed(link, code, now);
    this.#endExpired(now);
  }

  /** The session key behind the id of a `/_data/<session_id>`, once. */
  takeDataSession(id: string): string | undefined {
    return this.#dataIds.take(id)?.key;
  }

  /** Applies to what comes; what is there stays. */
  reload({ limits, tokens, direct, rememberOutcomes }: HubPolicy): void {
    this.limits = limits;
    this.direct = direct;
    this.rememberOutcomes = rememberOutcomes;
    this.gatekeeper.reload(tokens, limits.failed_auth_per_ip_per_minute);
  }

  /** Nothing new from now on: connections, names and links get `server_restarting`. */
  drain(): void {
    this.#draining = true;
  }

  /** Says goodbye to everybody. */
  shutdown(): void {
    this.#draining = true;
    for (const connection of this.#connections.values()) {
      this.#close(connection, CLOSE.restarting, 'the server is restarting');
    }
  }

  emit(output: HubOutput): void {
    this.#outputs.push(output);
  }

  pollOutput(): HubOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return earliest(
      this.#connections.nextDeadline(),
      this.sessions.nextDeadline(),
      this.#links.nextDeadline(),
      this.punches.nextDeadline(),
      this.#dataIds.nextDeadline(),
    );
  }

  handleTimeout(now: Instant): void {
    const connections = this.#connections;
    for (let slow = connections.expireUnproven(now); slow; slow = connections.expireUnproven(now)) {
      this.#reject(slow, new UnderpassError('protocol_error', { problem: 'no auth in time' }), now);
    }
    for (let silent = connections.expireSilent(now); silent; silent = connections.expireSilent(now)) {
      this.#close(silent, CLOSE.heartbeat, 'heartbeat lost');
      this.#forget(silent, now);
    }
    this.#links.expire(now);
    this.punches.expire(now);
    this.#dataIds.expire(now);
    this.#endExpired(now);
  }

  #authenticate(connection: Connection, message: ClientMessage, now: Instant): void {
    const { challenge, remoteAddress } = connection;
    if (message.type !== 'auth' || challenge === undefined) throw outOfTurn(message);
    const token = this.gatekeeper.authenticate(message, challenge, remoteAddress, now);
    const resumed = this.sessions.find(message.resume ?? '', message.identity);
    const session = resumed ?? this.#open(message.identity, token);
    this.#connections.prove(connection, session, now);
    const elsewhere = this.#connections.get(session.connection ?? -1);
    if (elsewhere) {
      this.#close(elsewhere, CLOSE.resumedElsewhere, 'resumed elsewhere');
      this.#forget(elsewhere, now);
    }
    this.sessions.attach(session, connection.id, remoteAddress);
    const { message_bytes, frame_bytes, streams_per_link } = this.limits;
    this.sessions.send(session, {
      type: 'auth_ok',
      session: session.id,
      resumed: resumed !== undefined,
      limits: { message_bytes, frame_bytes, streams_per_link },
      voucher: session.voucher.toString('base64url'),
    });
    this.sessions.flush(session);
    this.#links.resumed(session);
    this.punches.resumed(session, now);
  }

  #open(identity: string, token: number): Session {
    if (this.#draining) throw new UnderpassError('server_restarting');
    if (this.sessions.size >= this.limits.sessions) throw new UnderpassError('server_full');
    const id = this.#options.randomBytes(16).toString('base64url');
    const voucher = this.#options.randomBytes(16);
    return this.sessions.open({ id, voucher }, identity, token);
  }

  #handle(connection: Connection, session: Session, message: ClientMessage, now: Instant): void {
    this.#connections.heard(connection, now);
    switch (message.type) {
      case 'ping':
        this.#say(connection, { type: 'pong', timestamp: message.timestamp });
        break;
      case 'nat':
        this.#learnNat(session, message, now);
        break;
      case 'register':
        this.#learnNat(session, message, now);
        if (this.#accepts(session, message)) this.#tunnels.register(session, message);
        break;
      case 'unregister':
        this.#tunnels.unregister(session, message.name);
        break;
      case 'p2p_connect':
        if (this.#accepts(session, message)) this.#links.connect(session, message);
        break;
      case 'p2p_answer':
        this.#links.answer(session, message, now);
        break;
      case 'p2p_refuse':
        this.#links.refuse(session, message.link, message.code);
        break;
      case 'p2p_close':
        this.#links.close(session, message.link, message.code, now);
        break;
      case 'p2p_message':
      case 'p2p_armed':
      case 'p2p_result':
      case 'p2p_again':
      case 'p2p_bytes': {
        const link = this.#links.openTo(session, message.link);
        if (link) this.punches.receive(link, session, message, now);
        break;
      }
      case 'open_data':
        this.#openData(session, message.request_id, now);
        break;
      case 'auth':
        throw outOfTurn(message);
    }
  }

  #learnNat(session: Session, message: FromClient<'nat' | 'register'>, now: Instant): void {
    const { nat, lan = false, seen } = message;
    if (nat === undefined) return;
    session.nat = nat;
    session.lan = lan;
    session.seen = seen && this.#checked(session, seen, now);
    this.punches.measured(session, now);
  }

  /** What the client says of where STUN has seen it, if that is true. */
  #checked({ voucher }: Session, seen: Seen, now: Instant): Session['seen'] {
    const { address, proof } = seen;
    const claim = { voucher, address, proof: Buffer.from(proof, 'base64url') };
    const until = this.#options.checkSource(claim, now);
    return until === undefined ? undefined : { address, until };
  }

  #accepts(session: Session, { request_id }: FromClient<'register' | 'p2p_connect'>): boolean {
    if (this.#draining) this.sessions.fail(session, request_id, new UnderpassError('server_restarting'));
    return !this.#draining;
  }

  #openData(session: Session, requestId: string, now: Instant): void {
    const id = this.#options.randomBytes(16).toString('hex');
    this.#dataIds.issue(session, id, now);
    this.sessions.send(session, { type: 'data_ready', request_id: requestId, session_id: id });
  }

  /** Tells a client what it did wrong, and ends its connection and session. */
  #reject(connection: Connection, error: UnderpassError, now: Instant): void {
    this.emit({ type: 'failure', error });
    const { code } = error;
    const { session } = connection;
    this.#say(connection, { type: session ? 'error' : 'auth_error', ...wordsFor(error) });
    this.#close(connection, closeCode(code), code);
    if (session) this.#end(session, now);
  }

  /** Closes and forgets a connection; its session, if any, still names it. */
  #close(connection: Connection, code: number, reason: string): void {
    this.emit({ type: 'close', connection: connection.id, code, reason });
    this.#connections.remove(connection);
  }

  /** After a connection is gone its session waits for the client to come back. */
  #forget(connection: Connection, now: Instant): void {
    this.#connections.remove(connection);
    if (connection.session) this.sessions.detach(connection.session, now);
  }

  #endExpired(now: Instant): void {
    for (let gone = this.sessions.expire(now); gone; gone = this.sessions.expire(now)) this.#end(gone, now);
  }

  #end(session: Session, now: Instant): void {
    this.sessions.remove(session);
    this.#tunnels.drop(session);
    this.#links.drop(session, now);
    this.#dataIds.drop(session);
  }

  #say(connection: Connection, message: ServerMessage): void {
    this.emit({ type: 'send', connection: connection.id, text: encode(message) });
  }
}
