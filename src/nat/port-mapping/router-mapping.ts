import type { Instant, Machine } from '../../machine.ts';
import { formatAddress } from '../../net/address.ts';
import { type Endpoint, sameEndpoint } from '../../net/endpoint.ts';
import type { PortMapping, Refusal } from '../report.ts';
import type { Answer, Dialect } from './dialect.ts';
import { LIFETIME, lifetimeMs, renewalDelay } from './lease.ts';
import { NatPmpDialect } from './nat-pmp-dialect.ts';
import { PcpDialect } from './pcp-dialect.ts';

/** Where a router hears PCP and NAT-PMP (RFC 6887 section 19). */
export const ROUTER_PORT = 5351;

/** When to send, and when to give up, in milliseconds. The router is one hop away and needs no patience. */
const SCHEDULES = {
  asking: { sends: [0, 80, 160], end: 250 },
  renewing: { sends: [0, 500, 1500], end: 3500 },
  releasing: { sends: [0, 120], end: 300 },
} as const;

export interface RouterMappingOptions {
  /** The router's address towards us, IPv4. */
  readonly gateway: string;
  /** Ours towards the router, IPv4. */
  readonly localAddress: string;
  /** The port that is to be reached from outside. */
  readonly localPort: number;
  /** 12 random bytes. */
  readonly nonce: Buffer;
}

export type RouterMappingOutput =
  /** To `ROUTER_PORT` of the gateway. */
  | { readonly type: 'send'; readonly bytes: Buffer }
  /** There is a mapping, or it has become another one. */
  | { readonly type: 'mapped'; readonly mapping: PortMapping }
  /** There is none, or no more. `start` may be called again. */
  | { readonly type: 'unmapped' }
  | { readonly type: 'released' };

interface Round {
  readonly kind: keyof typeof SCHEDULES;
  readonly startedAt: Instant;
  /** Who has not answered yet, the preferred one first. */
  readonly open: Set<Dialect>;
  sent: number;
}

interface Held {
  readonly dialect: Dialect;
  readonly external: Endpoint;
  readonly endsAt: Instant;
}

/**
 * One UDP port mapping, asked for by PCP and NAT-PMP at once. A renewal is the same request again, which also makes the
 * mapping anew in a router that has restarted and forgotten it: nobody has to follow the epoch that both protocols tell.
 */
export class RouterMapping implements Machine<RouterMappingOutput> {
  readonly #router: Endpoint;
  readonly #localPort: number;
  readonly #dialects: readonly Dialect[];
  readonly #outputs: RouterMappingOutput[] = [];
  /** In which of them the router was asked for a mapping and may hold one, for all that we have heard. */
  readonly #owed = new Set<Dialect>();
  #refusals: Refusal[] = [];
  #round: Round | undefined;
  #held: Held | undefined;
  #renewAt: Instant | undefined;

  constructor({ gateway, localAddress, localPort, nonce }: RouterMappingOptions) {
    this.#router = { address: gateway, port: ROUTER_PORT };
    this.#localPort = localPort;
    this.#dialects = [new PcpDialect(localAddress, localPort, nonce), new NatPmpDialect(localPort)];
  }

