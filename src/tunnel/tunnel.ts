import type { UnderpassError } from '../errors.ts';
import type { Tunnel } from './api.ts';
import type { TunnelEvent } from './events.ts';
import type { Link } from './link.ts';

/** What publishers and subscribers have in common: they tell events, and end once. */
export abstract class BaseTunnel implements Tunnel {
  readonly closed: Promise<UnderpassError | undefined>;
  readonly #onEvent: (event: TunnelEvent) => void;
  #resolve: (error: UnderpassError | undefined) => void = () => {};
  #over = false;

  constructor(onEvent: (event: TunnelEvent) => void) {
    this.#onEvent = onEvent;
    this.closed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  async close(): Promise<void> {
    await this.end(undefined);
  }

  protected get over(): boolean {
    return this.#over;
  }

  protected emit(event: TunnelEvent): void {
    if (!this.#over) this.#tell(event);
  }

  /** Tells which path a link has now. */
  protected emitPath(whose: { readonly target: string } | { readonly peer: string }, link: Link): void {
    const { kind = 'relayed', rtt } = link;
    const rtt_ms = rtt === undefined ? null : Math.round(rtt * 100) / 100;
    this.emit({ event: 'path', ...whose, kind, rtt_ms });
  }

  /** Tells of a failure that is being dealt with. */
  protected complain(error: UnderpassError): void {
    const { code, message, hint } = error;
    this.emit({ event: 'error', code, message, hint, retry: true });
  }

  /** Ends the tunnel: by a failure, which is told, or because it was asked to. */
  protected async end(error: UnderpassError | undefined): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    if (error !== undefined) {
      const { code, message, hint } = error;
      this.#tell({ event: 'error', code, message, hint, retry: false });
    }
    this.#tell(this.farewell());
    await this.release();
    this.#resolve(error);
  }

  /** What a listener throws is the listener's affair, and must not unwind ours. */
  #tell(event: TunnelEvent): void {
    try {
      this.#onEvent(event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** The last event. */
  protected abstract farewell(): TunnelEvent;

  /** Gives back ports, links and names. Must not throw. */
  protected abstract release(): Promise<void>;
}
