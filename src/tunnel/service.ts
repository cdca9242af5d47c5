import { connect } from 'node:net';
import { UnderpassError } from '../errors.ts';
import type { PublishOptions } from './api.ts';
import { type ChannelHeader, ResetCode } from './channel-frame.ts';
import { type ChannelStream, type ChannelUser, NOBODY } from './channel-stream.ts';
import { Forward, SOCKET_BUFFER } from './forward.ts';

/** The local service of a publisher: every channel becomes a connection to it. */
export class Service {
  readonly #options: PublishOptions;
  readonly #onFailure: (error: UnderpassError) => void;

  /** @param onFailure the service could not be reached, or a peer broke the protocol */
  constructor(options: PublishOptions, onFailure: (error: UnderpassError) => void) {
    this.#options = options;
    this.#onFailure = onFailure;
  }

  /** Serves one channel of a peer's: connects to the service, if the peer wants what is offered. */
  serve({ port }: ChannelHeader, accept: (user: ChannelUser) => ChannelStream): void {
    if (port !== 0) {
      accept(NOBODY).reset(ResetCode.unknownPort);
      return;
    }
    const { localHost = 'localhost', localPort } = this.#options;
    // Both families are tried at once where the host has both: a service often listens on one of them only.
    const options = {
      host: localHost,
      port: localPort,
      allowHalfOpen: true,
      autoSelectFamily: true,
      highWaterMark: SOCKET_BUFFER,
    };
    const forward = new Forward(connect(options), (code, problem) => this.#onOver(code, problem));
    forward.connecting();
    forward.start(accept(forward));
  }

  #onOver(code: number | undefined, problem: string | undefined): void {
    if (problem !== undefined) this.#onFailure(new UnderpassError('protocol_error', { problem }));
    else if (code === ResetCode.serviceUnreachable) {
      this.#onFailure(new UnderpassError('service_unreachable', { name: this.#options.name }));
    }
  }
}
