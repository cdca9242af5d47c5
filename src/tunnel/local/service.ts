import { connect } from 'node:net';
import { UnderpassError } from '../../errors.ts';
import { unmapped } from '../../net/address.ts';
import type { Endpoint } from '../../net/endpoint.ts';
import { type ChannelHeader, ResetCode } from '../channel/channel-frame.ts';
import { type ChannelStream, type ChannelUser, NOBODY } from '../channel/channel-stream.ts';
import type { PeerMeter } from '../peers.ts';
import { Forward, SOCKET_BUFFER } from './forward.ts';
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
  readonly meter: PeerMeter;
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

  /** Serves one channel of a peer's: connects to the service, if the peer wants what is offered. */
  serve(
    { port: number }: ChannelHeader,
    accept: (user: ChannelUser) => ChannelStream,
    { meter, prefix }: ServedPeer,
  ): void {
    const { localHost: host, ports } = this.#options;
    const port = portOf(ports, number, 'tcp');
    if (port === undefined) {
      accept(NOBODY).reset(ResetCode.unknownPort);
      return;
    }
    // Both families are tried at once where the host has both: a service often listens on one of them only.
    const options = { host, port, allowHalfOpen: true, autoSelectFamily: true, highWaterMark: SOCKET_BUFFER };
    const socket = connect(options);
    meter.connections += 1;
    const forward = new Forward(socket, (code, problem) => {
      meter.connections -= 1;
      this.#onOver(code, problem);
    });
    const reached = () => ({
      address: unmapped(socket.remoteAddress ?? ''),
      port: socket.remotePort ?? port,
    });
    forward.connecting(prefix && (() => prefix(reached())));
    forward.start(accept(metered(forward, meter)));
    socket.on('data', (chunk: Buffer) => {
      meter.bytesOut += chunk.length;
    });
  }

  #onOver(code: number | undefined, problem: string | undefined): void {
    if (problem !== undefined) this.#onFailure(new UnderpassError('protocol_error', { problem }));
    else if (code === ResetCode.serviceUnreachable) {
      this.#onFailure(new UnderpassError('service_unreachable', { name: this.#options.name }));
    }
  }
}

/** Counts what comes from the peer. */
function metered(user: ChannelUser, meter: PeerMeter): ChannelUser {
  return {
    onData(chunk) {
      meter.bytesIn += chunk.length;
      user.onData(chunk);
    },
    onEnd: () => user.onEnd(),
    onDrain: () => user.onDrain(),
    onOver: (code, problem) => user.onOver(code, problem),
  };
}
