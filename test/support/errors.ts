import { UnderpassError } from '../../src/errors.ts';

/** The UnderpassError that `action` throws; anything else, or nothing, fails the test. */
export function thrownBy(action: () => unknown): UnderpassError {
  try {
    action();
  } catch (error) {
    if (error instanceof UnderpassError) return error;
    throw error;
  }
  throw new Error('expected an UnderpassError, and nothing was thrown');
}
