import { memory } from './memory.ts';
import { answer } from './rpc.ts';

const handlers = { memory };
export type MemoryProbe = typeof handlers;

// Loaded before the program (`node --import`), which knows nothing of it and is not kept alive by it.
answer(handlers);
process.channel?.unref();
