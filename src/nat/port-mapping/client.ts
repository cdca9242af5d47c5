import { isIPv4 } from 'node:net';
import type { Logger } from '../../log.ts';
import type { Timer } from '../../net/runtime.ts';
import type { PortMapping, Refusal } from '../report.ts';
import { Deadline } from './deadline.ts';
import { RouterClient, type RouterPath } from './router-client.ts';
import { UpnpClient } from './upnp-client.ts';

/** Some routers take their time, and in a tunnel nobody waits for them. */
const UPNP_TIMEOUT = 3000;
/** A router may be told to allow it, or be plugged in, while we run. */
const RETRY_INTERVAL = 5 * 60_000;

export interface PortMappingOptions extends RouterPath {
  readonly log: Logger;
  /** When to give up on UPnP, in milliseconds from the start. */
  readonly upnpTimeoutMs?: number;
}

/**
 * Asks the home router to forward a UDP port to us, keeps that up, and gives it back. PCP, NAT-PMP and the search for UPnP run
 * at once; UPnP is asked for a mapping only after the other two have come to nothing, because a router that speaks all three
 * often keeps one table, where deleting one mapping would delete them all.
 */
export class PortMapper {
  readonly #options: PortMappingOptions;
  readonly #onChange: (mapping: PortMapping | undefined) => void;
  readonly #router: RouterClient;
  readonly #upnp: UpnpClient;
  #attempt: Deadline | undefined;
  #retry: Timer | undefined;
  #closed: Promise<void> | undefined;

  /** `onChange`: there is a mapping, another one, or none any more. Not called by `close`, nor after it. */
  constructor(options: PortMappingOptions, onChange: (mapping: PortMapping | undefined) => void) {
    this.#options = options;
    this.#onChange = onChange;
    const keep = (mapping: PortMapping | undefined) => this.#changed(mapping);
    this.#router = new RouterClient(options, keep);
    this.#upnp = new UpnpClient(options, keep);
  }

  /** Why the router would not, the most telling reason of those that its protocols gave; undefined where it said nothing. */
  get refusal(): Refusal | undefined {
    const upnp = this.#upnp.refusal;
    const all = upnp ? [...this.#router.refusals, upnp] : this.#router.refusals;
    return all.find(({ reason }) => reason === 'no-external-address') ?? all[0];
  }

  /**
   * Call it once. Resolves with the mapping, or with undefined when no protocol has led to one in its time, or it is closed. Never
   * rejects.
   */
  async start(): Promise<PortMapping | undefined> {
    const { gateway, localAddress } = this.#options;
    return !this.#closed && isIPv4(gateway) && isIPv4(localAddress) ? this.#try() : undefined;
  }

  /** Gives the mapping back; at most 450 ms. Never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#release();
    return this.#closed;
  }

  async #try(): Promise<PortMapping | undefined> {
    const { runtime, upnpTimeoutMs = UPNP_TIMEOUT } = this.#options;
    const attempt = new Deadline(runtime, upnpTimeoutMs);
    this.#attempt = attempt;
    const discovered = this.#upnp.discover(attempt.signal);
    const mapping =
      (await this.#router.ask()) ?? (await discovered.then(() => this.#upnp.ask(attempt.signal)));
    attempt.end();
    if (this.#closed) return undefined;
    if (mapping) this.#changed(mapping);
    else this.#rest();
    return mapping;
  }

  #changed(mapping: PortMapping | undefined): void {
    if (this.#closed) return;
    this.#options.log.debug('port mapping', { ...mapping });
    this.#onChange(mapping);
    if (!mapping) void this.#try();
  }

  #rest(): void {
    const { runtime, log } = this.#options;
    log.debug('no port mapping', { ...this.refusal });
    this.#retry = runtime.setTimer(RETRY_INTERVAL, () => void this.#try());
  }

  async #release(): Promise<void> {
    this.#retry?.cancel();
    this.#attempt?.end();
    await Promise.all([this.#router.release(), this.#upnp.release()]);
  }
}
