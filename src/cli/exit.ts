import { catalogue, type ErrorCategory, type ErrorCode } from '../errors.ts';

const EXIT_CODES: Readonly<Record<ErrorCategory, number>> = {
  internal: 1,
  usage: 2,
  authentication: 3,
  network: 4,
  conflict: 5,
};

/** What the program exits with when this ended it. `docs/errors.md` lists the same. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_CODES[catalogue[code].category];
}
