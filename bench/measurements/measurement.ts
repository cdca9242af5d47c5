import type { Stage } from '../processes/stage.ts';
import type { Figure } from '../report/figure.ts';

export interface Measurement {
  /** What it measures, in a sentence. */
  readonly title: string;
  /** Yields figures as they are known. `quick`: fewer and shorter rounds, to see that everything works. */
  run(stage: Stage, quick: boolean): AsyncIterable<Figure>;
}
