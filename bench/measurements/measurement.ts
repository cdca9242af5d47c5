import type { Stage } from '../processes/stage.ts';
import type { Figure } from '../report/figure.ts';

/** What the command line says besides. */
export interface Options {
  /** A revision of the sources to compare this build with. */
  readonly against: string | undefined;
}

export interface Measurement {
  /** What it measures, in a sentence. */
  readonly title: string;
  /** Yields figures as they are known. `quick`: fewer and shorter rounds, to see that everything works. */
  run(stage: Stage, quick: boolean, options: Options): AsyncIterable<Figure>;
}
