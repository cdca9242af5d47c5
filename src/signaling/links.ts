import { asUnderpassError, type ErrorCode, isErrorCode, UnderpassError } from '../errors.ts';
import type { Instant } from '../machine.ts';
import { rateKey } from '../net/rate-limit.ts';
import type { Gatekeeper } from './auth.ts';
import { Deadlines } from './deadlines.ts';
import type { HubOutput } from './hub-output.ts';
import type { ServerLimits } from './limits.ts';
import type { FromClient } from './messages.ts';
import type { Punches } from './punches.ts';
import type { Link, Session } from './records.ts';
import type { Registration } from './registry.ts';
import type { Sessions } from './sessions.ts';
import type { Publication } from './tunnels.ts';

/** How long a publisher has to answer an offer, in milliseconds. */
const OFFER_TIMEOUT = 10_000;

/** Requests from one address that may wait for one name, so that a stranger cannot take every place. */
const MAX_WAITING_PER_ADDRESS = 8;

/** What one party may tell the other; another reason would put words into the server's mouth. */
const REASONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'peer_refused',
  'peer_unverified',
  'protocol_unsupported',
  'protocol_error',
  'direct_unavailable',
  'too_many_links',
  'peer_lost',
]);

/** What links need of their hub. */
export interface LinksContext {
  readonly limits: ServerLimits;
  readonly direct: boolean;
  readonly gatekeeper: Gatekeeper;
  readonly sessions: Sessions;
  readonly punches: Punches;
  emit(output: HubOutput): void;
}

/** Every link from `p2p_connect` to `p2p_close`. Only its two parties can move it; what others say of it is ignored. */
export class Links {
  readonly #context: LinksContext;
  readonly #links = new Map<string, Link>();
  /** Links that a publisher of this name would be offered. */
  readonly #waiting = new Map<string, Set<Link>>();
  readonly #lookups = new Map<number, Link>();
  readonly #offers = new Deadlines<Link>(OFFER_TIMEOUT);
  #lastLookup = 0;

  constructor(context: LinksContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#links.size;
  }

  /** A subscriber asks for a link. Throws `protocol_error` when its id is in use. */
  connect(subscriber: Session, request: FromClient<'p2p_connect'>): void {
    const { link: id, name, request_id: requestId, wait } = request;
    if (this.#links.has(id)) throw new UnderpassError('protocol_error', { problem: 'link used twice' });
    const { limits } = this.#context;
    const waiting = this.#waiting.get(name) ?? new Set();
    if (
      this.#links.size >= limits.links ||
      count(subscriber, (link) => link.subscriber === subscriber) >= limits.links_per_publisher ||
      (wait && (waiting.size >= limits.pending_offers || crowded(waiting, subscriber)))
    ) {
      this.#context.sessions.fail(subscriber, requestId, new UnderpassError('too_many_links'));
      return;
    }
    const link: Link = {
      id,
      name,
      requestId,
      subscriber,
      state: 'looking',
      request,
      publisher: undefined,
      direct: false,
    };
    this.#links.set(id, link);
    subscriber.links.add(link);
    // Already while the registry is asked: a publisher that registers meanwhile must not be missed.
    if (wait) this.#waiting.set(name, waiting.add(link));
    this.#lookUp(link);
  }

  /** The registry's answer to a `lookup`. */
  found(ref: number, registration: Registration | undefined, now: Instant): void {
    const link = this.#lookups.get(ref);
    this.#lookups.delete(ref);
    if (link?.state !== 'looking') return;
    const publisher = registration && this.#context.sessions.get(registration.session);
    // A publisher that is away may be dead: it is asked when it is back, or whoever takes its name is.
    const away = publisher?.connection === undefined;
    if (publisher && !(away && link.request.wait)) {
      this.#offer(link, publisher, registration, now);
    } else if (link.request.wait) {
      link.state = 'parked';
      this.#context.sessions.send(link.subscriber, { type: 'p2p_waiting', request_id: link.requestId });
    } else {
      this.#fail(link, new UnderpassError('tunnel_not_found', { name: link.name }));
    }
  }

  /** A name has a publisher: offer it everyone who waits, and whom the one before has not answered. */
  published({ publisher, registration, displaced }: Publication, now: Instant): void {
    const { name } = registration;
    for (const link of this.#waiting.get(name) ?? []) this.#offer(link, publisher, registration, now);
    for (const link of displaced?.links ?? []) {
      if (link.publisher !== displaced || link.state !== 'offered' || link.name !== name) continue;
      displaced?.links.delete(link);
      this.#offer(link, publisher, registration, now);
    }
  }

  /** A session is back: whoever waits for its names is offered to it. */
  resumed(session: Session): void {
    for (const name of session.tunnels) {
      for (const link of this.#waiting.get(name) ?? []) {
        if (link.state === 'parked') this.#lookUp(link);
      }
    }
  }

  answer(publisher: Session, message: FromClient<'p2p_answer'>, now: Instant): void {
    const link = this.#links.get(message.link);
    if (link?.publisher !== publisher || link.state !== 'offered') return;
    link.state = 'open';
    this.#offers.delete(link);
    const { id, name, subscriber, direct } = link;
    const { answer, mac } = message;
    const reply = { type: 'p2p_answer', request_id: link.requestId, link: id, answer, mac, direct } as const;
    this.#context.sessions.send(subscriber, reply);
    const parties = { publisher: publisher.key, subscriber: subscriber.key };
    this.#context.emit({ type: 'link_open', link: id, name, ...parties, token: publisher.token, direct });
    this.#context.punches.open(link, now);
  }

  /** The open link with this id, if the session is a party of it. */
  openTo(party: Session, id: string): Link | undefined {
    const link = this.#links.get(id);
    const isParty = party === link?.subscriber || party === link?.publisher;
    return isParty && link?.state === 'open' ? link : undefined;
  }

  refuse(publisher: Session, id: string, code: string): void {
    const link = this.#links.get(id);
    if (link?.publisher !== publisher || link.state !== 'offered') return;
    const known = reason(code) ?? 'peer_refused';
    this.#fail(link, new UnderpassError(known, { name: link.name, problem: 'refused by the publisher' }));
  }

  close(party: Session, id: string, code: string | undefined, now: Instant): void {
    const link = this.#links.get(id);
    if (link === undefined || (party !== link.subscriber && party !== link.publisher)) return;
    if (link.state === 'offered' && party === link.publisher) this.refuse(party, id, code ?? 'peer_refused');
    else this.#close(link, party, reason(code), now);
  }

  /** The relay says that a link is over, for a reason that both parties should hear. */
  relayClosed(id: string, code: ErrorCode | undefined, now: Instant): void {
    const link = this.#links.get(id);
    if (link?.state !== 'open') return;
    this.#context.punches.close(link, now);
    this.#remove(link);
    this.#notify(link, link.subscriber, code);
    if (link.publisher) this.#notify(link, link.publisher, code);
  }

  /** A party is gone for good. */
  drop(session: Session, now: Instant): void {
    for (const link of session.links) this.#close(link, session, 'peer_lost', now);
  }

  nextDeadline(): Instant | undefined {
    return this.#offers.next();
  }

  expire(now: Instant): void {
    for (let link = this.#offers.expire(now); link; link = this.#offers.expire(now)) {
      if (link.publisher) this.#notify(link, link.publisher, 'peer_timeout');
      this.#fail(link, new UnderpassError('peer_timeout', { name: link.name }));
    }
  }

  #lookUp(link: Link): void {
    link.state = 'looking';
    const ref = ++this.#lastLookup;
    this.#lookups.set(ref, link);
    this.#context.emit({ type: 'lookup', ref, name: link.name });
  }

  #offer(link: Link, publisher: Session, registration: Registration, now: Instant): void {
    const { request, subscriber } = link;
    const { limits, gatekeeper, sessions, direct } = this.#context;
    const { name, key_id, hash, offer, mac } = request;
    const peer_address = subscriber.remoteAddress;
    try {
      gatekeeper.checkSecret(key_id, hash, registration, peer_address, now);
      const published = (other: Link) => other.publisher === publisher;
      const pending = (other: Link) => published(other) && other.state === 'offered';
      if (
        count(publisher, published) >= limits.links_per_publisher ||
        count(publisher, pending) >= limits.pending_offers
      ) {
        throw new UnderpassError('too_many_links');
      }
    } catch (error) {
      this.#fail(link, asUnderpassError(error));
      return;
    }
    this.#stopWaiting(link);
    link.state = 'offered';
    link.publisher = publisher;
    // A client need not look for itself, and could not say which side it speaks for.
    link.direct = direct && publisher !== subscriber;
    publisher.links.add(link);
    this.#offers.set(link, now);
    sessions.send(publisher, {
      type: 'p2p_offer',
      link: link.id,
      name,
      key_id,
      offer,
      mac,
      peer_address,
      direct: link.direct,
    });
  }

