import { setTimeout as delay } from 'node:timers/promises';

/** What a process holds after garbage collection, in bytes. */
export interface Memory {
  readonly rss: number;
  /** Heap in use, and what lives outside of it: buffers above all. */
  readonly held: number;
}

// What is outside the heap is released by finalizers, which run after the collection that found it.
const COLLECTIONS = 4;
const BETWEEN = 100;

/** Collects garbage in this process (`node --expose-gc`) and looks. */
export async function memory(): Promise<Memory> {
  if (global.gc === undefined) throw new Error('memory is only measured with --expose-gc');
  for (let i = 0; i < COLLECTIONS; i++) {
    global.gc();
    await delay(BETWEEN);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, held: heapUsed + external };
}
