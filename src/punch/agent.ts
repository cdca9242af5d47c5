import type { Instant, Machine } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { ActivePath } from './active-path.ts';
import type { PunchOptions, PunchOutput } from './agent-types.ts';
import type { Agreement, AgreementContext } from './agreement.ts';
import { Checks } from './checks.ts';
import { Chooser } from './chooser.ts';
import { ExtraSockets } from './extra-sockets.ts';
import { Follower } from './follower.ts';
import { footingOf } from './footing.ts';
import type { Pair } from './pair.ts';
import { isExpected, rankOf, strategyOfPair } from './preference.ts';
import type { Nomination, Probe } from './probe.ts';
import type { Question } from './questions.ts';
import { type PeerCandidate, type Remote, Remotes } from './remotes.ts';
import { type FailureReason, type Ground, type Prediction, type Round, TELLING } from './round.ts';
import { armingTtlOf, roundOf } from './rounds.ts';
import type { Strategy } from './strategies.ts';
import type { PunchStep } from './strategy.ts';

/** How long arming may take, and then the other side with its own, in milliseconds. */
const ARMING_TIME = 10_000;

/** What is under way when the time is over gets this much more, in milliseconds. */
const LAST_MOMENTS = 1500;

/** Steps in an agent's life, so that nobody can make it probe for ever. */
const MAX_STEPS = 12;

/**
 * One side's search for a direct path to its peer: told which sockets, which of the peer's addresses and which step of the plan,
 * it probes, agrees with the peer on one pair, and watches over it. It needs no clock but the one it is told.
 */
export class PunchAgent implements Machine<PunchOutput> {
  readonly #options: PunchOptions;
  readonly #remotes: Remotes;
  readonly #checks: Checks;
  readonly #extra: ExtraSockets;
  readonly #agreement: Agreement;
  readonly #ground: Ground;
  readonly #outputs: PunchOutput[] = [];
  #state: 'idle' | 'arming' | 'armed' | 'going' | 'selected' | 'over' = 'idle';
  #now: Instant = 0;
  #deadline: Instant | undefined;
  #extended = false;
  #steps = 0;
  #step: PunchStep = { strategies: ['direct'], tries: 1 };
  /** Which try of it this is. */
  #attempt = 0;
  #round: Round | undefined;
  /** What the round does once it is known where the peer is. */
  #aiming: ((peer: Remote) => void) | undefined;
  #path: ActivePath | undefined;

