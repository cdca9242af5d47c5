import type { UnderpassError } from '../errors.ts';
import type { Instant } from '../machine.ts';
import type { NatType } from '../nat/behaviour.ts';
import { Deadlines } from './deadlines.ts';
import type { HubOutput } from './hub-output.ts';
import { encode, type ServerMessage, wordsFor } from './messages.ts';
import { natTypes } from './nat-schema.ts';
import type { Session } from './records.ts';

/** How long a session outlives its connection, in milliseconds. */
const DETACHED_TIME = 40_000;
/** Messages that wait for a client that is away, and how many of them may be such as it could do without. */
const MAX_OUTBOX = 256;
const MAX_DISPENSABLE = 128;

/** All sessions, attached to a connection or not, and what is said to them. */
export class Sessions {
  readonly #emit: (output: HubOutput) => void;
  readonly #byKey = new Map<string, Session>();
  readonly #byId = new Map<string, Session>();
  readonly #detached = new Deadlines<Session>(DETACHED_TIME);
  /** Away, and with more to hear than is kept for them. */
  readonly #overflowing = new Set<Session>();
  #lastKey = 0;

  constructor(emit: (output: HubOutput) => void) {
    this.#emit = emit;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** How many sit behind which kind of NAT; those that have not said count as `unknown`. */
  countByNat(): Record<NatType, number> {
    const counts = Object.fromEntries(natTypes.map((type) => [type, 0])) as Record<NatType, number>;
    for (const { nat } of this.#byKey.values()) counts[nat?.type ?? 'unknown']++;
    return counts;
  }

  get(key: string): Session | undefined {
    return this.#byKey.get(key);
  }

  /** The session that a client may carry on with: its own identity's only. */
  find(id: string, identity: string): Session | undefined {
    const session = this.#byId.get(id);
    return session?.identity === identity ? session : undefined;
  }

  /** @param secrets what only the client is told */
  open(secrets: Pick<Session, 'id' | 'voucher'>, identity: string, token: number): Session {
    const session: Session = {
      key: `s${++this.#lastKey}`,
      ...secrets,
      identity,
      token,
      remoteAddress: '',
      nat: undefined,
      lan: false,
      seen: undefined,
      connection: undefined,
      outbox: [],
      tunnels: new Set(),
      claims: 0,
      links: new Set(),
    };
    this.#byKey.set(session.key, session);
    this.#byId.set(session.id, session);
    return session;
  }

  attach(session: Session, connection: number, remoteAddress: string): void {
    this.#detached.delete(session);
    session.connection = connection;
    session.remoteAddress = remoteAddress;
  }

  /** Sends what has waited. Apart from `attach`, because `auth_ok` comes first. */
  flush(session: Session): void {
    const { connection } = session;
    if (connection === undefined) return;
    for (const text of session.outbox.splice(0)) this.#emit({ type: 'send', connection, text });
  }

  detach(session: Session, now: Instant): void {
    session.connection = undefined;
    this.#detached.set(session, now);
  }

  /** Forgets the session. What it had is the caller's to clean up. */
  remove(session: Session): void {
    this.#byKey.delete(session.key);
    this.#byId.delete(session.id);
    this.#detached.delete(session);
    this.#overflowing.delete(session);
    this.#emit({ type: 'session_closed', session: session.key });
  }

  send(session: Session, message: ServerMessage): void {
    if (!this.#byKey.has(session.key)) return;
    const { connection, outbox } = session;
    const text = encode(message);
    if (connection !== undefined) this.#emit({ type: 'send', connection, text });
    else if (outbox.length < MAX_OUTBOX) outbox.push(text);
    else this.#overflowing.add(session);
  }

  /** Says what a client can do without: if it is away, only while little waits for it. */
  mention(session: Session, message: ServerMessage): void {
    if (session.connection !== undefined || session.outbox.length < MAX_DISPENSABLE)
      this.send(session, message);
  }

  /** Answers a request with an error. */
  fail(session: Session, requestId: string, error: UnderpassError): void {
    this.#emit({ type: 'failure', error });
    this.send(session, { type: 'error', request_id: requestId, ...wordsFor(error) });
  }

  nextDeadline(): Instant | undefined {
    return this.#detached.next();
  }

  /** A session that stayed away for too long or has too much to hear, until there is none. */
  expire(now: Instant): Session | undefined {
    for (const session of this.#overflowing) return session;
    return this.#detached.expire(now);
  }
}
