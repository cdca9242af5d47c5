import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Figure } from './figure.ts';

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'results');

/** Writes everything as JSON, with what it was measured on. Returns the file. */
export function saveResults(
  began: Date,
  quick: boolean,
  figures: Readonly<Record<string, readonly Figure[]>>,
): string {
  const machine = {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processors: cpus().map(({ model }) => model),
    memory: totalmem(),
  };
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, `${began.toISOString().replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify({ began, quick, machine, figures }, undefined, 2)}\n`);
  return file;
}
