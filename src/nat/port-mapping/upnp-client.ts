import type { Instant } from '../../machine.ts';
import { formatAddress } from '../../net/address.ts';
import type { Timer } from '../../net/runtime.ts';
import type { PortMapping, Refusal } from '../report.ts';
import { Deadline } from './deadline.ts';
import type { IgdService } from './igd.ts';
import { callService, discoverServices } from './igd-client.ts';
import { IgdMapping, type IgdOutcome } from './igd-mapping.ts';
import { LIFETIME, lifetimeMs, renewalDelay } from './lease.ts';
import type { RouterPath } from './router-client.ts';

/** How long a renewal may take, in milliseconds: nobody waits for it. */
const RENEWAL_TIMEOUT = 5000;
/** How long giving back may take: the user waits for that. */
const RELEASE_TIMEOUT = 450;
/** After which time to delete again what was not there: a router may still be making what we no longer wait for. */
const SECOND_RELEASE = 200;

/** A UDP port mapping by UPnP-IGD. */
export class UpnpClient {
  readonly #path: RouterPath;
  readonly #onChange: (mapping: PortMapping | undefined) => void;
  readonly #mapping: IgdMapping;
  #services: readonly IgdService[] = [];
  #refusal: Refusal | undefined;
  #mapped: PortMapping | undefined;
  #endsAt: Instant = 0;
  #timer: Timer | undefined;
  #renewing: Deadline | undefined;
  #released = false;

  /** `onChange`: a mapping has become another one, or is lost. */
  constructor(path: RouterPath, onChange: (mapping: PortMapping | undefined) => void) {
    this.#path = path;
    this.#onChange = onChange;
    const { runtime, localAddress, localPort } = path;
    const randomPort = () => 1024 + (runtime.randomBytes(4).readUInt32BE() % (65536 - 1024));
    this.#mapping = new IgdMapping({ localAddress, localPort, randomPort }, (service, action, signal) =>
      callService(service, action, localAddress, signal),
    );
  }

  /** What the router said no with, the last time. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** Looks for the router's services until there are some, or the signal is aborted. Changes nothing there. Never rejects. */
  async discover(signal: AbortSignal): Promise<void> {
    this.#services = [];
    this.#services = await discoverServices(this.#path, signal);
  }

  /** Asks what was discovered for a mapping, until the signal is aborted, and then keeps it. Never rejects. */
  async ask(signal: AbortSignal): Promise<PortMapping | undefined> {
    const outcome = await this.#map(signal);
    if (outcome?.ok && !signal.aborted) this.#hold(outcome);
    return this.#mapped;
  }

  /** Gives it back, also one that the router was asked for and never confirmed; at most 450 ms. Never rejects. */
  async release(): Promise<void> {
    this.#released = true;
    this.#timer?.cancel();
    this.#renewing?.end();
    const { runtime } = this.#path;
    const second = runtime.now() + SECOND_RELEASE;
    const deadline = new Deadline(runtime, RELEASE_TIMEOUT);
    // A router that does not answer forgets it by itself, unless it knows leases for ever only.
    const remove = () => this.#mapping.release(deadline.signal).catch(() => true);
    if (!(await remove())) {
      await new Promise<void>((resolve) => runtime.setTimer(second - runtime.now(), resolve));
      await remove();
    }
    deadline.end();
  }

  /** Undefined when nothing was discovered, or it does not answer. */
  async #map(signal: AbortSignal): Promise<IgdOutcome | undefined> {
    this.#refusal = undefined;
    if (this.#services.length === 0) return undefined;
    const outcome = await this.#mapping.map(this.#services, signal).catch(() => undefined);
    if (outcome?.ok === false) this.#refusal = outcome.refusal;
    return outcome;
  }

  #hold({ external, lifetime }: Extract<IgdOutcome, { ok: true }>): void {
    const { runtime } = this.#path;
    // One that lasts for ever is renewed all the same: the router may restart.
    const granted = lifetimeMs(lifetime || LIFETIME);
    this.#endsAt = runtime.now() + granted;
    this.#mapped = { protocol: 'upnp', external_address: formatAddress(external.address, external.port) };
    this.#wait(granted);
  }

  async #renew(): Promise<void> {
    const { runtime } = this.#path;
    const before = this.#mapped?.external_address;
    this.#renewing = new Deadline(runtime, RENEWAL_TIMEOUT);
    const outcome = await this.#map(this.#renewing.signal);
    this.#renewing.end();
    if (this.#released) return;
    const remaining = this.#endsAt - runtime.now();
    if (outcome?.ok) {
      this.#hold(outcome);
      if (this.#mapped?.external_address !== before) this.#onChange(this.#mapped);
    } else if (!outcome && remaining > 0) {
      this.#wait(remaining);
    } else {
      this.#mapped = undefined;
      this.#onChange(undefined);
    }
  }

  #wait(remaining: number): void {
    this.#timer = this.#path.runtime.setTimer(renewalDelay(remaining), () => void this.#renew());
  }
}
