import type { Carrier, CarrierHandler } from '../../carrier.ts';
import { asUnderpassError, type UnderpassError } from '../../errors.ts';
import { formatAddress } from '../../net/address.ts';
import type { SelectedPath } from '../../punch/agent-types.ts';
import { Puncher, type PuncherOptions } from '../../punch/client.ts';
import type { PeerCandidate } from '../../punch/remotes.ts';
import type { Prediction } from '../../punch/round.ts';
import type { PunchStep } from '../../punch/strategy.ts';
import { QuicCarrier, type QuicCarrierOptions } from '../../quic/carrier.ts';

export interface DirectPathOptions {
  readonly punch: PuncherOptions;
  readonly quic: Omit<QuicCarrierOptions, 'send'>;
}

/** What was found. */
export interface FoundPath {
  readonly strategy: string;
  /** `host:port`. */
  readonly remote: string;
}

export interface DirectPathHandler {
  onPredicted(prediction: Prediction): void;
  onArmed(): void;
  /** A step has come to nothing. `error`: and the path with it, because QUIC did not work where probes did. */
  onFailed(reason: string, error?: UnderpassError): void;
  /** Who is to hear of the carrier that is being set up. */
  carrierHandler(): CarrierHandler;
  /** QUIC is up. */
  onUp(carrier: Carrier, found: FoundPath): void;
  /** The peer is somewhere else now. */
  onMoved(remote: string): void;
  /** A path that was up is dead. Its carrier's handler hears of it next. */
  onLost(error: UnderpassError | undefined): void;
}

/** One search's probes, and QUIC on the path that they find. */
export class DirectPath {
  readonly #options: DirectPathOptions;
  readonly #handler: DirectPathHandler;
  readonly #puncher: Puncher;
  #carrier: QuicCarrier | undefined;
  #found: FoundPath | undefined;
  #state: 'seeking' | 'connecting' | 'up' | 'over' = 'seeking';
  #received = 0;

  constructor(options: DirectPathOptions, handler: DirectPathHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#puncher = new Puncher(options.punch, {
      onPredicted: (prediction) => handler.onPredicted(prediction),
      onArmed: () => handler.onArmed(),
      onSelected: (path) => this.#onSelected(path),
      onFailed: (reason) => handler.onFailed(reason),
      onLost: () => {
        this.#carrier?.drop();
        this.#over(undefined);
      },
      onPacket: (packet) => {
        if (!this.#carrier?.receive(packet)) return false;
        this.#received += packet.length;
        return true;
      },
    });
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  addCandidate(candidate: PeerCandidate): void {
    this.#puncher.addCandidate(candidate);
  }

  predict(prediction: Prediction): void {
    this.#puncher.predict(prediction);
  }

  /** @param vouched addresses at which our own server has seen the peer */
  arm(step: PunchStep, vouched: readonly string[] = []): void {
    this.#puncher.arm(step, vouched);
  }

  go(): void {
    this.#puncher.go();
  }

  /** Our network is another one: it is dead in 1.5 s, unless the peer answers. */
  check(): void {
    this.#puncher.check();
  }

  /** Bytes that have come by this path since the last call. */
  takeReceived(): number {
    const received = this.#received;
    this.#received = 0;
    return received;
  }

  /** Ends it with its link: what is on it is reset. */
  close(): void {
    this.#end((carrier) => carrier.close());
  }

  /** Ends it, and not the link. */
  drop(): void {
    this.#end((carrier) => carrier.drop());
  }

  #end(how: (carrier: QuicCarrier) => void): void {
    if (this.#state === 'over') return;
    // Only of a path that was up somebody has to hear.
    if (!this.isUp) this.#state = 'over';
    // Its goodbye has to get out first.
    if (this.#carrier !== undefined) how(this.#carrier);
    this.#over(undefined);
  }

  #onSelected({ strategy, remote: { address, port } }: Omit<SelectedPath, 'socket'>): void {
    const remote = formatAddress(address, port);
    if (this.#carrier !== undefined) {
      this.#found = { strategy: this.#found?.strategy ?? strategy, remote };
      if (this.isUp) this.#handler.onMoved(remote);
      return;
    }
    this.#found = { strategy, remote };
    this.#state = 'connecting';
    void this.#connect(this.#found);
  }

  async #connect(found: FoundPath): Promise<void> {
    try {
      this.#carrier = this.#createCarrier();
      await this.#carrier.established;
    } catch (error) {
      this.#over(asUnderpassError(error));
    }
    if (this.#state !== 'connecting' || this.#carrier === undefined) return;
    this.#state = 'up';
    this.#handler.onUp(this.#carrier, this.#found ?? found);
  }

  #createCarrier(): QuicCarrier {
    const listener = this.#handler.carrierHandler();
    return new QuicCarrier(
      { ...this.#options.quic, send: (packet) => this.#puncher.send(packet) },
      {
        onStream: (stream) => listener.onStream(stream),
        onDatagram: (datagram) => listener.onDatagram(datagram),
        onDatagramRoom: () => listener.onDatagramRoom(),
        onClose: (error) => {
          this.#over(error);
          listener.onClose(error);
        },
      },
    );
  }

  #over(error: UnderpassError | undefined): void {
    const before = this.#state;
    this.#state = 'over';
    this.#puncher.close();
    if (before === 'up') this.#handler.onLost(error);
    if (before === 'connecting') this.#handler.onFailed(String(error ?? 'lost'), error);
  }
}
