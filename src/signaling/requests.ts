import { type ErrorCode, type ErrorDetails, isErrorCode, UnderpassError } from '../errors.ts';
import type { Instant } from '../machine.ts';
import { earliest } from './deadlines.ts';
import type { FromClient, FromServer } from './messages.ts';

/** A message that the server answers. */
export type Request = FromClient<'register' | 'p2p_connect' | 'open_data'>;
/** What it answers, when all goes well. */
export type Response = FromServer<'registered' | 'p2p_answer' | 'data_ready'>;

const RESPONSE = { register: 'registered', p2p_connect: 'p2p_answer', open_data: 'data_ready' } as const;

/** How long the server may take, in milliseconds. The publisher has 10 s of the second one. */
const TIMEOUT = 10_000;
const CONNECT_TIMEOUT = 15_000;

interface Pending {
  readonly request: Request;
  /** Undefined while the server waits for a publisher, which can take forever. */
  deadline: Instant | undefined;
}

/** Requests that the server has not answered, by `request_id`. */
export class Requests {
  readonly #pending = new Map<string, Pending>();

  get size(): number {
    return this.#pending.size;
  }

  add(request: Request, now: Instant): void {
    const timeout = request.type === 'p2p_connect' ? CONNECT_TIMEOUT : TIMEOUT;
    this.#pending.set(request.request_id, { request, deadline: now + timeout });
  }

  /** The request is over, for whatever reason. Undefined when it was already, which a late answer finds. */
  take(requestId: string): Request | undefined {
    const pending = this.#pending.get(requestId);
    this.#pending.delete(requestId);
    return pending?.request;
  }

  /** Takes the request that a response belongs to. Throws `protocol_error` when it answers something else. */
  answered(response: Response): Request | undefined {
    const request = this.take(response.request_id);
    const matches =
      request === undefined ||
      (RESPONSE[request.type] === response.type &&
        (response.type !== 'p2p_answer' ||
          (request.type === 'p2p_connect' && request.link === response.link)));
    if (matches) return request;
    throw new UnderpassError('protocol_error', { problem: `${response.type} answers another request` });
  }

  /** The server waits for a publisher. False when it should not. */
  waiting(requestId: string): boolean {
    const pending = this.#pending.get(requestId);
    if (pending?.request.type !== 'p2p_connect' || !pending.request.wait) return false;
    pending.deadline = undefined;
    return true;
  }

  /** Takes all requests. */
  takeAll(): Request[] {
    const requests = [...this.#pending.values()].map(({ request }) => request);
    this.#pending.clear();
    return requests;
  }

  nextDeadline(): Instant | undefined {
    return earliest(...[...this.#pending.values()].map(({ deadline }) => deadline));
  }

  /** Takes a request that has waited for too long, until there is none. */
  expire(now: Instant): Request | undefined {
    for (const [id, { request, deadline }] of this.#pending) {
      if (deadline === undefined || deadline > now) continue;
      this.#pending.delete(id);
      return request;
    }
    return undefined;
  }
}

/** What is wrong when a request was not answered in time. */
export function timeoutError(request: Request): UnderpassError {
  return request.type === 'p2p_connect'
    ? new UnderpassError('peer_timeout', { name: request.name })
    : new UnderpassError('heartbeat_timeout');
}

/** An error that the server named. A code of a newer server is a `protocol_error` with its words. */
export function serverError(code: string, message: string, details: ErrorDetails = {}): UnderpassError {
  const known: ErrorCode = isErrorCode(code) ? code : 'protocol_error';
  return new UnderpassError(known, { ...details, problem: message });
}
