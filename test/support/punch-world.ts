import { otherRole, punchKeys, type Role } from '../../src/punch/keys.ts';
import type { PunchStep } from '../../src/punch/strategy.ts';
import { discoverOn } from './punch-discovery.ts';
import { PunchEnd } from './punch-end.ts';
import { HOME_NAT, type Place } from './punch-place.ts';
import { Random } from './random.ts';
import type { VirtualHost } from './virtual-host.ts';
import { VirtualInternet } from './virtual-internet.ts';
import { VirtualNat } from './virtual-nat.ts';
import type { FourEndpoints } from './virtual-probe.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

export interface PunchWorldOptions {
  readonly subscriber: Place;
  readonly publisher: Place;
  readonly lossPercent?: number;
  readonly jitterMs?: number;
  /** Each side's NAT is the publisher's: both are in one house. */
  readonly together?: boolean;
  /** Neither names an address of its own network. */
  readonly hideHosts?: boolean;
  /** How much later the server's word reaches the publisher, in milliseconds. */
  readonly lateMs?: number;
  /** Both run a real discovery first, and go by what it finds. */
  readonly discovers?: boolean;
  /** The server has not seen where they are. */
  readonly unvouched?: boolean;
  /** The publisher's keys are made with another secret. */
  readonly wrongSecret?: boolean;
}

export const EXCHANGE: PunchStep = { strategies: ['direct'], tries: 1 };

/** From one end of the core to the other; and from a peer to the other by way of the server. Milliseconds. */
export const LATENCY = 20;
const SIGNALING = 2 * LATENCY;

/** What addresses differ in. */
const NUMBERS = { subscriber: 1, publisher: 2 } as const;

/** Two peers, what stands between them, and a server that passes on what they say: in virtual time. */
export class PunchWorld {
  readonly runtime: VirtualRuntime;
  readonly random: Random;
  readonly internet: VirtualInternet;
  readonly four: FourEndpoints;
  readonly subscriber: PunchEnd;
  readonly publisher: PunchEnd;
  readonly nats: Partial<Record<Role, VirtualNat>> = {};
  /** When "go" reached the first of them. */
  wentAt = 0;
  /** The time from then until both had settled, in milliseconds. */
  took = Number.NaN;
  readonly #options: PunchWorldOptions;

  constructor(seed: number, options: PunchWorldOptions) {
    this.#options = options;
    this.runtime = new VirtualRuntime(seed);
    this.random = new Random(seed);
    this.internet = new VirtualInternet(this.runtime, this.random, { latencyMs: LATENCY });
    const places = { addresses: ['45.80.9.10', '45.80.9.11'], ports: [3478, 3479] };
    this.four = this.internet.addStunServer(places).endpoints as FourEndpoints;
    const bytes = (size: number) => this.random.bytes(size);
    const transcript = {
      ...{ link: bytes(16), offerNonce: bytes(32), answerNonce: bytes(32) },
      ...{ offerFingerprint: bytes(32), answerFingerprint: bytes(32) },
    };
    const secret = bytes(32);
    const end = (role: Role, key = secret) => {
      const { runtime, random, four } = this;
      const [host, stun] = [this.#host(role), four[0]];
      const link = { link: transcript.link, keys: punchKeys(key, transcript) };
      const found = options.discovers ? discoverOn(host, four, runtime) : undefined;
      return new PunchEnd({ runtime, random, role, link, host, place: options[role], stun, found });
    };
    this.subscriber = end('subscriber');
    this.publisher = end('publisher', options.wrongSecret ? bytes(32) : secret);
    this.internet.lossPercent = options.lossPercent ?? 0;
    this.internet.jitterMs = options.jitterMs ?? 0;
    for (const { role, agent, now } of this.ends) {
      for (const candidate of this[otherRole(role)].candidates) {
        if (!options.hideHosts || candidate.kind !== 'host') agent.addCandidate(candidate, now);
      }
    }
  }

  get ends(): readonly PunchEnd[] {
    return [this.subscriber, this.publisher];
  }

  /** Takes one step, from arming to its end. */
  step(step: PunchStep = EXCHANGE, longest = 15_000): this {
    let armed = 0;
    for (const end of this.ends) {
      const peer = this[otherRole(end.role)];
      end.onEvent = (output) => {
        if (output.type === 'predicted') {
          this.#after(SIGNALING, peer, () => peer.agent.predict(output.prediction, end.now));
        } else if (output.type === 'armed' && ++armed === 2) this.#go();
      };
      const vouched = this.#options.unvouched ? [] : peer.seenAt;
      this.#after(this.#delayTo(end), end, () => end.agent.arm(step, end.now, vouched));
    }
    const before = this.ends.map((end) => end.events.length);
    const settled = (end: PunchEnd, i: number) =>
      end.events.slice(before[i]).some(({ type }) => type === 'selected' || type === 'failed');
    const startedAt = this.runtime.now();
    while (this.runtime.now() - startedAt < longest && !this.ends.every(settled)) this.runtime.advance(1);
    this.took = this.runtime.now() - this.wentAt;
    this.runtime.advance(1000);
    return this;
  }

  /** Whether bytes that either sends on its path are heard by the other one, on its own. */
  connected(): boolean {
    const { subscriber, publisher, runtime, internet } = this;
    internet.lossPercent = 0;
    internet.jitterMs = 0;
    for (const { heard } of this.ends) heard.length = 0;
    const [question, answer] = [Buffer.from('Question'), Buffer.from('Response')];
    subscriber.speak(question);
    runtime.advance(2 * LATENCY);
    publisher.speak(answer);
    runtime.advance(2 * LATENCY);
    return (
      publisher.heard.some((one) => one.equals(question)) &&
      subscriber.heard.some((one) => one.equals(answer))
    );
  }

  #go(): void {
    this.wentAt = this.runtime.now() + SIGNALING;
    for (const end of this.ends) this.#after(this.#delayTo(end), end, () => end.agent.go(end.now));
  }

  #delayTo({ role }: PunchEnd): number {
    return SIGNALING + (role === 'publisher' ? (this.#options.lateMs ?? 0) : 0);
  }

  #after(delay: number, { pump }: PunchEnd, act: () => void): void {
    this.runtime.setTimer(delay, () => {
      act();
      pump();
    });
  }

  #host(role: Role): VirtualHost {
    const { together, [role]: place } = this.#options;
    const n = NUMBERS[role];
    const nat = together ? (this.nats.subscriber ?? this.#nat(role)) : this.#nat(role);
    if (nat) this.nats[role] = nat;
    const ipv6 = place.ipv6 ? { ipv6: `2a0e:a${n}::2` } : {};
    const host = this.internet.addHost(nat ? `192.168.1.${n + 1}` : `45.80.5.${n}`, nat, ipv6);
    if (place.firewall) host.firewall = 'stateful';
    return host;
  }

  #nat(role: Role): VirtualNat | undefined {
    const { nat, carrier } = this.#options[role];
    const n = NUMBERS[role];
    if (nat === undefined) return undefined;
    const outside = { ...HOME_NAT, address: `45.80.${n}.2` };
    if (carrier === undefined) return new VirtualNat({ ...outside, ...nat }, this.random);
    const behind = new VirtualNat({ ...outside, inside: '100.64.1.1/24', ...carrier }, this.random);
    return new VirtualNat({ ...outside, address: '100.64.1.2', ...nat, behind }, this.random);
  }
}