  constructor(options: PunchOptions) {
    this.#options = options;
    this.#extra = new ExtraSockets(options.randomBytes);
    this.#remotes = new Remotes(options.loopback ?? false);
    this.#checks = new Checks(options, this.#remotes, {
      send: (packet) => this.#say({ type: 'send', ...packet }),
      onAnswer: (pair, question, answer, now) => this.#onAnswer(pair, question, answer, now),
      onNomination: (pair, nomination, now) => this.#onNomination(pair, nomination, now),
    });
    const context: AgreementContext = {
      ...{ pairs: () => this.#checks.pairs, path: () => this.#path },
      isProven: ({ socket, remote }, now) => this.#checks.isProven(socket, remote, now),
      nameOf: (pair) => this.#nameOf(pair),
      isExpected: (pair) => isExpected(pair, this.#step.strategies),
      ask: ({ socket, remote }, nomination, now) => this.#checks.ask(socket, remote, now, { nomination }),
      select: (pair, nomination, now) => this.#select(pair, nomination, now),
    };
    this.#agreement = options.role === 'subscriber' ? new Chooser(context) : new Follower(context);
    this.#ground = {
      ...footingOf(options, this.#extra),
      ...{ now: () => this.#now, checks: this.#checks, remotes: this.#remotes },
      arm: (socket, to) => this.#arm(socket, to),
      aim: (then) => this.#awaitPeer(then),
      announce: (prediction) => this.#say({ type: 'predicted', prediction }),
      armed: () => this.#armed(),
      fail: (reason) => this.#fail(reason),
    };
  }

  /** The peer has named an address of its own, in a message that was authenticated. False where it is refused. */
  addCandidate(candidate: PeerCandidate, now: Instant): boolean {
    this.#enter(now);
    const remote = this.#remotes.tell(candidate);
    if (remote && this.#isTrying()) this.#round?.candidate?.(remote);
    this.#aim();
    return remote !== undefined;
  }

  /** The peer has said where it is to be found, in a message that was authenticated. That alone is not enough to be sent there. */
  predict(prediction: Prediction, now: Instant): void {
    this.#enter(now);
    if (this.#state !== 'arming' || !this.#remotes.isVouched(prediction.address)) return;
    this.#round?.predicted?.(prediction);
  }

  /** Begins a step, in place of the one before. @param vouched addresses at which our own server has seen the peer */
  arm(step: PunchStep, now: Instant, vouched: readonly string[] = []): void {
    this.#enter(now);
    this.#remotes.vouch(vouched);
    if (this.#state === 'selected' || this.#state === 'over') return;
    this.#endRound();
    this.#state = 'arming';
    this.#checks.clear();
    this.#agreement.begin();
    this.#attempt = step.strategies[0] === this.#step.strategies[0] ? this.#attempt + 1 : 1;
    this.#step = step;
    this.#extra.begin(now, now + ARMING_TIME);
    this.#deadline = now + ARMING_TIME;
    const round = roundOf(step, this.#options, this.#ground);
    if (round === undefined || ++this.#steps > MAX_STEPS) {
      this.#fail(round ? 'exhausted' : 'unmeasured');
      return;
    }
    this.#round = round;
    round.arm();
  }

  /** Both sides are armed. */
  go(now: Instant): void {
    this.#enter(now);
    if (this.#state !== 'armed' || this.#round === undefined) return;
    this.#state = 'going';
    this.#deadline = now + this.#round.budget;
    this.#round.go();
    this.#consider();
  }

  /** A socket that was asked for is open. */
  opened(socket: number, localPort: number, now: Instant): void {
    this.#enter(now);
    this.#extra.opened(socket, localPort, this.#isTrying(), now);
  }

  /** A socket that was asked for could not be bound. */
  failed(socket: number, now: Instant): void {
    this.#enter(now);
    this.#extra.failed(socket, now);
  }

  /** A datagram arrived. Whether it was the agent's. */
  receive(socket: number, from: Endpoint, bytes: Buffer, now: Instant): boolean {
    if (this.#state === 'over') return false;
    this.#enter(now);
    return this.#checks.receive(socket, from, bytes, now) || this.#extra.receive(socket, from, bytes, now);
  }

  /** The peer is heard on the selected path by other means: as good as a heartbeat's answer. */
  alive(): void {
    this.#path?.heard();
  }

  /**
   * There is reason to believe that the selected path is dead, such as another network of our own, or silence. The peer learns where we
   * are now; the path is lost if nothing answers within 1.5 s.
   */
  check(now: Instant): void {
    this.#enter(now);
    this.#path?.check(now);
    this.#beat(now);
  }

  /** Whether packets from there may reach more than this parser: it has answered a fresh probe of ours. */
  isProven(socket: number, from: Endpoint, now: Instant): boolean {
    return this.#state !== 'over' && this.#checks.isProven(socket, from, now);
  }

  /** Nothing is sent any more, nor answered. The sockets that it asked for are given back, the main ones are the owner's. */
  close(): void {
    this.#state = 'over';
    this.#extra.end(undefined);
    this.#outputs.length = 0;
  }

  pollOutput(): PunchOutput | undefined {
    this.#collect();
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    if (this.#state === 'over') return undefined;
    const wakers = [this.#checks, this.#extra, this.#agreement, this.#path];
    const times = [this.#deadline, ...wakers.map((waker) => waker?.pollTimeout())];
    const known = times.filter((time) => time !== undefined);
    return known.length > 0 ? Math.min(...known) : undefined;
  }

  handleTimeout(now: Instant): void {
    if (this.#state === 'over') return;
    this.#enter(now);
    this.#checks.handleTimeout(now);
    this.#agreement.handleTimeout(now);
    this.#consider();
    if (this.#deadline !== undefined && now >= this.#deadline) this.#timeIsUp(now);
    this.#beat(now);
  }

  #onAnswer(pair: Pair, question: Question, answer: Probe, now: Instant): void {
    if (pair === this.#path?.pair) this.#path.heard(question.sentAt);
    if (this.#isTrying() || this.#path) this.#agreement.answered(pair, question, answer, now);
    this.#consider();
  }

  #onNomination(pair: Pair, nomination: Nomination, now: Instant): boolean {
    return (this.#isTrying() || this.#path !== undefined) && this.#agreement.heard(pair, nomination, now);
  }

  #select(pair: Pair, { strategy }: Nomination, now: Instant): void {
    this.#state = 'selected';
    this.#path = new ActivePath(pair, this.#options.randomBytes, now, this.#path);
    for (const other of this.#checks.pairs) if (other !== pair) other.stop();
    this.#endRound();
    const { address, port } = pair.remote;
    const path = { socket: pair.socket, remote: { address, port }, strategy, rtt: pair.rtt ?? 0 };
    this.#say({ type: 'selected', ...path });
  }

  #consider(): void {
    if (this.#state === 'going') this.#agreement.consider(this.#now);
  }

  #nameOf(pair: Pair): Strategy {
    const [path, { nomination }] = [this.#path, this.#agreement];
    // The peer has moved, and with it the path that was found.
    if (path && nomination && rankOf(pair) === rankOf(path.pair)) return nomination.strategy;
    const open = this.#step.strategies.includes('open');
    return this.#round?.strategy ?? strategyOfPair(pair, { mapped: this.#options.measured.mapped, open });
  }

  #timeIsUp(now: Instant): void {
    const promising = this.#state === 'going' && this.#checks.pairs.some((pair) => pair.valid);
    if (promising && !this.#extended) {
      this.#extended = true;
      this.#deadline = now + LAST_MOMENTS;
    } else this.#fail(this.#state === 'going' ? 'unanswered' : 'abandoned');
  }

  #beat(now: Instant): void {
    const path = this.#path;
    const pulse = path?.handleTimeout(now);
    if (path === undefined || pulse === undefined) return;
    if (pulse === 'lost') {
      this.close();
      this.#say({ type: 'lost' });
      return;
    }
    const { socket, remote } = path.pair;
    if (pulse !== 'look') this.#checks.ask(socket, remote, now, { nomination: this.#agreement.nomination });
    if (pulse !== 'probe') this.#look(path.pair, now);
  }

  /** At all ways to the peer but the one in use: both sides do so at about the same time, as it takes both to open firewalls. */
  #look(used: Pair, now: Instant): void {
    for (const remote of this.#remotes.all) {
      const socket = this.#ground.mainSocket(remote);
      const pair = socket === undefined ? undefined : this.#checks.pair(socket, remote);
      if (pair !== used) pair?.look(now);
    }
  }

  #fail(reason: FailureReason): void {
    if (!this.#isTrying()) return;
    this.#endRound();
    this.#state = 'idle';
    for (const pair of this.#checks.pairs) pair.stop();
    this.#say({ type: 'failed', reason });
  }

  /** Sockets that are not in use are closed. */
  #endRound(): void {
    this.#collect();
    this.#extra.end(this.#path?.pair.socket);
    this.#round = undefined;
    this.#aiming = undefined;
    this.#deadline = undefined;
    this.#extended = false;
  }

  #arm(socket: number, to: Endpoint): void {
    const ttl = armingTtlOf(this.#options.measured, this.#step, this.#attempt);
    this.#checks.ask(socket, to, this.#now, { ttl });
  }

  #awaitPeer(then: (peer: Remote) => void): void {
    this.#aiming = then;
    this.#ground.bench.after(TELLING, () => this.#aiming && this.#fail('untold'));
    this.#aim();
  }

  #aim(): void {
    const [then, peer] = [this.#aiming, this.#remotes.reflexive];
    if (then === undefined || peer === undefined) return;
    this.#aiming = undefined;
    then(peer);
  }

  #armed(): void {
    if (this.#state !== 'arming') return;
    this.#state = 'armed';
    this.#say({ type: 'armed' });
  }

  #isTrying(): boolean {
    return this.#state === 'arming' || this.#state === 'armed' || this.#state === 'going';
  }

  #enter(now: Instant): void {
    this.#now = now;
    this.#extra.handleTimeout(now);
  }

  /** Datagrams leave in the order in which they were made, whoever made them. */
  #say(output: PunchOutput): void {
    this.#collect();
    this.#outputs.push(output);
  }

  #collect(): void {
    for (let output = this.#extra.pollOutput(); output; output = this.#extra.pollOutput()) {
      this.#outputs.push(output);
    }
  }
}
