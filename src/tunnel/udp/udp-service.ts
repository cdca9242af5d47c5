import { UnderpassError } from '../../errors.ts';
import { Budget } from '../../net/budget.ts';
import { Driver } from '../../net/driver.ts';
import type { Runtime } from '../../net/runtime.ts';
import { flowKey } from './datagram-frame.ts';
import { type FlowEntry, FlowTable } from './flow-table.ts';
import { ServiceFlow } from './service-flow.ts';
import { UdpTarget, type UdpTargetOptions } from './udp-target.ts';

/** Flows of one link at a time, and of all: each has a socket. One more, and the longest idle goes. */
const MAX_LINK_FLOWS = 1024;
const MAX_FLOWS = 4096;

/** Bytes that wait for sockets, of all flows. */
const KEPT_BUDGET = 8 * 1024 * 1024;

export interface UdpServiceOptions {
  readonly runtime: Runtime;
  /** The tunnel's name, for error messages. */
  readonly name: string;
  /** The services by the number of the offered port; undefined where none of UDP is offered under that number. */
  readonly targets: readonly (UdpTargetOptions | undefined)[];
  /** How long a flow stays after its last packet in either direction, milliseconds. */
  readonly idle: number;
  readonly maxLinkFlows?: number | undefined;
  readonly maxFlows?: number | undefined;
  /** A service could not be reached (`service_unreachable`); told once until it has answered. */
  readonly onFailure: (error: UnderpassError) => void;
}

export interface UdpPeer {
  /** A service's answer, for the peer. */
  readonly onDatagram: (port: number, flow: number, payload: Buffer) => void;
  /** What is put in front of the first payload that the service gets of a flow. */
  readonly firstDatagramPrefix?: ((port: number, flow: number) => Buffer | undefined) | undefined;
}

/** The local UDP services of a publisher, for all its links. */
export class UdpService {
  readonly #options: UdpServiceOptions;
  readonly #targets: readonly (UdpTarget | undefined)[];
  readonly #links = new Set<UdpServiceLink>();
  readonly #budget = new Budget(KEPT_BUDGET);

  constructor(options: UdpServiceOptions) {
    this.#options = options;
    const { name, runtime, onFailure, targets } = options;
    const onUnreachable = () => onFailure(new UnderpassError('service_unreachable', { name }));
    this.#targets = targets.map((target) => target && new UdpTarget(target, runtime, onUnreachable));
  }

  /** A peer's end. Close it with its link. */
  link(peer: UdpPeer): UdpServiceLink {
    const { runtime, idle, maxLinkFlows = MAX_LINK_FLOWS } = this.#options;
    const link = new UdpServiceLink(peer, {
      ...{ runtime, idle, maxFlows: maxLinkFlows, budget: this.#budget },
      target: (port) => this.#targets[port],
      makeRoom: () => this.#makeRoom(),
      onClose: () => this.#links.delete(link),
    });
    this.#links.add(link);
    return link;
  }

  get flowCount(): number {
    let flows = 0;
    for (const { flowCount } of this.#links) flows += flowCount;
    return flows;
  }

  /** Whoever has the most flows gives one up. */
  #makeRoom(): void {
    const { maxFlows = MAX_FLOWS } = this.#options;
    if (this.flowCount < maxFlows) return;
    let largest: UdpServiceLink | undefined;
    for (const link of this.#links)
      if (largest === undefined || link.flowCount > largest.flowCount) largest = link;
    largest?.evict();
  }
}

interface LinkOptions {
  readonly runtime: Runtime;
  readonly idle: number;
  readonly maxFlows: number;
  readonly budget: Budget;
  readonly target: (port: number) => UdpTarget | undefined;
  readonly makeRoom: () => void;
  readonly onClose: () => void;
}

/** One peer's flows, each with a socket of its own. */
export class UdpServiceLink {
  readonly #peer: UdpPeer;
  readonly #options: LinkOptions;
  readonly #flows: FlowTable<number, ServiceFlow>;
  readonly #driver: Driver<FlowEntry<number, ServiceFlow>>;
  #dropped = 0;
  #closed = false;

  constructor(peer: UdpPeer, options: LinkOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#flows = new FlowTable({ idle: options.idle, limit: options.maxFlows });
    this.#driver = new Driver(this.#flows, options.runtime, ({ value }) => {
      this.#dropped += value.dropped;
      value.close();
    });
  }

  get flowCount(): number {
    return this.#flows.size;
  }

  /** Payloads of flows that are over, and of ports that are not offered, which no service was given. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The peer has sent this. Its bytes are the service's. */
  receive(port: number, flow: number, payload: Buffer): void {
    const known = this.#flows.touch(flowKey(port, flow), this.#options.runtime.now());
    if (known !== undefined) known.send(payload);
    else this.#begin(port, flow)?.send(payload);
  }

  /** The longest idle flow goes. */
  evict(): void {
    this.#flows.evict();
    this.#driver.pump();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#flows.clear();
    this.#driver.pump();
    this.#driver.stop();
    this.#options.onClose();
  }

  #begin(port: number, flow: number): ServiceFlow | undefined {
    const { runtime, budget, target: targetOf, makeRoom } = this.#options;
    const target = targetOf(port);
    if (target === undefined || this.#closed) {
      this.#dropped += 1;
      return undefined;
    }
    makeRoom();
    const { onDatagram, firstDatagramPrefix } = this.#peer;
    const key = flowKey(port, flow);
    const service = new ServiceFlow({
      ...{ runtime, target, budget },
      prefix: () => firstDatagramPrefix?.(port, flow),
      onMessage: (payload) => {
        this.#flows.touch(key, runtime.now());
        onDatagram(port, flow, payload);
      },
    });
    this.#flows.add(key, service, runtime.now());
    this.#driver.pump();
    return service;
  }
}
