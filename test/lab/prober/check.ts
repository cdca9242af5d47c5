/** One property of a NAT: what it was built to be, and what was seen. */
export interface Check {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
  readonly right: boolean;
}

/** Right when both read the same. */
export function compare(what: string, expected: string, seen: string): Check {
  return { what, expected, seen, right: expected === seen };
}

export function isRight(checks: readonly Check[]): boolean {
  return checks.every(({ right }) => right);
}

/** What is wrong, for people; empty when nothing is. */
export function complaints(checks: readonly Check[]): string[] {
  return checks
    .filter(({ right }) => !right)
    .map(({ what, expected, seen }) => `${what}: expected ${expected}, saw ${seen}`);
}