  /** Ends a link that was never agreed, and its request. */
  #fail(link: Link, error: UnderpassError): void {
    this.#remove(link);
    this.#context.sessions.fail(link.subscriber, link.requestId, error);
  }

  #close(link: Link, by: Session, code: ErrorCode | undefined, now: Instant): void {
    const { state, publisher, subscriber } = link;
    this.#context.punches.close(link, now);
    this.#remove(link);
    if (state === 'open') this.#context.emit({ type: 'link_closed', link: link.id });
    if (by === subscriber) {
      if (publisher) this.#notify(link, publisher, code);
    } else if (state === 'open') {
      this.#notify(link, subscriber, code);
    } else {
      const error = new UnderpassError('peer_lost', { name: link.name });
      this.#context.sessions.fail(subscriber, link.requestId, error);
    }
  }

  #notify(link: Link, party: Session, code: ErrorCode | undefined): void {
    this.#context.sessions.send(party, { type: 'p2p_close', link: link.id, ...(code ? { code } : {}) });
  }

  #remove(link: Link): void {
    link.state = 'closed';
    this.#links.delete(link.id);
    this.#offers.delete(link);
    this.#stopWaiting(link);
    link.subscriber.links.delete(link);
    link.publisher?.links.delete(link);
  }

  #stopWaiting(link: Link): void {
    const waiting = this.#waiting.get(link.name);
    if (waiting?.delete(link) && waiting.size === 0) this.#waiting.delete(link.name);
  }
}

function reason(code: string | undefined): ErrorCode | undefined {
  return code !== undefined && isErrorCode(code) && REASONS.has(code) ? code : undefined;
}

/** Whether a subscriber's address has its share of those who wait. */
function crowded(waiting: ReadonlySet<Link>, { remoteAddress }: Session): boolean {
  const key = rateKey(remoteAddress);
  let total = 0;
  for (const link of waiting) if (rateKey(link.subscriber.remoteAddress) === key) total++;
  return total >= MAX_WAITING_PER_ADDRESS;
}

function count(session: Session, matches: (link: Link) => boolean): number {
  let total = 0;
  for (const link of session.links) if (matches(link)) total++;
  return total;
}
