import { UnderpassError } from '../../src/errors.ts';
import { Identity } from '../../src/identity.ts';
import { SourceProofs } from '../../src/nat/source-proofs.ts';
import { Driver } from '../../src/net/driver.ts';
import { planPunch } from '../../src/punch/strategy.ts';
import type { ClientOutput, Unsent } from '../../src/signaling/client-output.ts';
import { ClientSession } from '../../src/signaling/client-session.ts';
import { SignalingHub } from '../../src/signaling/hub.ts';
import type { HubOutput } from '../../src/signaling/hub-output.ts';
import { defaultLimits, type HubPolicy, type ServerLimits } from '../../src/signaling/limits.ts';
import type { PlanPunch } from '../../src/signaling/punch-plan.ts';
import { MemoryRegistry } from '../../src/signaling/registry.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

/** One way through the pretend network, in milliseconds. */
const LATENCY = 1;
const STEP = 5;

type Output<Type extends ClientOutput['type']> = Extract<ClientOutput, { type: Type }>;

/** A hub with its registry, and clients that reach it through a pretend network, in virtual time. */
export class SignalingWorld {
  readonly runtime: VirtualRuntime;
  readonly hub: SignalingHub;
  readonly registry = new MemoryRegistry();
  /** What the server's STUN gives to those who show a voucher. */
  readonly proofs = new SourceProofs(Buffer.alloc(32, 7));
  /** What the hub told its owner: links, ended sessions, failures. */
  readonly events: HubOutput[] = [];
  /** What raw connections were told: texts and the close code. */
  readonly heard = new Map<number, (string | number)[]>();
  /** While false, nobody can connect. */
  reachable = true;
  readonly #driver: Driver<HubOutput>;
  readonly #receivers = new Map<number, { text(text: string): void; close(code: number): void }>();
  #lastConnection = 0;

  constructor(
    policy: Partial<Omit<HubPolicy, 'limits'>> & {
      limits?: Partial<ServerLimits>;
      planPunch?: PlanPunch;
    } = {},
    seed = 1,
  ) {
    this.runtime = new VirtualRuntime(seed);
    this.hub = new SignalingHub({
      tokens: [],
      direct: true,
      rememberOutcomes: true,
      version: 'test',
      planPunch,
      checkSource: (claim, now) => this.proofs.check(claim, now),
      ...policy,
      limits: { ...defaultLimits, ...policy.limits },
      randomBytes: (size) => this.runtime.randomBytes(size),
    });
    this.#driver = new Driver(this.hub, this.runtime, (output) => this.#perform(output));
  }

  /** Moves the clock in small steps, so that the registry's promises can settle between them. */
  async advance(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= STEP) {
      this.runtime.advance(Math.min(STEP, left));
      for (let i = 0; i < 6; i++) await Promise.resolve();
    }
  }

  input(give: (hub: SignalingHub, now: number) => void): void {
    give(this.hub, this.runtime.now());
    this.#driver.pump();
  }

  /** A connection without a client behind it. */
  raw(address = '192.0.2.66'): number {
    const id = ++this.#lastConnection;
    this.heard.set(id, []);
    this.input((hub, now) => hub.connect(id, address, now));
    return id;
  }

  receive(id: number, text: string): void {
    this.input((hub, now) => hub.receive(id, text, now));
  }

  client(options: { identity?: Identity; token?: string; address?: string } = {}): WorldClient {
    return new WorldClient(this, options);
  }

  /** A client that is online. */
  async join(options: { identity?: Identity; token?: string; address?: string } = {}): Promise<WorldClient> {
    const client = this.client(options);
    client.start();
    await this.advance(20);
    return client;
  }

  /** Connects a client to the hub; returns the connection's id. */
  attach(address: string, receiver: { text(text: string): void; close(code: number): void }): number {
    const id = ++this.#lastConnection;
    this.#receivers.set(id, receiver);
    this.input((hub, now) => hub.connect(id, address, now));
    return id;
  }

  detach(id: number): void {
    this.#receivers.delete(id);
  }

  #perform(output: HubOutput): void {
    switch (output.type) {
      case 'send':
        this.heard.get(output.connection)?.push(output.text);
        this.#deliver(output.connection, (receiver) => receiver.text(output.text));
        break;
      case 'close':
        this.heard.get(output.connection)?.push(output.code);
        this.#deliver(output.connection, (receiver) => receiver.close(output.code));
        break;
      case 'claim':
        void this.registry
          .claim(output.registration, this.runtime.now())
          .then((result) => this.input((hub, now) => hub.claimed(output.ref, result, now)));
        break;
      case 'lookup':
        void this.registry
          .lookup(output.name)
          .then((found) => this.input((hub, now) => hub.found(output.ref, found, now)));
        break;
      case 'release':
        void this.registry.release(output.name, output.session, output.hold, this.runtime.now());
        break;
      default:
        this.events.push(output);
    }
  }

  #deliver(
    id: number,
    give: (receiver: { text(text: string): void; close(code: number): void }) => void,
  ): void {
    const receiver = this.#receivers.get(id);
    if (receiver)
      this.runtime.setTimer(LATENCY, () => this.#receivers.get(id) === receiver && give(receiver));
  }
}

