import type { NatVerdict } from '../../src/nat/behaviour.ts';
import { Driver } from '../../src/net/driver.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { PunchAgent } from '../../src/punch/agent.ts';
import {
  MAIN_SOCKET,
  type PunchOptions,
  type PunchOutput,
  type SelectedPath,
} from '../../src/punch/agent-types.ts';
import type { Role } from '../../src/punch/keys.ts';
import type { PeerCandidate } from '../../src/punch/remotes.ts';
import type { Found } from './punch-discovery.ts';
import { type Place, verdictAt } from './punch-place.ts';
import type { Random } from './random.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import { VirtualProbe } from './virtual-probe.ts';
import type { VirtualRuntime } from './virtual-runtime.ts';

export interface PunchEndOptions {
  readonly runtime: VirtualRuntime;
  readonly random: Random;
  readonly host: VirtualHost;
  readonly role: Role;
  readonly place: Place;
  readonly stun: Endpoint;
  readonly link: Pick<PunchOptions, 'link' | 'keys'>;
  /** What its discovery has found; by default what there is to be found. */
  readonly found?: Found | undefined;
}

/** One side of a punch: a host, its sockets, and an agent that drives them. */
export class PunchEnd {
  readonly role: Role;
  readonly host: VirtualHost;
  readonly verdict: NatVerdict;
  readonly agent: PunchAgent;
  readonly sockets = new Map<number, VirtualSocket>();
  readonly candidates: readonly PeerCandidate[];
  /** Where the server's STUN has seen it. */
  readonly seenAt: readonly string[];
  readonly events: PunchOutput[] = [];
  readonly pump: () => void;
  /** What the peer said, past the gate that keeps strangers from QUIC. */
  readonly heard: Buffer[] = [];
  /** Packets. */
  sent = 0;
  /** Called for what the agent wants told to others. */
  onEvent: (output: PunchOutput) => void = () => {};
  readonly #runtime: VirtualRuntime;

  constructor({ runtime, random, host, role, place, stun, link, found }: PunchEndOptions) {
    this.role = role;
    this.host = host;
    this.#runtime = runtime;
    const main = found?.main ?? host.open({ family: 4 });
    const six = place.ipv6 ? host.open({ family: 6 }) : undefined;
    const reflexive = found?.reflexive ?? new VirtualProbe(runtime, random, host).ask(main, stun)?.mapped;
    this.candidates = [
      ...(host.nat ? [{ kind: 'host', ...main.local } as const] : []),
      ...(six ? [{ kind: 'host', ...six.local } as const] : []),
      ...(reflexive ? [{ kind: 'server-reflexive', ...reflexive } as const] : []),
    ];
    this.seenAt = reflexive ? [reflexive.address] : [];
    this.verdict = found?.verdict ?? verdictAt(place);
    this.agent = new PunchAgent({
      ...{ role, ...link, randomBytes: (size) => runtime.randomBytes(size) },
      families: six ? [4, 6] : [4],
      measured: { verdict: this.verdict, reflexive, stun },
    });
    const driver = new Driver(this.agent, runtime, (output) => this.#do(output));
    this.pump = () => driver.pump();
    this.#use(MAIN_SOCKET[4], main);
    if (six) this.#use(MAIN_SOCKET[6], six);
  }

  get now(): number {
    return this.#runtime.now();
  }

  get selected(): SelectedPath | undefined {
    return this.events.findLast((event) => event.type === 'selected');
  }

  get failure(): string | undefined {
    return this.events.findLast((event) => event.type === 'failed')?.reason;
  }

  /** Something for the peer, which is no probe. */
  speak(bytes: Buffer): void {
    if (this.selected) this.sockets.get(this.selected.socket)?.send(bytes, this.selected.remote);
  }

  #do(output: PunchOutput): void {
    const { sockets, agent, host } = this;
    switch (output.type) {
      case 'send': {
        const { socket, to, bytes, ttl } = output;
        this.sent++;
        sockets.get(socket)?.send(bytes, to, ttl === undefined ? {} : { ttl });
        return;
      }
      case 'open': {
        const socket = host.open({ family: output.family });
        this.#use(output.socket, socket);
        agent.opened(output.socket, socket.local.port, this.now);
        return;
      }
      case 'close':
        sockets.get(output.socket)?.close();
        sockets.delete(output.socket);
    }
    this.events.push(output);
    this.onEvent(output);
  }

  #use(number: number, socket: VirtualSocket): void {
    this.sockets.set(number, socket);
    socket.onPacket('stun', (bytes, from) => {
      this.agent.receive(number, from, bytes, this.now);
      this.pump();
    });
    socket.onPacket('quic', (bytes, from) => {
      if (this.agent.isProven(number, from, this.now) && number === this.selected?.socket)
        this.heard.push(bytes);
    });
  }
}
