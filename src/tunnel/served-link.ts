import type { ChannelHeader } from './channel/channel-frame.ts';
import type { ChannelStream, ChannelUser } from './channel/channel-stream.ts';
import type { Link, LinkPath } from './link/link.ts';
import { proxyHeader } from './local/proxy-protocol.ts';
import type { ServedPeer } from './local/service.ts';
import type { Services } from './local/services.ts';
import { addressOf, PeerMeter } from './peers.ts';
import type { UdpServiceLink } from './udp/udp-service.ts';

export interface ServedLinkOptions {
  /** The link's short name. */
  readonly peer: string;
  /** The tunnel's. */
  readonly name: string;
  /** What the server says of the subscriber's address. */
  readonly claim: string;
}

/** One subscriber's link, as the publisher's services see it. */
export class ServedLink {
  readonly meter = new PeerMeter();
  readonly #services: Services;
  readonly #options: ServedLinkOptions;
  readonly #peer: ServedPeer;
  #udp: UdpServiceLink | undefined;
  /** The fingerprint of the subscriber's key, once that is proved. */
  identity = '';
  link: Link | undefined;
  /** The latest there was: a peer that has lost its path is where it was. */
  #path: LinkPath | undefined;
  #closed = false;

  constructor(services: Services, options: ServedLinkOptions) {
    this.#services = services;
    this.#options = options;
    this.meter.flowsOf = () => this.#udp?.flowCount ?? 0;
    const prefix: ServedPeer['prefix'] = (destination) =>
      proxyHeader({ protocol: 'tcp', source: this.#source, destination, identity: this.identity });
    this.#peer = { meter: this.meter, prefix: services.proxyProtocol ? prefix : undefined };
  }

  /** What events say of it. */
  get about() {
    const { peer, name } = this.#options;
    const { address, claimed } = this.#source;
    const { identity } = this;
    return { event: 'peer', name, peer, identity, address, address_claimed: claimed } as const;
  }

  onPath(path: LinkPath): void {
    if (path.kind !== 'none') this.#path = path;
  }

  onChannel(header: ChannelHeader, accept: (user: ChannelUser) => ChannelStream): void {
    this.#services.tcp.serve(header, accept, this.#peer);
  }

  onDatagram(port: number, flow: number, payload: Buffer): void {
    if (this.#closed) return;
    this.meter.bytesIn += payload.length;
    this.#udp ??= this.#services.udp.link({
      onDatagram: (from, to, answer) => {
        this.meter.bytesOut += answer.length;
        this.link?.sendDatagram(from, to, answer);
      },
      firstDatagramPrefix: this.#services.proxyProtocol ? (number) => this.#udpPrefix(number) : undefined,
    });
    this.#udp.receive(port, flow, payload);
  }

  close(): void {
    this.#closed = true;
    this.#udp?.close();
  }

  #udpPrefix(number: number): Buffer {
    const destination = this.#services.udpAddress(number);
    return proxyHeader({ protocol: 'udp', source: this.#source, destination, identity: this.identity });
  }

  get #source() {
    return addressOf(this.#path, this.#options.claim);
  }
}
