import type { UnderpassError } from '../errors.ts';
import type { Tunnel } from './api.ts';
import type { PathEvent, TunnelEvent } from './events.ts';
import type { LinkPath } from './link/link.ts';

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
  protected emitPath(whose: Pick<PathEvent, 'target' | 'peer'>, path: LinkPath): void {
    const { kind, rtt } = path;
    const measures = { rtt_ms: rtt === undefined ? null : round(rtt) };
    if (path.kind === 'direct') {
      const { strategy, remote, elapsed } = path;
      const found = { strategy, remote, ...measures, elapsed_ms: round(elapsed), reason: null };
      this.emit({ event: 'path', ...whose, kind, ...found });
    } else {
      const nothing = { strategy: null, remote: null, ...measures, elapsed_ms: null };
      this.emit({ event: 'path', ...whose, kind, ...nothing, reason: path.reason });
    }
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

function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}
