import type { Instant } from '../machine.ts';

/** A publisher's claim to a name. */
export interface Registration {
  readonly name: string;
  /** The session that publishes it: the hub's key of it, not the client's secret. */
  readonly session: string;
  /** The publisher's Ed25519 key, b64u. */
  readonly identity: string;
  readonly secrets: readonly RegisteredSecret[];
}

export interface RegisteredSecret {
  readonly key_id: number;
  /** `secret_hash` of docs/protocol.md section 1. */
  readonly hash: string;
}

/** What became of a claim. `displaced` is the session that published the name until now. */
export type ClaimResult =
  | { readonly claimed: true; readonly displaced: string | undefined }
  | { readonly claimed: false; readonly code: 'name_in_use' | 'server_full' };

/**
 * Who publishes which name. Asynchronous, so that several servers can share one; calls about one name take effect, and
 * are answered, in the order in which they were made.
 */
export interface NameRegistry {
  /** The same identity may claim its name again and displaces itself; anyone else gets `name_in_use`. */
  claim(registration: Registration, now: Instant): Promise<ClaimResult>;
  lookup(name: string, now: Instant): Promise<Registration | undefined>;
  /** Gives a name up, if `session` still has it. With `hold`, nobody but its identity can claim it for 60 s. */
  release(name: string, session: string, hold: boolean, now: Instant): Promise<void>;
}

/** How long a vanished publisher's name waits for it, in milliseconds. */
export const HOLD_TIME = 60_000;

interface Hold {
  readonly identity: string;
  readonly until: Instant;
}

/** Names of one server, in its memory. */
export class MemoryRegistry implements NameRegistry {
  readonly #capacity: number;
  readonly #registrations = new Map<string, Registration>();
  /** In the order in which they end. */
  readonly #holds = new Map<string, Hold>();

  /** `capacity` bounds the names that are published, and separately those that are held. */
  constructor(capacity = 1_000_000) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#registrations.size;
  }

  get held(): number {
    return this.#holds.size;
  }

  async claim(registration: Registration, now: Instant): Promise<ClaimResult> {
    this.#expire(now);
    const { name, identity } = registration;
    const current = this.#registrations.get(name);
    const owner = current ?? this.#holds.get(name);
    if (owner !== undefined && owner.identity !== identity) return { claimed: false, code: 'name_in_use' };
    if (current === undefined && this.#registrations.size >= this.#capacity) {
      return { claimed: false, code: 'server_full' };
    }
    this.#holds.delete(name);
    this.#registrations.set(name, registration);
    const displaced = current?.session === registration.session ? undefined : current?.session;
    return { claimed: true, displaced };
  }

  async lookup(name: string): Promise<Registration | undefined> {
    return this.#registrations.get(name);
  }

  async release(name: string, session: string, hold: boolean, now: Instant): Promise<void> {
    this.#expire(now);
    const current = this.#registrations.get(name);
    if (current?.session !== session) return;
    this.#registrations.delete(name);
    if (hold) this.#holds.set(name, { identity: current.identity, until: now + HOLD_TIME });
  }

  #expire(now: Instant): void {
    for (const [name, { until }] of this.#holds) {
      if (until > now && this.#holds.size <= this.#capacity) break;
      this.#holds.delete(name);
    }
  }
}
