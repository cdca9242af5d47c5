import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import buildProgram from '../support/e2e-build.ts';
import { obstacle } from './system/capability.ts';
import { ROOT } from './system/root.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why this machine cannot have a laboratory; empty if it can. */
    readonly laboratoryObstacle: string;
    /** What the kinds leave open is drawn from this. `LAB_SEED` repeats one. */
    readonly laboratorySeed: number;
  }
}

/** Vitest's global setup of the laboratory's tests. */
export default function setup(project: TestProject): void {
  const why = obstacle();
  const seed = Number(process.env.LAB_SEED ?? Math.floor(Math.random() * 2 ** 31));
  project.provide('laboratoryObstacle', why ?? '');
  project.provide('laboratorySeed', seed);
  if (why !== undefined) {
    process.stderr.write(`the laboratory's tests are skipped: ${why}\n`);
    return;
  }
  process.stderr.write(`laboratory: LAB_SEED=${seed}\n`);
  buildProgram();
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [compiler, '-p', 'test/lab'], { cwd: ROOT, stdio: 'inherit' });
}