  /** What the router said no with since `start`, a protocol at most once a round. */
  get refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  /** Asks for a mapping: `mapped` or `unmapped` follows within 250 ms. */
  start(now: Instant): void {
    if (this.#round || this.#held) return;
    this.#refusals = [];
    this.#begin('asking', this.#dialects, now);
  }

  /** Gives the mapping back, and what may have become one unheard: `released` follows within 300 ms. */
  release(now: Instant): void {
    if (this.#round?.kind === 'releasing') return;
    this.#held = undefined;
    this.#begin('releasing', [...this.#owed], now);
    this.#endIfAnswered(now);
  }

  /** Nobody listens at `ROUTER_PORT`, says the router. */
  unreachable(now: Instant): void {
    if (this.#round?.kind !== 'asking') return;
    this.#round.open.clear();
    this.#endIfAnswered(now);
  }

  receive(bytes: Buffer, from: Endpoint, now: Instant): void {
    if (!sameEndpoint(from, this.#router)) return;
    for (const dialect of this.#dialects) {
      const answer = dialect.receive(bytes);
      if (answer) this.#handle(dialect, answer, now);
    }
  }

  pollOutput(): RouterMappingOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    if (!this.#round) return this.#renewAt;
    const { sends, end } = SCHEDULES[this.#round.kind];
    return this.#round.startedAt + (sends[this.#round.sent] ?? end);
  }

  handleTimeout(now: Instant): void {
    const due = this.pollTimeout();
    if (due === undefined || now < due) return;
    if (!this.#round) {
      if (this.#held) this.#begin('renewing', [this.#held.dialect], now);
    } else if (this.#round.sent < SCHEDULES[this.#round.kind].sends.length) {
      this.#sendRound(this.#round);
    } else {
      this.#end(this.#round, now);
    }
  }

  #begin(kind: Round['kind'], dialects: readonly Dialect[], now: Instant): void {
    this.#renewAt = undefined;
    for (const dialect of dialects) dialect.reset();
    this.#round = { kind, startedAt: now, open: new Set(dialects), sent: 0 };
    this.#sendRound(this.#round);
  }

  #sendRound(round: Round): void {
    round.sent++;
    for (const dialect of round.open) {
      if (round.kind === 'releasing') {
        this.#send(dialect.remove());
        continue;
      }
      const question = dialect.probe();
      if (question) this.#send(question);
      this.#askIfTurn(round, dialect);
    }
  }

  /**
   * Asked in both protocols, a router could hold two mappings. So one waits for the preferred one to be ruled out, or to be
   * silent in spite of a second packet.
   */
  #askIfTurn(round: Round, dialect: Dialect): void {
    const [preferred] = round.open;
    if (!dialect.ready || (dialect !== preferred && round.sent < 2)) return;
    const suggested = this.#held?.external ?? { address: '0.0.0.0', port: this.#localPort };
    this.#owed.add(dialect);
    this.#send(dialect.ask(suggested, LIFETIME));
  }

  #handle(dialect: Dialect, answer: Answer, now: Instant): void {
    const round = this.#round;
    const open = round?.open.has(dialect) ?? false;
    if (answer.type === 'granted') {
      // Also when nobody asked: so PCP tells that something has changed (RFC 6887 section 14.2).
      const ours = this.#held ? this.#held.dialect === dialect : open && this.#owed.has(dialect);
      if (ours && round?.kind !== 'releasing') this.#hold(dialect, answer, now);
      return;
    }
    // It answers late, or again.
    if (!round || !open) return;
    const releasing = round.kind === 'releasing';
    if (answer.type === 'ready') {
      if (!releasing) this.#askIfTurn(round, dialect);
    } else if (answer.type !== 'deleted' || releasing) {
      if (answer.type === 'refused' && !releasing) this.#refusals.push(answer.refusal);
      this.#ruleOut(round, dialect, now);
    }
  }

  #hold(dialect: Dialect, granted: Extract<Answer, { type: 'granted' }>, now: Instant): void {
    const { external } = granted;
    const known = this.#held?.external;
    const lifetime = lifetimeMs(granted.lifetime);
    this.#held = { dialect, external, endsAt: now + lifetime };
    this.#round = undefined;
    this.#renewAt = now + renewalDelay(lifetime);
    if (known && sameEndpoint(known, external)) return;
    const external_address = formatAddress(external.address, external.port);
    this.#outputs.push({ type: 'mapped', mapping: { protocol: dialect.protocol, external_address } });
  }

  #ruleOut(round: Round, dialect: Dialect, now: Instant): void {
    round.open.delete(dialect);
    this.#owed.delete(dialect);
    if (round.kind === 'renewing') this.#held = undefined;
    const [next] = round.open;
    if (round.kind === 'asking' && next && !this.#owed.has(next)) this.#askIfTurn(round, next);
    this.#endIfAnswered(now);
  }

  #endIfAnswered(now: Instant): void {
    if (this.#round?.open.size === 0) this.#end(this.#round, now);
  }

  #end({ kind }: Round, now: Instant): void {
    this.#round = undefined;
    if (kind === 'releasing') {
      this.#outputs.push({ type: 'released' });
    } else if (this.#held && now < this.#held.endsAt) {
      this.#renewAt = Math.min(now + renewalDelay(this.#held.endsAt - now), this.#held.endsAt);
    } else {
      this.#held = undefined;
      this.#owed.clear();
      this.#outputs.push({ type: 'unmapped' });
    }
  }

  #send(bytes: Buffer): void {
    this.#outputs.push({ type: 'send', bytes });
  }
}
