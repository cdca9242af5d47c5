import type { CarrierHandler } from '../../carrier.ts';
import type { Instant } from '../../machine.ts';
import { RateLimiter } from '../../net/rate-limit.ts';
import { type PunchKeys, punchKeys, type Role } from '../../punch/keys.ts';
import { ProbeBudget } from '../../punch/probe-budget.ts';
import type { Prediction } from '../../punch/round.ts';
import type { PunchResult } from '../../signaling/client.ts';
import type { FromServer } from '../../signaling/messages.ts';
import type { SealedMessage } from '../../signaling/peer-message.ts';
import type { Connection } from '../connection.ts';
import type { EarlyListener } from '../link/early-listener.ts';
import type { LinkCarrier } from '../link/link-carrier.ts';
import type { LinkListener } from '../link/link-listener.ts';
import type { Meeting } from '../link/meeting.ts';
import { DirectBytes } from './direct-bytes.ts';
import { DirectPath } from './direct-path.ts';
import { knownPart, type Order } from './known-step.ts';
import { FIRST_SEARCH, isPassing, NextSearch, SEARCHES_PER_MINUTE } from './next-search.ts';
import { PeerTalk } from './peer-talk.ts';
import { type Standpoint, sameNetwork } from './standpoint.ts';

export interface DirectSearchOptions {
  readonly connection: Connection;
  readonly role: Role;
  /** The tunnel's, for error messages. */
  readonly name: string;
}

/**
 * Looks for a direct path for one link as the server orders it, and again when it is lost. The peers of a link may meet again, when
 * the server has forgotten them: then there is a new id, and new keys, and a path that is there stays.
 */
export class DirectSearch implements LinkListener {
  readonly #options: DirectSearchOptions;
  readonly #searches = new RateLimiter(SEARCHES_PER_MINUTE);
  readonly #budget = new ProbeBudget();
  readonly #bytes: DirectBytes;
  readonly #next: NextSearch;
  /** As the server knows the link. */
  #id = '';
  #meeting: Meeting | undefined;
  #talk: PeerTalk | undefined;
  #keys: PunchKeys | undefined;
  /** The server's numbers of the search and of the step. */
  #search = 0;
  #step = 0;
  #searchBegan: Instant = 0;
  /** What is being looked for, and what is in use. */
  #seeking: DirectPath | undefined;
  #active: DirectPath | undefined;
  /** Nothing is heard on the active one. */
  #silent = false;
  /** What the server was told of the active path. */
  #found: { readonly search: number; readonly result: PunchResult } | undefined;
  #prediction: { readonly step: number; readonly prediction: Prediction } | undefined;
  /** A step that may send much, and waits until it is certain who the peer is. */
  #held: (() => void) | undefined;
  #relayIsUp = false;
  /** The server has ended the latest search, or has begun none. */
  #resting = false;
  #stood: Standpoint | undefined;
  #closed = false;

  constructor(options: DirectSearchOptions) {
    this.#options = options;
    const take = () => this.#active?.takeReceived() ?? 0;
    this.#bytes = new DirectBytes(options.connection, () => this.#id, take);
    this.#next = new NextSearch(options.connection.runtime, () => this.#ask());
  }

  /** The peers have met. @param early what the server has said of it so far, and will say */
  begin(meeting: Meeting, early: EarlyListener): void {
    if (this.#closed) {
      early.close();
      return;
    }
    const { connection, role, name } = this.#options;
    const { peerKey, transcript, refusal } = meeting;
    this.#forgetMeeting();
    this.#id = transcript.link.toString('base64url');
    this.#meeting = meeting;
    this.#searchBegan = connection.runtime.now();
    this.#keys = punchKeys(peerKey, transcript);
    this.#talk = new PeerTalk(
      { peerKey, transcript, role, name },
      {
        send: (message) => connection.signaling.sendPeerMessage(this.#id, message),
        onCandidate: (candidate) => this.#seeking?.addCandidate(candidate),
        onPrediction: (step, prediction) => this.#onPrediction(step, prediction),
        onTampering: (error) => meeting.onTrouble(error),
      },
    );
    if (refusal !== undefined) meeting.link.relayedBecause(refusal);
    if (connection.standpoint !== undefined) this.onStandpoint(connection.standpoint);
    early.handTo(this);
  }

