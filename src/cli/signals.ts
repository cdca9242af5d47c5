import { constants } from 'node:os';
import type { Signals, StopReason } from './context.ts';

/** The process's signals. The first asks the program to end, the second ends it at once. */
export function processSignals(): Signals {
  let hangup: (() => void) | undefined;
  let stopping = false;
  const stopped = new Promise<StopReason>((resolve) => {
    const stop = (reason: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => {
      if (stopping) process.exit(128 + constants.signals[reason]);
      stopping = true;
      resolve(reason);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    process.on('SIGHUP', () => (hangup ? hangup() : stop('SIGHUP')));
    // `underpass … | head -1`: the reader has gone, and that is no error.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      resolve('output closed');
    });
  });
  // With nobody to read what failed there is nothing left to say, and no reason to fail more.
  process.stderr.on('error', () => {});
  return {
    stopped,
    onHangup: (callback) => {
      hangup = callback;
    },
  };
}
