import type { TunnelEvent } from '../../index.ts';

export type PathEvent = Extract<TunnelEvent, { event: 'path' }>;

/** Why no direct path will ever be looked for: waiting for one would be in vain. */
const HOPELESS: ReadonlySet<string> = new Set([
  'off',
  'peer-off',
  'server-off',
  'unsupported',
  'peer-unsupported',
]);

/** Remembers which path a tunnel has. */
export class PathWatch {
  #current: PathEvent;
  #onChange: (path: PathEvent) => void = () => {};

  constructor(target: string) {
    const nothing = { strategy: null, remote: null, rtt_ms: null, elapsed_ms: null, reason: null };
    this.#current = { event: 'path', target, kind: 'relayed', ...nothing };
  }

  get current(): PathEvent {
    return this.#current;
  }

  tell(path: PathEvent): void {
    this.#current = path;
    this.#onChange(path);
  }

  /** Calls back with the path that there is, and each time that it changes from now on; takes the place of the one before. */
  watch(onChange: (path: PathEvent) => void): void {
    this.#onChange = onChange;
    onChange(this.#current);
  }

  /** Resolves when the path is direct, when it cannot become so, and at the latest when `signal` says. */
  async settled(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.watch(({ kind, reason }) => {
        if (kind === 'direct' || (reason !== null && HOPELESS.has(reason))) resolve();
      });
    });
  }
}