  /** The peer has proved its certificate, through the server. */
  relayIsUp(): void {
    this.#relayIsUp = true;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  /** Something speaks against the path in use: it is dead in 1.5 s, unless the peer answers. */
  check(): void {
    this.#active?.check();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#id !== '') this.#options.connection.unlisten(this.#id);
    this.#options.connection.giveTurn(this);
    this.#next.cancel();
    this.#bytes.stop();
    this.#seeking?.close();
    this.#active?.close();
  }

  onPeerMessage(message: SealedMessage): void {
    this.#whenMet(() => this.#talk?.receive(message));
  }

  onPunchStep(step: FromServer<'p2p_step'>): void {
    this.#whenMet((meeting) => this.#prepare(meeting, step));
  }

  onPunchGo(step: number): void {
    this.#whenMet(() => step === this.#step && this.#seeking?.go());
  }

  onPunchRelay(search: number, reason: string): void {
    this.#whenMet(({ link, refusal, onRelay }) => {
      if (search < this.#search) return;
      this.#search = search;
      this.#resting = true;
      this.#seeking?.drop();
      this.#seeking = undefined;
      this.#options.connection.giveTurn(this);
      if (this.#active !== undefined || refusal !== undefined) return;
      link.relayedBecause(reason);
      onRelay(reason);
      if (this.#options.role === 'subscriber' && isPassing(reason)) this.#next.later();
    });
  }

  /** The server is back, and knows this link yet. What it was asked while it was away is lost. */
  onOnline(): void {
    if (this.#meeting === undefined || this.#meeting.refusal !== undefined) return;
    this.#talk?.tellAgain(this.#stood?.candidates ?? []);
    if (this.#active === undefined) this.#askUnlessUnderWay();
  }

  /** This client stands elsewhere, or knows more of where it stands. */
  onStandpoint(standpoint: Standpoint): void {
    if (this.#meeting === undefined || this.#meeting.refusal !== undefined) return;
    const before = this.#stood;
    this.#stood = standpoint;
    this.#talk?.tell(standpoint.candidates);
    if (before?.sockets[4] !== standpoint.sockets[4]) {
      this.#budget.renew();
      this.check();
    }
    if (before !== undefined && sameNetwork(before, standpoint)) return;
    this.#next.hope();
    if (this.#active === undefined) this.#askUnlessUnderWay();
  }

  #whenMet(notice: (meeting: Meeting) => void): void {
    if (!this.#closed && this.#meeting !== undefined) notice(this.#meeting);
  }

  /** The server counts anew. A path that there is will do for its first search. */
  #forgetMeeting(): void {
    const { connection, role } = this.#options;
    if (this.#id !== '') {
      connection.unlisten(this.#id);
      if (role === 'subscriber' && connection.online) connection.signaling.closeLink(this.#id);
    }
    connection.giveTurn(this);
    // At the other end it may be up already, and the link goes on.
    this.#seeking?.drop();
    this.#seeking = undefined;
    this.#search = 0;
    this.#step = 0;
    this.#stood = undefined;
    this.#prediction = undefined;
    this.#held = undefined;
    this.#relayIsUp = false;
    this.#resting = false;
    this.#next.cancel();
    if (this.#found !== undefined) this.#found = { ...this.#found, search: FIRST_SEARCH };
  }

  #prepare(meeting: Meeting, { search, step, plan, vouched = [] }: FromServer<'p2p_step'>): void {
    const { runtime, standpoint, quiche } = this.#options.connection;
    this.#step = step;
    this.#held = undefined;
    const planned = knownPart(plan);
    if (meeting.refusal !== undefined) {
      this.#answer({ result: 'refused' });
    } else if (search === this.#found?.search && !this.#silent) {
      // The server has not heard of it: one of us was away, or this has crossed with it.
      this.#answer(this.#found.result);
    } else if (
      standpoint !== undefined &&
      planned !== undefined &&
      quiche !== undefined &&
      (this.#isSeekingIn(search) || this.#searches.take('', runtime.now())) &&
      this.#hasTurn(planned)
    ) {
      this.#take(meeting, standpoint, search, { planned, vouched });
    } else this.#answer({ result: 'failed' });
  }

  #answer(result: PunchResult): void {
    this.#options.connection.signaling.punchResult(this.#id, this.#step, result);
  }

  #isSeekingIn(search: number): boolean {
    return search === this.#search && this.#seeking !== undefined && !this.#seeking.isOver;
  }

  /** The server sees to it that one link at a time sends much. But it is ours to make sure of it. */
  #hasTurn({ strategies }: Order['planned']): boolean {
    const { connection } = this.#options;
    if (strategies.includes('birthday')) return connection.takeTurn(this);
    connection.giveTurn(this);
    return true;
  }

  /** Takes the step. */
  #take(meeting: Meeting, standpoint: Standpoint, search: number, { planned, vouched }: Order): void {
    const { runtime } = this.#options.connection;
    if (!this.#isSeekingIn(search)) {
      if (search !== this.#search && this.#search > 0) this.#searchBegan = runtime.now();
      this.#search = search;
      this.#seeking?.drop();
      this.#seeking = this.#open(meeting, standpoint);
    }
    this.#resting = false;
    this.#next.cancel();
    const step = this.#step;
    const arm = () => {
      this.#seeking?.arm(planned, vouched);
      if (this.#prediction?.step === step) this.#seeking?.predict(this.#prediction.prediction);
    };
    if (this.#relayIsUp || !planned.strategies.includes('birthday')) arm();
    else this.#held = arm;
  }

  #open(meeting: Meeting, standpoint: Standpoint): DirectPath {
    const { connection, role, name } = this.#options;
    const { runtime, log, signaling, quiche } = connection;
    const { link } = meeting.transcript;
    const { sockets, measured, loopback } = standpoint;
    const keys = this.#keys;
    if (keys === undefined || quiche === undefined) throw new Error('a search before the peers met');
    let handler: LinkCarrier | undefined;
    const path: DirectPath = new DirectPath(
      {
        punch: { role, link, keys, measured, loopback, sockets, runtime, log, budget: this.#budget },
        quic: {
          ...{ quiche, role, name, runtime },
          certificate: meeting.certificate,
          peerFingerprint: meeting.peerFingerprint,
          maxStreams: meeting.maxStreams,
          onSilence: (silent) => {
            handler?.onSilence(silent);
            // What is on it may be heard of again. Meanwhile the NATs may have to be got through anew.
            if (this.#active !== path) return;
            this.#silent = silent;
            if (!silent) return;
            // What is on it goes by the server now, if the way there has not died with it.
            connection.check();
            this.#askUnlessUnderWay();
          },
        },
      },
      {
        onPredicted: (prediction) => this.#talk?.predict(this.#step, prediction),
        onArmed: () => signaling.armed(this.#id, this.#step),
        onFailed: (reason, error) => {
          log.debug('no direct path', { reason });
          // Somebody who knows the secret is there, and is not who we met.
          if (error?.code === 'peer_certificate') meeting.onTrouble(error);
          this.#answer({ result: 'failed' });
        },
        carrierHandler: (): CarrierHandler => {
          handler = meeting.link.handler('direct');
          return handler;
        },
        onUp: (carrier, { strategy, remote }) => {
          const elapsed = runtime.now() - this.#searchBegan;
          this.#onUp(path, { result: 'direct', strategy, milliseconds: Math.round(elapsed) });
          if (handler !== undefined) meeting.link.attach(handler, carrier, { strategy, remote, elapsed });
        },
        onMoved: (remote) => handler?.moved(remote),
        onLost: () => this.#onLost(meeting, path),
      },
    );
    for (const candidate of this.#talk?.heard ?? []) path.addCandidate(candidate);
    return path;
  }

  #onUp(path: DirectPath, result: PunchResult): void {
    this.#answer(result);
    this.#options.connection.giveTurn(this);
    this.#bytes.tell();
    this.#active = path;
    this.#silent = false;
    this.#found = { search: this.#search, result };
    this.#seeking = undefined;
    this.#resting = true;
    this.#next.hope();
    this.#next.cancel();
    this.#bytes.start();
  }

  #onLost({ link }: Meeting, path: DirectPath): void {
    if (this.#active !== path) return;
    this.#bytes.stop();
    this.#active = undefined;
    this.#found = undefined;
    if (this.#closed || link.closed) return;
    link.relayedBecause('lost');
    this.#askUnlessUnderWay();
  }

  #onPrediction(step: number, prediction: Prediction): void {
    this.#prediction = { step, prediction };
    if (step === this.#step) this.#seeking?.predict(prediction);
  }

  /** To ask during a search would end it, and begin another one after a pause. */
  #askUnlessUnderWay(): void {
    if (this.#resting) this.#next.now();
  }

  /** The server decides when. */
  #ask(): void {
    const { connection } = this.#options;
    if (connection.online) connection.signaling.punchAgain(this.#id, this.#search);
  }
}
