import type { NatVerdict } from '../../src/nat/behaviour.ts';
import type { Notice, PunchNotice } from '../../src/signaling/client-output.ts';
import type { HubOutput } from '../../src/signaling/hub-output.ts';
import type { SignalingWorld, WorldClient } from './signaling-world.ts';

const HASH = 'ab'.repeat(32);
const MAC = Buffer.alloc(32, 1).toString('base64url');
const TEXT = Buffer.from('text').toString('base64url');

/** Two clients with an open link, and what they say to the server about a direct path. */
export class PunchingPair {
  readonly world: SignalingWorld;
  readonly link: string;
  readonly subscriber: PunchingSide;
  readonly publisher: PunchingSide;

  private constructor(world: SignalingWorld, subscriber: WorldClient, publisher: WorldClient, link: string) {
    this.world = world;
    this.link = link;
    this.subscriber = new PunchingSide(subscriber, link);
    this.publisher = new PunchingSide(publisher, link);
  }

  get both(): readonly [PunchingSide, PunchingSide] {
    return [this.subscriber, this.publisher];
  }

  /** What the hub says of its searches. */
  get outcomes(): string[] {
    return this.outputs('punched').map(({ outcome }) => outcome);
  }

  outputs<Type extends HubOutput['type']>(type: Type) {
    return this.world.events.filter(
      (event): event is Extract<HubOutput, { type: Type }> => event.type === type,
    );
  }

  /** Both are ready. */
  async arm(): Promise<void> {
    for (const side of this.both) side.armed();
    await this.world.advance(10);
  }

  static async meet(world: SignalingWorld, options: PairOptions = {}): Promise<PunchingPair> {
    const [ours, theirs] = options.addresses ?? ['198.51.100.1', '203.0.113.1'];
    const name = options.name ?? 'game';
    const publisher = await world.join({ address: theirs });
    await publisher.request({ type: 'register', name, secrets: [{ key_id: 0, hash: HASH }] });
    const subscriber = await world.join({ address: ours });
    const { nats = [] } = options;
    for (const [i, client] of [subscriber, publisher].entries()) {
      const nat = nats[i];
      if (nat) client.input((session) => session.reportNat(nat, options.lan ?? false));
    }
    await world.advance(10);
    const link = world.runtime.randomBytes(16).toString('base64url');
    const offer = { name, link, key_id: 0, hash: HASH, offer: TEXT, mac: MAC, wait: false };
    subscriber.ask({ type: 'p2p_connect', ...offer });
    await world.advance(10);
    publisher.input((session) => session.notify({ type: 'p2p_answer', link, answer: TEXT, mac: MAC }));
    await world.advance(10);
    return new PunchingPair(world, subscriber, publisher, link);
  }
}

export interface PairOptions {
  /** The subscriber's, then the publisher's. */
  readonly addresses?: readonly [string, string];
  readonly nats?: readonly (NatVerdict | undefined)[];
  readonly lan?: boolean;
  readonly name?: string;
}

export class PunchingSide {
  readonly client: WorldClient;
  readonly link: string;

  constructor(client: WorldClient, link: string) {
    this.client = client;
    this.link = link;
  }

  /** All that it was told of direct paths. */
  get heard(): PunchNotice[] {
    return this.client.of('punch').map(({ message }) => message);
  }

  of<Type extends PunchNotice['type']>(type: Type) {
    return this.heard.filter(
      (message): message is Extract<PunchNotice, { type: Type }> => message.type === type,
    );
  }

  /** The tries that it was told of: strategy, and which time. */
  get tries(): string[] {
    return this.of('p2p_step').map(({ plan, attempt }) => `${plan.strategies[0]} ${attempt}`);
  }

  /** The number of the latest try. */
  get step(): number {
    return this.of('p2p_step').at(-1)?.step ?? 0;
  }

  get search(): number {
    const told = this.heard.flatMap((message) => ('search' in message ? [message.search] : []));
    return told.at(-1) ?? 0;
  }

  armed(step = this.step): void {
    this.say({ type: 'p2p_armed', link: this.link, step });
  }

  report(result: 'direct' | 'failed' | 'refused', step = this.step): void {
    this.say({ type: 'p2p_result', link: this.link, step, result });
  }

  again(search = this.search): void {
    this.say({ type: 'p2p_again', link: this.link, search });
  }

  say(notice: Notice): void {
    this.client.input((session) => session.notify(notice));
  }
}
