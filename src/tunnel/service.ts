import { connect, type Socket } from 'node:net';
import { UnderpassError } from '../errors.ts';
import { unmapped } from '../net/address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { type ChannelHeader, ResetCode } from './channel-frame.ts';
import type { ChannelStream, ChannelUser } from './channel-stream.ts';
import { Forward, SOCKET_BUFFER } from './forward.ts';
import { PeerMeter } from './peers.ts';
import { type OfferedPort, portOf } from './ports.ts';

export interface ServiceOptions {
  /** The tunnel's. */
  readonly name: string;
  /** Where the service runs. */
  readonly localHost: string;
  /** What is offered, over TCP among others. */
  readonly ports: readonly OfferedPort[];
}

/** Whom a channel is served for. */
export interface ServedPeer {
  /** Is kept up to date. */
  readonly meter?: PeerMeter | undefined;
  /** What the service is told before anything else, once it has been reached. @param service where that was */
  readonly prefix?: ((service: Endpoint) => Buffer | undefined) | undefined;
}

/** The local service of a publisher: every channel becomes a connection to it. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #onFailure: (error: UnderpassError) => void;

  /** @param onFailure the service could not be reached, or a peer broke the protocol */
  constructor(options: ServiceOptions, onFailure: (error: UnderpassError) => void) {
    this.#options = options;
    this.#onFailure = onFailure;
  }

  /** Serves one channel of a peer's. */
  serve(accept: (user: ChannelUser) => ChannelStream, peer: ServedPeer = {}): void {
    const client = new ServiceClient(this.#options, peer, (code, problem) => this.#onOver(code, problem));
    client.start(accept(client));
  }

  #onOver(code: number | undefined, problem: string | undefined): void {
    if (problem !== undefined) this.#onFailure(new UnderpassError('protocol_error', { problem }));
    else if (code === ResetCode.serviceUnreachable) {
      this.#onFailure(new UnderpassError('service_unreachable', { name: this.#options.name }));
    }
  }
}

/** One channel: connects to the service when the peer has said which port it wants. */
class ServiceClient implements ChannelUser {
  readonly #options: ServiceOptions;
  readonly #prefix: ServedPeer['prefix'];
  readonly #meter: PeerMeter;
  readonly #onOver: (code: number | undefined, problem: string | undefined) => void;
  #channel: ChannelStream | undefined;
  #socket: Socket | undefined;
  #forward: Forward | undefined;
  #refused = false;

  constructor(
    options: ServiceOptions,
    { prefix, meter = new PeerMeter() }: ServedPeer,
    onOver: (code: number | undefined, problem: string | undefined) => void,
  ) {
    this.#options = options;
    this.#prefix = prefix;
    this.#meter = meter;
    this.#onOver = onOver;
  }

  start(channel: ChannelStream): void {
    this.#channel = channel;
    this.#startForward();
    if (this.#refused) channel.reset(ResetCode.unknownPort);
  }

  onOpened({ port: number }: ChannelHeader): void {
    const { localHost: host, ports } = this.#options;
    const port = portOf(ports, number, 'tcp');
    if (port === undefined) {
      this.#refused = true;
      this.#channel?.reset(ResetCode.unknownPort);
      return;
    }
    // Both families are tried at once where the host has both: a service often listens on one of them only.
    const options = { host, port, allowHalfOpen: true, autoSelectFamily: true, highWaterMark: SOCKET_BUFFER };
    const socket = connect(options);
    this.#meter.connections += 1;
    this.#forward = new Forward(socket, (code, problem) => {
      this.#meter.connections -= 1;
      this.#onOver(code, problem);
    });
    this.#socket = socket;
    const prefix = this.#prefix;
    this.#forward.connecting(
      prefix &&
        (() => prefix({ address: unmapped(socket.remoteAddress ?? ''), port: socket.remotePort ?? port })),
    );
    this.#startForward();
  }

  onData(chunk: Buffer): void {
    this.#meter.bytesIn += chunk.length;
    this.#forward?.onData(chunk);
  }

  onEnd(): void {
    this.#forward?.onEnd();
  }

  onDrain(): void {
    this.#forward?.onDrain();
  }

  onOver(code: number | undefined, problem: string | undefined): void {
    if (this.#forward !== undefined) this.#forward.onOver(code, problem);
    else this.#onOver(code, problem);
  }

  #startForward(): void {
    if (this.#channel === undefined) return;
    this.#forward?.start(this.#channel);
    this.#socket?.on('data', (chunk: Buffer) => {
      this.#meter.bytesOut += chunk.length;
    });
  }
}
