import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Stage } from './stage.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..', '..');

/** Builds another revision of the sources, with the packages that are installed for this one. Returns the file of its program. */
export function buildRevision(stage: Stage, revision: string): string {
  const folder = stage.folder();
  const archive = execFileSync('git', ['archive', revision], { cwd: ROOT, maxBuffer: 2 ** 30 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const argv = [compiler, '-p', 'tsconfig.build.json'];
  execFileSync(process.execPath, argv, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  return join(folder, 'dist', 'cli', 'main.js');
}
