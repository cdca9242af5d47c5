import type { Endpoint } from '../../net/endpoint.ts';
import type { Refusal } from '../report.ts';
import {
  addPortMapping,
  deletePortMapping,
  getExternalAddress,
  type IgdAction,
  type IgdAnswer,
  type IgdService,
} from './igd.ts';
import { LIFETIME } from './lease.ts';
import { noExternalAddress, refusal } from './refusal.ts';

/** Asks a service of the router. Rejects when there is no answer, or when the signal is aborted. */
export type CallIgd = (service: IgdService, action: IgdAction, signal: AbortSignal) => Promise<IgdAnswer>;

export interface IgdMappingOptions {
  readonly localAddress: string;
  readonly localPort: number;
  /** A port to try when the wanted one is taken. */
  readonly randomPort: () => number;
}

/** `lifetime` in seconds; 0 for one that lasts until it is deleted. */
export type IgdOutcome =
  | { readonly ok: true; readonly external: Endpoint; readonly lifetime: number }
  | { readonly ok: false; readonly refusal: Refusal };

/** WANIPConnection:2 section 2.5; "action failed" is all that a router without an address has to say when it is asked for it. */
const ACTION_FAILED = 501;
const CONFLICT = 718;
const ONLY_PERMANENT_LEASES = 725;

/** Other ports that are tried when one is taken. */
const MAX_OTHER_PORTS = 3;

/** One UDP port mapping in a router that speaks UPnP-IGD. */
export class IgdMapping {
  readonly #options: IgdMappingOptions;
  readonly #call: CallIgd;
  /** What the router may hold: noted before it is asked. */
  #held: { readonly service: IgdService; readonly port: number } | undefined;

  constructor(options: IgdMappingOptions, call: CallIgd) {
    this.#options = options;
    this.#call = call;
  }

  /**
   * Makes the mapping, or renews it. A router can have several connections: the first that has an address counts, and one that
   * does not tell may have one. Rejects as `CallIgd` does.
   */
  async map(services: readonly IgdService[], signal: AbortSignal): Promise<IgdOutcome> {
    let no = noExternalAddress('upnp');
    for (const service of services) {
      const answer = await this.#call(service, getExternalAddress, signal);
      if (answer.ok && answer.external !== undefined) return this.#add(service, answer.external, signal);
      if (!answer.ok && no.reason === 'no-external-address') no = withoutAddress(answer.code);
    }
    return { ok: false, refusal: no };
  }

  /** Deletes the mapping, if there may be one. Returns whether there is none any more. Rejects as `CallIgd` does. */
  async release(signal: AbortSignal): Promise<boolean> {
    if (!this.#held) return true;
    const { service, port } = this.#held;
    const { ok } = await this.#call(service, deletePortMapping(port), signal);
    if (ok) this.#held = undefined;
    return ok;
  }

  async #add(service: IgdService, address: string, signal: AbortSignal): Promise<IgdOutcome> {
    const { localAddress: client, localPort: internalPort, randomPort } = this.#options;
    let externalPort = this.#held?.port ?? internalPort;
    let lease = LIFETIME;
    let conflicts = 0;
    for (;;) {
      // Or a port that is never asked for would be deleted.
      signal.throwIfAborted();
      this.#held = { service, port: externalPort };
      const action = addPortMapping({ externalPort, internalPort, client, lease });
      const answer = await this.#call(service, action, signal);
      if (answer.ok) return { ok: true, external: { address, port: externalPort }, lifetime: lease };
      // What is there under that port is not ours to delete.
      this.#held = undefined;
      if (answer.code === ONLY_PERMANENT_LEASES && lease > 0) {
        lease = 0;
      } else if (answer.code === CONFLICT && conflicts < MAX_OTHER_PORTS) {
        conflicts++;
        externalPort = randomPort();
      } else {
        return { ok: false, refusal: refusal('upnp', answer.code) };
      }
    }
  }
}

function withoutAddress(code: number): Refusal {
  return code === ACTION_FAILED ? noExternalAddress('upnp', code) : refusal('upnp', code);
}
