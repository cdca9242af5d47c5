import { createHash, randomBytes } from 'node:crypto';

/** A file that the demo publishes, and what it must hash to after the tunnel. */
export interface DemoFile {
  readonly name: string;
  readonly content: Buffer;
  readonly sha256: string;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES: Readonly<Record<string, number>> = {
  'small.bin': KIB,
  'medium.bin': MIB,
  'large.bin': 64 * MIB,
};

/** Random content, so that nothing on the way can shorten it or guess it. */
export function createFiles(sizes: Readonly<Record<string, number>> = SIZES): DemoFile[] {
  return Object.entries(sizes).map(([name, size]) => {
    const content = randomBytes(size);
    return { name, content, sha256: createHash('sha256').update(content).digest('hex') };
  });
}
