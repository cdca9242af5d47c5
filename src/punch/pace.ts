import type { Instant } from '../machine.ts';
import type { Ground } from './round.ts';

/** Between two packets, in milliseconds: 200 a second. What is faster has been taken for an attack. */
export const PACE = 5;

/** Runs something so many times, a packet's pace apart. Timers that come late are made up for, but a pause is never, in a burst. */
export function paced(
  { bench, now }: Pick<Ground, 'bench' | 'now'>,
  count: number,
  run: (index: number) => void,
  done: () => void = () => {},
): void {
  const next = (index: number, due: Instant) => {
    if (index >= count) {
      done();
      return;
    }
    run(index);
    const following = Math.max(due + PACE, now());
    bench.after(following - now(), () => next(index + 1, following));
  };
  next(0, now());
}
