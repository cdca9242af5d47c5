import type { Instant, Machine } from '../machine.ts';
import { type Endpoint, familyOf } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import { BehaviourTests } from './behaviour-tests.ts';
import { Ipv6Test } from './ipv6-test.ts';
import type { ProbeSocket, Reference } from './prober.ts';
import type { ServerReport } from './report.ts';
import { FRESH_SOCKETS, type SampledServer, Sampler } from './sampler.ts';
import type { SourceClaim } from './source-proofs.ts';
import { contradictedServers, judge, type Verdict } from './verdict.ts';
import { type SocketOutput, Workbench } from './workbench.ts';

/** All is over after this, in milliseconds, whatever has been heard; and if nothing has been, a little earlier. */
const DISCOVERY_TIME = 1500;
const SILENCE = 1000;

/** After the first answer the others get this long, in milliseconds: where one server has said all it can, and where none has. */
const PATIENCE_WITH_BETTER = 150;
const PATIENCE_WITH_ALL = 350;

/**
 * A port-preserving NAT on which two hosts chose the same port looks symmetric; another local port tells, where trying that takes
 * the mapping not much longer, in milliseconds.
 */
const MOST_COLLISIONS = 3;
const COLLISION_TIME = 500;

export interface DiscoveryOptions {
  /** In the order of trust. */
  readonly servers: readonly SampledServer[];
  readonly localAddresses: readonly string[];
  /** The one of them that leads to the servers. */
  readonly localAddress: string | undefined;
  /** Bytes from a CSPRNG. */
  readonly randomBytes: (size: number) => Buffer;
}

/** `early`: hole punching can begin, with what is known by now, on the socket that is the main one now. Once at most. */
export type DiscoveryOutput = SocketOutput | { readonly type: 'early' } | { readonly type: 'done' };

