import { type Endpoint, familyOf, LOWEST_PORT, sameEndpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import type { Sample } from './observations.ts';
import type { Prober, ProbeSocket, Reference } from './prober.ts';
import type { SourceClaim } from './source-proofs.ts';
import { mappedAddress, otherAddress } from './stun-address.ts';
import type { StunAnswer } from './transactions.ts';
import { contradictedServers } from './verdict.ts';
import { claimOf } from './vouching.ts';

/** Fresh sockets beside the main one, to see how ports are chosen. */
export const FRESH_SOCKETS = 4;

type Seen = Omit<Sample, 'main'> & { readonly socket: ProbeSocket };

/** A server that can be asked: the endpoints that are known of it. */
export interface SampledServer {
  readonly endpoints: readonly Endpoint[];
  /** What it gave us to show to it. */
  readonly voucher?: Buffer | undefined;
}

interface Target {
  readonly server: number;
  readonly to: Endpoint;
}

/** Collects what servers see of our sockets: which mapping each request came through. */
export class Sampler {
  readonly #prober: Prober;
  readonly #onSample: () => void;
  /** What is known of each server's IPv4 endpoints; an answer may name more. */
  readonly #endpoints: Endpoint[][];
  readonly #vouchers: readonly (Buffer | undefined)[];
  readonly #rtts: (number | undefined)[] = [];
  readonly #seen: Seen[] = [];
  /** Asked for in the current burst, and not heard. */
  #awaited: Target[] = [];
  #main: ProbeSocket | undefined;
  /** The main socket before this one, which will do if nothing comes of it. */
  #before: ProbeSocket | undefined;
  #burst = 0;
  #order = 0;
  #claim: SourceClaim | undefined;

  /** `servers`: in the order of trust. `onSample` is called after each answer. */
  constructor(prober: Prober, servers: readonly SampledServer[], onSample: () => void) {
    this.#prober = prober;
    this.#onSample = onSample;
    this.#endpoints = servers.map(({ endpoints }) => endpoints.filter((one) => familyOf(one) === 4));
    this.#vouchers = servers.map(({ voucher }) => voucher);
  }

  get samples(): readonly Sample[] {
    return this.#seen.map(({ socket, ...sample }) => ({ ...sample, main: socket === this.#main }));
  }

  /** The socket whose mapping is judged. */
  get main(): ProbeSocket | undefined {
    return this.#main;
  }

  /** What a server vouches for: the address that it saw us come from. */
  get claim(): SourceClaim | undefined {
    return this.#claim;
  }

  /** Which burst this is, counted from 1. */
  get burst(): number {
    return this.#burst;
  }

  /** The shortest way to a server and back in milliseconds; undefined while it is silent. */
  rttOf(server: number): number | undefined {
    return this.#rtts[server];
  }

  /** One burst, never waiting in between: the main socket asks every endpoint, and fresh ones the first. */
  probe(main: ProbeSocket, fresh: readonly ProbeSocket[]): void {
    this.#main = main;
    const targets = this.#endpoints.flatMap((endpoints, server) => endpoints.map((to) => ({ server, to })));
    const [first] = targets;
    this.#begin();
    for (const target of targets) this.#ask(main, target);
    for (const socket of fresh) if (first) this.#ask(socket, first);
  }

  /** A burst of fresh sockets alone. `settle` is called when all have been answered or are out of time. */
  probeFresh({ server, primary: to }: Reference, fresh: readonly ProbeSocket[], settle: () => void): void {
    let pending = fresh.length;
    if (pending === 0) settle();
    this.#begin();
    for (const socket of fresh) {
      this.#ask(socket, { server, to }, () => {
        if (--pending === 0) settle();
      });
    }
  }

  /** The main socket is no good, and another will be probed; what was seen of it still shows how ports are chosen. */
  disown(): void {
    this.#before = this.#main;
    this.#main = undefined;
  }

  /** There is no time to see more: the main socket before is better than one of which little is known. */
  settle(): void {
    if (this.#before !== undefined) this.#main = this.#before;
  }

  /** Whether nothing can change the verdict any more: the most trusted server has told all there is, or everybody has. */
  isComplete(): boolean {
    const [first = []] = this.#endpoints;
    const tellsAll = new Set(first.map(({ address }) => address)).size > 1;
    return this.#awaited.length === 0 || (tellsAll && this.#hasSaidAll(0));
  }

  /** Whether at least one server has answered everything that the current burst asked it. */
  isAnyComplete(): boolean {
    return this.#endpoints.some((_, server) => this.#hasSaidAll(server));
  }

  /** Whether fresh sockets have been seen by a server. */
  hasFresh(server: number): boolean {
    return this.samples.some((sample) => !sample.main && sample.server === server);
  }

  /** The server that differs from itself in most ways, the more trusted where two are alike; none that is contradicted. */
  chooseReference(): Reference | undefined {
    const { samples } = this;
    const lies = contradictedServers(samples);
    const references = this.#endpoints.flatMap((endpoints, server) => {
      const heard = endpoints.filter((endpoint) =>
        samples.some((sample) => sample.main && sameEndpoint(sample.to, endpoint)),
      );
      const rtt = this.#rtts[server] ?? 0;
      return lies.has(server) ? [] : heard.map((primary) => referenceAt(server, primary, heard, rtt));
    });
    return references.sort((one, other) => worthOf(other) - worthOf(one))[0];
  }

  #hasSaidAll(server: number): boolean {
    const heard = this.#seen.some((sample) => sample.server === server && sample.burst === this.#burst);
    return heard && this.#awaited.every((target) => target.server !== server);
  }

  #begin(): void {
    this.#burst++;
    this.#awaited = [];
  }

  #ask(socket: ProbeSocket, { server, to }: Target, settle?: () => void): void {
    const place = { burst: this.#burst, order: this.#order++ };
    const awaited = { server, to };
    this.#awaited.push(awaited);
    const voucher = this.#vouchers[server];
    this.#prober.ask({ socket, to, voucher }, (answer) => {
      if (voucher) this.#claim ??= claimOf(voucher, answer);
      const mapped = answer?.message.class === 'success' ? mappedAddress(answer.message) : undefined;
      if (answer !== undefined && mapped !== undefined) {
        this.#rtts[server] = Math.min(this.#rtts[server] ?? answer.rtt, answer.rtt);
        this.#seen.push({ server, to, localPort: socket.localPort, mapped, socket, ...place });
        this.#awaited = this.#awaited.filter((other) => other !== awaited);
        if (socket === this.#main) this.#learn(server, to, answer);
        this.#onSample();
      }
      settle?.();
    });
  }

  /** A server of which one endpoint is known may name its others (RFC 5780 section 7.4). */
  #learn(server: number, to: Endpoint, { message }: StunAnswer): void {
    const known = this.#endpoints[server] ?? [];
    const other = otherAddress(message);
    if (other === undefined || known.length !== 1 || this.#main === undefined || !isUsable(other)) return;
    if (other.address === to.address || other.port === to.port) return;
    const more = [{ ...to, port: other.port }, { ...other, port: to.port }, other];
    known.push(...more);
    for (const endpoint of more) this.#ask(this.#main, { server, to: endpoint });
  }
}

/** Whether a server may send us there: it could name any address on the internet, or in our house. */
function isUsable(endpoint: Endpoint): boolean {
  return familyOf(endpoint) === 4 && endpoint.port >= LOWEST_PORT && scopeOf(endpoint.address) === 'global';
}

function referenceAt(server: number, primary: Endpoint, heard: readonly Endpoint[], rtt: number): Reference {
  return {
    server,
    primary,
    otherPort: heard.find(({ address, port }) => address === primary.address && port !== primary.port),
    otherBoth: heard.find(({ address, port }) => address !== primary.address && port !== primary.port),
    rtt,
  };
}

function worthOf({ otherBoth, otherPort }: Reference): number {
  return (otherBoth ? 2 : 0) + (otherPort ? 1 : 0);
}
