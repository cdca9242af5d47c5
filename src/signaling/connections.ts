import type { Instant } from '../machine.ts';
import { Deadlines, earliest } from './deadlines.ts';
import type { Session } from './records.ts';

/** How long a client may take to prove itself, in milliseconds. */
const AUTH_TIMEOUT = 10_000;
/** How long a client may be silent. It pings every 30 s. */
const HEARTBEAT_TIMEOUT = 45_000;

/** One `/_control` WebSocket, as the hub knows it. */
export interface Connection {
  readonly id: number;
  readonly remoteAddress: string;
  /** Until the client has proved itself. */
  challenge: Buffer | undefined;
  /** Since then. */
  session: Session | undefined;
}

/** Connections, and which of them have been silent for too long. */
export class Connections {
  readonly #byId = new Map<number, Connection>();
  readonly #unproven = new Deadlines<Connection>(AUTH_TIMEOUT);
  readonly #silent = new Deadlines<Connection>(HEARTBEAT_TIMEOUT);

  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Connection | undefined {
    return this.#byId.get(id);
  }

  /** All of them; removing some meanwhile is fine. */
  values(): Iterable<Connection> {
    return this.#byId.values();
  }

  add(id: number, remoteAddress: string, challenge: Buffer, now: Instant): Connection {
    const connection = { id, remoteAddress, challenge, session: undefined };
    this.#byId.set(id, connection);
    this.#unproven.set(connection, now);
    return connection;
  }

  /** The client has proved itself. */
  prove(connection: Connection, session: Session, now: Instant): void {
    connection.challenge = undefined;
    connection.session = session;
    this.#unproven.delete(connection);
    this.heard(connection, now);
  }

  /** A message came from a client that has proved itself. */
  heard(connection: Connection, now: Instant): void {
    this.#silent.set(connection, now);
  }

  remove(connection: Connection): void {
    this.#byId.delete(connection.id);
    this.#unproven.delete(connection);
    this.#silent.delete(connection);
  }

  nextDeadline(): Instant | undefined {
    return earliest(this.#unproven.next(), this.#silent.next());
  }

  /** One that took too long to prove itself, until there is none. */
  expireUnproven(now: Instant): Connection | undefined {
    return this.#unproven.expire(now);
  }

  /** One that was silent for too long, until there is none. */
  expireSilent(now: Instant): Connection | undefined {
    return this.#silent.expire(now);
  }
}