/** Measures what the NAT in front of this machine does, in at most 1.5 s, and never fails: what is not heard stays unknown. */
export class Discovery implements Machine<DiscoveryOutput> {
  readonly #options: DiscoveryOptions;
  readonly #bench: Workbench;
  readonly #sampler: Sampler;
  /** How many endpoints of a server have refused. */
  readonly #refusals = new Map<number, number>();
  readonly #ipv6: Ipv6Test;
  #tests: BehaviourTests | undefined;
  #state: 'mapping' | 'behaviour' | 'done' | 'told' = 'mapping';
  #early: 'not yet' | 'due' | 'told' = 'not yet';
  #collisions = 0;
  /** The burst whose first answer has set a limit to waiting for the rest. */
  #hurriedBurst = 0;
  #startedAt: Instant = 0;
  #burstAt: Instant = 0;
  #mappedAfter: number | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#bench = new Workbench(options.randomBytes);
    const servers = options.servers.map(({ endpoints }) => endpoints);
    this.#sampler = new Sampler(this.#bench, options.servers, () => this.#considerMapping());
    this.#ipv6 = new Ipv6Test(this.#bench, servers, () => this.#considerEarly());
  }

  /** The socket that was measured, once there is one. All others are to be closed at the end. */
  get mainSocket(): number | undefined {
    return this.#sampler.main?.id;
  }

  /** How long it took until the mapping was known, in milliseconds. */
  get mappedAfter(): number | undefined {
    return this.#mappedAfter;
  }

  get verdict(): Verdict {
    const { localAddress, localAddresses } = this.#options;
    const { filtering, hairpin, poisonable, armingTtl } = this.#tests?.tested ?? {};
    return judge({
      ...{ localAddress, localAddresses, samples: this.#sampler.samples },
      ...{ filtering, hairpin, poisonable, armingTtl },
      silence: this.#isSilent(),
    });
  }

  /** The global address that a server saw us come from over IPv6. */
  get ipv6(): string | undefined {
    return this.#ipv6.address;
  }

  /** What a server that was shown its voucher has said of our address. */
  get claim(): SourceClaim | undefined {
    return this.#sampler.claim;
  }

  /** How each server fared, in their order. */
  get servers(): readonly Pick<ServerReport, 'status' | 'rtt_ms'>[] {
    const lies = contradictedServers(this.#sampler.samples);
    return this.#options.servers.map((_, server) => {
      const rtt_ms = this.#rttOf(server) ?? null;
      if (rtt_ms === null) return { status: this.#refusals.has(server) ? 'refused' : 'silent', rtt_ms };
      return { status: lies.has(server) ? 'contradicted' : 'answered', rtt_ms };
    });
  }

  /** The first socket that it asks for is the one to be measured. */
  start(now: Instant): void {
    this.#startedAt = now;
    if (!this.#isAnybodyAsked()) {
      this.#finish();
      return;
    }
    this.#bench.begin(now, now + DISCOVERY_TIME);
    this.#bench.after(DISCOVERY_TIME, () => this.#finish());
    this.#bench.after(SILENCE, () => {
      if (!this.#isAnybodyThere()) this.#finish();
    });
    this.#bench.open(1 + FRESH_SOCKETS, ([main, ...fresh]) => {
      if (main) this.#probe(main, fresh);
    });
    this.#ipv6.start();
  }

  opened(socket: number, localPort: number, now: Instant): void {
    this.#bench.opened(socket, localPort, now);
  }

  /** A socket could not be bound. */
  failed(socket: number, now: Instant): void {
    this.#bench.failed(socket, now);
  }

  receive(socket: number, from: Endpoint, bytes: Buffer, now: Instant): void {
    this.#bench.receive(socket, from, bytes, now);
  }

  /** A server's machine says that nobody listens at one of its endpoints; others may still answer. */
  refused(server: number): void {
    this.#refusals.set(server, (this.#refusals.get(server) ?? 0) + 1);
    const { servers } = this.#options;
    const everywhere = servers.every(({ endpoints }, i) => (this.#refusals.get(i) ?? 0) >= endpoints.length);
    if (everywhere && !this.#isAnybodyThere()) this.#finish();
  }

  pollOutput(): DiscoveryOutput | undefined {
    const output = this.#bench.pollOutput();
    if (output !== undefined) return output;
    if (this.#early === 'due') {
      this.#early = 'told';
      return { type: 'early' };
    }
    if (this.#state !== 'done') return undefined;
    this.#state = 'told';
    return { type: 'done' };
  }

  pollTimeout(): Instant | undefined {
    return this.#bench.pollTimeout();
  }

  handleTimeout(now: Instant): void {
    this.#bench.handleTimeout(now);
  }

  /** Goes on when the most trusted server has said all, or when waiting for it has been long enough. */
  #considerMapping(): void {
    if (this.#state !== 'mapping') return;
    if (this.#sampler.isComplete()) {
      this.#concludeMapping();
      return;
    }
    const { burst } = this.#sampler;
    if (this.#hurriedBurst === burst) return;
    this.#hurriedBurst = burst;
    const hurry = (delay: number, isEnough: () => boolean) =>
      this.#bench.after(delay, () => {
        const waits = this.#state === 'mapping' && this.#sampler.burst === burst;
        if (waits && isEnough()) this.#concludeMapping();
      });
    hurry(PATIENCE_WITH_BETTER, () => this.#sampler.isAnyComplete());
    hurry(PATIENCE_WITH_ALL, () => true);
  }

  #concludeMapping(): void {
    const reference = this.#sampler.chooseReference();
    if (reference === undefined) return;
    const elapsed = this.#bench.now - this.#startedAt;
    const burstTime = this.#bench.now - this.#burstAt;
    if (elapsed + burstTime <= COLLISION_TIME && this.#looksLikeCollision()) {
      this.#tryAnotherPort();
      return;
    }
    this.#mappedAfter = elapsed;
    this.#state = 'behaviour';
    this.#testBehaviour(reference);
  }

  /** The mapping seems to depend on the destination, yet ports are kept where they can be. */
  #looksLikeCollision(): boolean {
    const { mapping } = this.verdict;
    const dependent = mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
    if (!dependent || this.#collisions >= MOST_COLLISIONS) return false;
    return this.#sampler.samples.some(({ mapped, localPort }) => mapped.port === localPort);
  }

  #tryAnotherPort(): void {
    this.#collisions++;
    this.#sampler.disown();
    this.#bench.open(1, ([main]) => {
      if (main) this.#probe(main, []);
      else this.#finish();
    });
  }

  #probe(main: ProbeSocket, fresh: readonly ProbeSocket[]): void {
    this.#burstAt = this.#bench.now;
    this.#sampler.probe(main, fresh);
  }

  #testBehaviour(reference: Reference): void {
    const bench = this.#bench;
    // The server that fresh sockets had asked may be dead: others ask the one that is not.
    const isSampled = this.#sampler.hasFresh(reference.server);
    const sample = (settle: () => void) =>
      bench.open(FRESH_SOCKETS, (fresh) => this.#sampler.probeFresh(reference, fresh, settle));
    this.#tests = new BehaviourTests({
      prober: bench,
      reference,
      verdict: this.verdict,
      sample: isSampled ? undefined : sample,
      onProgress: () => {
        this.#considerEarly();
        if (this.#tests?.isOver) this.#finish();
      },
    });
    this.#tests.start();
    this.#considerEarly();
  }

  #considerEarly(): void {
    if (this.#early !== 'not yet' || !this.#tests?.isEnough) return;
    if (!this.#tests.isLate && this.#expectsIpv6()) return;
    // What is not known may still be found out, unless everybody has answered: in a network that leads nowhere, say.
    if (this.verdict.mapping === 'unknown' && !this.#sampler.isComplete()) return;
    this.#early = 'due';
  }

  #expectsIpv6(): boolean {
    if (!this.#ipv6.isPossible || this.ipv6 !== undefined) return false;
    const isOurs = (address: string) => familyOf({ address, port: 0 }) === 6 && scopeOf(address) === 'global';
    return this.#options.localAddresses.some(isOurs);
  }

  #rttOf(server: number): number | undefined {
    return this.#sampler.rttOf(server) ?? this.#ipv6.rttOf(server);
  }

  /** One machine that refuses has closed its port; when several do, somebody in between refuses for them. */
  #isSilent(): boolean {
    if (!this.#isAnybodyAsked() || this.#isAnybodyThere()) return false;
    return this.#refusals.size === 0 || this.#options.servers.length > 1;
  }

  #isAnybodyAsked(): boolean {
    return this.#options.servers.some(({ endpoints }) => endpoints.length > 0);
  }

  #isAnybodyThere(): boolean {
    return this.#options.servers.some((_, server) => this.#rttOf(server) !== undefined);
  }

  #finish(): void {
    if (this.#state === 'done' || this.#state === 'told') return;
    if (this.#state === 'mapping') this.#sampler.settle();
    this.#state = 'done';
    this.#bench.end();
  }
}