/** A client machine in a world, and everything that it said. */
export class WorldClient {
  readonly session: ClientSession;
  readonly outputs: ClientOutput[] = [];
  readonly identity: Identity;
  readonly #world: SignalingWorld;
  readonly #driver: Driver<ClientOutput>;
  readonly #address: string;
  #connection: number | undefined;

  constructor(world: SignalingWorld, options: { identity?: Identity; token?: string; address?: string }) {
    this.#world = world;
    this.identity = options.identity ?? Identity.generate();
    this.#address = options.address ?? '192.0.2.1';
    this.session = new ClientSession({
      version: 'test',
      token: options.token,
      identity: this.identity.publicKey.toString('base64url'),
      sign: (challenge) => this.identity.sign('underpass/1 auth', challenge),
      random: () => world.runtime.randomBytes(4).readUInt32BE() / 2 ** 32,
    });
    this.#driver = new Driver(this.session, world.runtime, (output) => this.#perform(output));
  }

  start(): void {
    this.input((session) => session.start());
  }

  input(give: (session: ClientSession, now: number) => void): void {
    give(this.session, this.#world.runtime.now());
    this.#driver.pump();
  }

  /** Sends a request; returns its id. */
  ask(unsent: Unsent): string {
    let id = '';
    this.input((session, now) => {
      id = session.request(unsent, now);
    });
    return id;
  }

  /** Sends a request, waits for a round trip and a bit, and says what became of it. */
  async request(unsent: Unsent): Promise<Output<'response'>['response'] | string | undefined> {
    const id = this.ask(unsent);
    await this.#world.advance(10);
    return this.outcome(id);
  }

  /** What became of a request: the response, an error's code, or undefined. */
  outcome(id: string): Output<'response'>['response'] | string | undefined {
    for (const output of this.outputs) {
      if (output.type === 'response' && output.request === id) return output.response;
      if (output.type === 'failed' && output.request === id) return output.error.code;
    }
    return undefined;
  }

  of<Type extends ClientOutput['type']>(type: Type): Output<Type>[] {
    return this.outputs.filter((output): output is Output<Type> => output.type === type);
  }

  /** The network swallows everything from now on, and tells nobody. */
  vanish(): void {
    if (this.#connection !== undefined) this.#world.detach(this.#connection);
    this.#connection = undefined;
  }

  /** The connection breaks, and both ends notice. */
  cut(): void {
    const id = this.#connection ?? 0;
    this.vanish();
    this.#world.input((hub, now) => hub.disconnect(id, false, now));
    this.input((session, now) => session.closed(1006, now));
  }

  #perform(output: ClientOutput): void {
    this.outputs.push(output);
    const { runtime } = this.#world;
    const id = this.#connection;
    if (output.type === 'connect') runtime.setTimer(LATENCY, () => this.#connect());
    if (output.type === 'send' && id !== undefined) {
      runtime.setTimer(LATENCY, () => this.#connection === id && this.#world.receive(id, output.text));
    }
    if (output.type === 'disconnect' && id !== undefined) {
      this.vanish();
      const goodbye = output.code === 1000;
      runtime.setTimer(LATENCY, () => this.#world.input((hub, now) => hub.disconnect(id, goodbye, now)));
    }
  }

  #connect(): void {
    if (!this.#world.reachable) {
      const error = new UnderpassError('server_unreachable', { host: 'world', problem: 'down' });
      this.input((session, now) => session.failed(error, now));
      return;
    }
    this.input((session, now) => session.opened(now));
    this.#connection = this.#world.attach(this.#address, {
      text: (text) => this.input((session, now) => session.receive(text, now)),
      close: (code) => {
        this.vanish();
        this.input((session, now) => session.closed(code, now));
      },
    });
  }
}
