import { UnderpassError } from '../../errors.ts';
import type { PathKind, View } from '../views/view.ts';
import { fetchFile } from './fetch.ts';
import type { DemoFile } from './files.ts';
import { measureRoundTrip } from './round-trip.ts';
import type { Entrance, Stage } from './stage.ts';

/** How long a file may take, and then how long a direct path may. */
const FETCH_SECONDS = 10 * 60;
const DIRECT_SECONDS = 10;

/** Fetches every file relayed first, which takes a tunnel that does not turn direct meanwhile, and then directly. */
export class Tour {
  readonly #files: readonly DemoFile[];
  readonly #stage: Stage;
  readonly #view: View;
  /** The path of which the view was told last. */
  #path: PathKind | undefined;
  readonly #paths = new Set<PathKind>();
  #bytes = 0;

  constructor(files: readonly DemoFile[], stage: Stage, view: View) {
    this.#files = files;
    this.#stage = stage;
    this.#view = view;
  }

  async run(): Promise<void> {
    const { paths } = this.#stage;
    await this.#fetchAll(await this.#stage.openRelayed());
    await paths.settled(AbortSignal.timeout(DIRECT_SECONDS * 1000));
    if (paths.current.kind === 'direct') await this.#fetchAll(this.#stage);
    this.#view.show({
      event: 'verified',
      files: this.#files.length,
      bytes: this.#bytes,
      paths: [...this.#paths],
      reason: this.#paths.has('direct') ? null : paths.current.reason,
    });
  }

  async #fetchAll(entrance: Entrance): Promise<void> {
    for (const file of this.#files) await this.#fetch(file, entrance);
  }

  /** Compares every byte, by SHA-256, with what was published. */
  async #fetch({ name, sha256, content }: DemoFile, entrance: Entrance): Promise<void> {
    const path = await this.#announcePath(entrance);
    const fetched = await fetchFile(entrance.listen, name, AbortSignal.timeout(FETCH_SECONDS * 1000));
    const ok = fetched.sha256 === sha256 && fetched.bytes === content.length;
    this.#view.show({ event: 'fetched', file: name, path, ...fetched, ok });
    if (!ok) throw new UnderpassError('internal', { problem: `${name} arrived with other bytes` });
    this.#bytes += fetched.bytes;
    this.#paths.add(path);
  }

  /** Says which path a new connection takes, with the round trip that a program sees there, unless it is that of the last file. */
  async #announcePath({ listen, paths }: Entrance): Promise<PathKind> {
    while (this.#path !== paths.current.kind) {
      const { current } = paths;
      const rtt = await measureRoundTrip(listen, AbortSignal.timeout(FETCH_SECONDS * 1000));
      // Otherwise it has been measured partly on another one.
      if (paths.current.kind !== current.kind) continue;
      this.#path = current.kind;
      this.#view.show({ ...current, rtt_ms: Math.round(rtt * 100) / 100 });
    }
    return this.#path;
  }
}
