import { type State, tell } from './said.ts';

/** 20 Hz. */
const TICK = 50;
const TICKS_PER_STATE = 10;

/** Calls `tick` twenty times a second, and tells the state every half second. */
export function beat(tick: (ms: number) => void, state: () => Omit<State, 'event' | 'at'>): void {
  let last = performance.now();
  let count = 0;
  setInterval(() => {
    const now = performance.now();
    tick(now - last);
    last = now;
    count += 1;
    if (count % TICKS_PER_STATE === 0) tell({ event: 'state', at: Date.now(), ...state() });
  }, TICK);
}
