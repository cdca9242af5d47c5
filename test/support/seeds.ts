import { Random } from './random.ts';

/** Runs a randomized check once a seed. A failure names its seed, so that it can be run alone. */
export function forSeeds(count: number, check: (random: Random, seed: number) => void, first = 1): void {
  for (let seed = first; seed < first + count; seed++) {
    try {
      check(new Random(seed), seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

/** The bytes in pieces of random size, empty ones left out. */
export function cutAtRandom(bytes: Buffer, random: Random, longest: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.integer(longest));
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** A copy in which a few bytes are changed, removed, inserted or repeated. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let mutated = Buffer.from(bytes);
  for (let i = 1 + random.integer(4); i > 0 && mutated.length > 0; i--) {
    const at = random.integer(mutated.length);
    switch (random.integer(5)) {
      case 0:
        mutated[at] = random.integer(256);
        break;
      case 1:
        mutated[at] = (mutated[at] ?? 0) ^ (1 << random.integer(8));
        break;
      case 2:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + 1 + random.integer(12))]);
        break;
      case 3:
        mutated = Buffer.concat([
          mutated.subarray(0, at),
          random.bytes(1 + random.integer(12)),
          mutated.subarray(at),
        ]);
        break;
      default:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(Math.max(0, at - 24))]);
    }
  }
  return mutated;
}

/** `expect` for inner loops, where hundreds of thousands of them would take seconds. */
export function ensure(condition: boolean, claim: string): void {
  if (!condition) throw new Error(`not true: ${claim}`);
}
