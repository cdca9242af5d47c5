import { UnderpassError } from '../errors.ts';
import type { HubOutput } from './hub-output.ts';
import type { ServerLimits } from './limits.ts';
import type { FromClient } from './messages.ts';
import type { Session } from './records.ts';
import type { ClaimResult, Registration } from './registry.ts';
import type { Sessions } from './sessions.ts';

/** What tunnels need of their hub. */
export interface TunnelsContext {
  readonly limits: ServerLimits;
  readonly sessions: Sessions;
  emit(output: HubOutput): void;
}

/** A `register` that the registry has not answered. */
interface Claim {
  readonly session: Session;
  readonly requestId: string;
  readonly registration: Registration;
  /** `unregister` came first. */
  cancelled: boolean;
}

/** A name that has just been given to a session. */
export interface Publication {
  readonly publisher: Session;
  readonly registration: Registration;
  /** Whose it was until now. */
  readonly displaced: Session | undefined;
}

/** Which session publishes which names, as far as this server knows; the registry decides. */
export class Tunnels {
  readonly #context: TunnelsContext;
  readonly #claims = new Map<number, Claim>();
  #lastClaim = 0;
  #size = 0;

  constructor(context: TunnelsContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#size;
  }

  register(session: Session, message: FromClient<'register'>): void {
    const { name, request_id: requestId, secrets } = message;
    const most = this.#context.limits.tunnels_per_session;
    const again = session.tunnels.has(name);
    if (session.claims >= most || (!again && session.tunnels.size + session.claims >= most)) {
      this.#context.sessions.fail(session, requestId, new UnderpassError('too_many_tunnels'));
      return;
    }
    const registration = { name, session: session.key, identity: session.identity, secrets };
    const ref = ++this.#lastClaim;
    this.#claims.set(ref, { session, requestId, registration, cancelled: false });
    session.claims++;
    this.#context.emit({ type: 'claim', ref, registration });
  }

  /** The registry's answer to a `claim`. Returns the publication when there is a new one. */
  claimed(ref: number, result: ClaimResult): Publication | undefined {
    const claim = this.#claims.get(ref);
    if (claim === undefined) return undefined;
    this.#claims.delete(ref);
    const { session, requestId, registration } = claim;
    const { name } = registration;
    session.claims--;
    const { sessions } = this.#context;
    if (!result.claimed) {
      sessions.fail(session, requestId, new UnderpassError(result.code, { name }));
      return undefined;
    }
    const displaced = sessions.get(result.displaced ?? '');
    if (displaced && this.#forget(displaced, name)) sessions.send(displaced, { type: 'replaced', name });
    sessions.send(session, { type: 'registered', request_id: requestId, name });
    const gone = sessions.get(session.key) === undefined;
    if (gone || claim.cancelled) {
      this.#release(session, name, gone);
      return undefined;
    }
    if (!session.tunnels.has(name)) this.#size++;
    session.tunnels.add(name);
    return { publisher: session, registration, displaced };
  }

  unregister(session: Session, name: string): void {
    for (const claim of this.#claims.values()) {
      if (claim.session === session && claim.registration.name === name) claim.cancelled = true;
    }
    if (this.#forget(session, name)) this.#release(session, name, false);
  }

  /** The session is gone; its names wait for its identity. */
  drop(session: Session): void {
    for (const name of session.tunnels) {
      this.#forget(session, name);
      this.#release(session, name, true);
    }
  }

  #forget(session: Session, name: string): boolean {
    const had = session.tunnels.delete(name);
    if (had) this.#size--;
    return had;
  }

  #release(session: Session, name: string, hold: boolean): void {
    this.#context.emit({ type: 'release', name, session: session.key, hold });
  }
}
