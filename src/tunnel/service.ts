import { connect } from 'node:net';
import { UnderpassError } from '../errors.ts';
import type { PublishOptions } from './api.ts';
import { type ChannelHeader, ResetCode } from './channel-frame.ts';
import type { ChannelStream, ChannelUser } from './channel-stream.ts';
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

  /** Serves one channel of a peer's. */
  serve(accept: (user: ChannelUser) => ChannelStream): void {
    const client = new ServiceClient(this.#options, (code, problem) => this.#onOver(code, problem));
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
  readonly #options: PublishOptions;
  readonly #onOver: (code: number | undefined, problem: string | undefined) => void;
  #channel: ChannelStream | undefined;
  #forward: Forward | undefined;
  #refused = false;

  constructor(
    options: PublishOptions,
    onOver: (code: number | undefined, problem: string | undefined) => void,
  ) {
    this.#options = options;
    this.#onOver = onOver;
  }

  start(channel: ChannelStream): void {
    this.#channel = channel;
    this.#forward?.start(channel);
    if (this.#refused) channel.reset(ResetCode.unknownPort);
  }

  onOpened({ port }: ChannelHeader): void {
    if (port !== 0) {
      this.#refused = true;
      this.#channel?.reset(ResetCode.unknownPort);
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
    const socket = connect(options);
    this.#forward = new Forward(socket, this.#onOver);
    this.#forward.connecting();
    if (this.#channel !== undefined) this.#forward.start(this.#channel);
  }

  onData(chunk: Buffer): void {
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
}
