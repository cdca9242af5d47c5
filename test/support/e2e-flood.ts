import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { World } from './e2e.ts';
import { UdpEar } from './e2e-udp.ts';
import { Random } from './random.ts';
import { mutate } from './seeds.ts';

const SPOOFER = join(import.meta.dirname, 'e2e-spoof.py');

/** Real packets, to be damaged. */
export type Samples = readonly [Buffer, ...Buffer[]];

/** No Python, and the spoofer's exit code where raw sockets are forbidden. */
const IMPOSSIBLE: ReadonlySet<unknown> = new Set(['ENOENT', 3]);

/** Datagrams in a row before others may use the event loop. */
const BATCH = 50;

/** Sends datagrams from addresses that nobody knows, to each of the ports in turn. */
export async function floodAsStrangers(
  world: World,
  ports: readonly number[],
  count: number,
  { seed, samples }: { readonly seed: number; readonly samples: Samples },
): Promise<void> {
  const random = new Random(seed);
  const noise = random.bytes(2 ** 16);
  const open = (host: number) => UdpEar.open(world, `127.0.0.${host}`);
  const ears = [await open(2), await open(3), await open(4), await open(5)] as const;
  for (let sent = 0; sent < count; ) {
    const batch: Promise<void>[] = [];
    for (let i = 0; i < BATCH && sent < count; i++, sent++) {
      const ear = random.pick(ears);
      batch.push(ear.send(junk(random, noise, samples), ports[sent % ports.length] ?? 0));
    }
    await Promise.all(batch);
  }
}

/** What a stranger may send: noise, STUN's and QUIC's beginnings with noise behind them, and real packets with some bytes changed. */
function junk(random: Random, noise: Buffer, samples: Samples): Buffer {
  const at = random.integer(noise.length / 2);
  const some = noise.subarray(at, at + random.integer(1400));
  const id = noise.subarray(at, at + 20);
  switch (random.integer(5)) {
    case 0:
      return some;
    case 1: {
      const start = Buffer.from('000100002112a442', 'hex');
      start.writeUInt16BE(random.pick([0x0001, 0x0101, 0x0111, 0x0357, 0x0247]), 0);
      start.writeUInt16BE(random.pick([some.length, 76, 64, 0xffff]), 2);
      return Buffer.concat([start, id.subarray(0, 12), some]);
    }
    case 2: {
      const start = Buffer.from([random.pick([0xc0, 0xd0, 0xe0, 0xf0, 0x80]), 0, 0, 0, 0, id.length]);
      start.writeUInt32BE(random.pick([1, 0, 0x6b3343cf, 0xff00001d]), 1);
      return Buffer.concat([start, id, Buffer.from([id.length]), id, some, Buffer.alloc(1200)], 1300);
    }
    case 3:
      return Buffer.concat([Buffer.from([0x40 | random.integer(64)]), id, some]);
    default:
      return mutate(random.pick(samples), random);
  }
}

/** Whether this machine lets us send under addresses that are not ours. */
export const maySpoof = process.platform === 'linux' && process.getuid?.() === 0;

/**
 * Sends real packets of the two to either of them under the other's address, damaged in many ways. Resolves with how many were
 * overheard; undefined where that cannot be done, for want of Python or of the permission.
 */
export async function floodAsPeer(
  [one, other]: readonly [number, number],
  count: number,
  { seed, rate }: { readonly seed: number; readonly rate: number },
): Promise<number | undefined> {
  try {
    const args = [SPOOFER, one, other, count, rate, seed].map(String);
    const { stdout } = await promisify(execFile)('python3', args);
    return Number(stdout.split(' ')[0]);
  } catch (error) {
    if (error instanceof Error && 'code' in error && IMPOSSIBLE.has(error.code)) return undefined;
    throw error;
  }
}
