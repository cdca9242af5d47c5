import type { Instant } from '../machine.ts';
import { Deadlines } from './deadlines.ts';
import type { Session } from './records.ts';

/** How long an id can be used, in milliseconds. */
const LIFETIME = 30_000;

/** The ids that open `/_data/<session_id>`: each once, one a session, the latest. */
export class DataIds {
  readonly #sessions = new Map<string, Session>();
  readonly #ids = new Map<Session, string>();
  readonly #deadlines = new Deadlines<string>(LIFETIME);

  get size(): number {
    return this.#sessions.size;
  }

  issue(session: Session, id: string, now: Instant): void {
    this.drop(session);
    this.#sessions.set(id, session);
    this.#ids.set(session, id);
    this.#deadlines.set(id, now);
  }

  /** Whose id it is. It is used up by this. */
  take(id: string): Session | undefined {
    const session = this.#sessions.get(id);
    if (session) this.drop(session);
    return session;
  }

  drop(session: Session): void {
    const id = this.#ids.get(session);
    if (id === undefined) return;
    this.#ids.delete(session);
    this.#sessions.delete(id);
    this.#deadlines.delete(id);
  }

  nextDeadline(): Instant | undefined {
    return this.#deadlines.next();
  }

  expire(now: Instant): void {
    for (let id = this.#deadlines.expire(now); id !== undefined; id = this.#deadlines.expire(now))
      this.take(id);
  }
}
