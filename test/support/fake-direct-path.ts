import { UnderpassError } from '../../src/errors.ts';
import type {
  DirectPath,
  DirectPathHandler,
  DirectPathOptions,
  FoundPath,
} from '../../src/tunnel/direct/direct-path.ts';
import { FakeCarrier } from './fake-carrier.ts';

type Part =
  | 'addCandidate'
  | 'predict'
  | 'arm'
  | 'go'
  | 'check'
  | 'takeReceived'
  | 'close'
  | 'drop'
  | 'isUp'
  | 'isOver';

const LOST = new UnderpassError('peer_lost', { name: 'test' });

/** Finds what the test says, and keeps what it was told. */
export class FakeDirectPath implements Pick<DirectPath, Part> {
  /** All that were made, the latest last. */
  static readonly made: FakeDirectPath[] = [];
  readonly options: DirectPathOptions;
  readonly handler: DirectPathHandler;
  readonly told: string[] = [];
  carrier: FakeCarrier | undefined;
  /** Bytes that have come and were not asked for yet. */
  received = 0;
  isOver = false;

  constructor(options: DirectPathOptions, handler: DirectPathHandler) {
    this.options = options;
    this.handler = handler;
    FakeDirectPath.made.push(this);
  }

  get isUp(): boolean {
    return this.carrier !== undefined && !this.isOver;
  }

  addCandidate({ port }: Parameters<DirectPath['addCandidate']>[0]): void {
    this.told.push(`candidate ${port}`);
  }

  predict(prediction: Parameters<DirectPath['predict']>[0]): void {
    this.told.push(`predict ${'ports' in prediction ? prediction.ports : prediction.first}`);
  }

  arm(...[{ strategies, hard, tries }, vouched = []]: Parameters<DirectPath['arm']>): void {
    this.told.push(['arm', strategies, hard ?? 'nobody', tries, ...vouched].join(' '));
  }

  go(): void {
    this.told.push('go');
  }

  check(): void {
    this.told.push('check');
  }

  takeReceived(): number {
    const { received } = this;
    this.received = 0;
    return received;
  }

  close(): void {
    this.#leave('close');
  }

  drop(): void {
    this.#leave('drop');
  }

  #leave(how: 'close' | 'drop'): void {
    if (this.isOver) return;
    this.told.push(how);
    this.#end(undefined);
  }

  /** QUIC is up on a path. */
  up(found: FoundPath = { strategy: 'direct', remote: '45.80.1.2:5000' }): void {
    this.carrier = new FakeCarrier('direct', this.handler.carrierHandler());
    this.handler.onUp(this.carrier, found);
  }

  /** QUIC hears nothing on it any more, or hears again. */
  silence(silent: boolean): void {
    this.options.quic.onSilence?.(silent);
  }

  /** The path that was up is dead. */
  die(): void {
    this.#end(LOST);
  }

  #end(error: UnderpassError | undefined): void {
    const { isUp } = this;
    this.isOver = true;
    if (isUp) this.handler.onLost(error);
    this.carrier?.end(error);
  }
}
