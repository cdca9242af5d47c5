import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** Vitest's global setup: builds the program once, where the sources are newer than what was built last. */
export default function setup(): void {
  const built = join(ROOT, 'dist', 'cli', 'main.js');
  if (existsSync(built) && statSync(built).mtimeMs > newest(join(ROOT, 'src'))) return;
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  // What is changed while it builds may not be in it.
  const began = new Date();
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
  utimesSync(built, began, began);
}

function newest(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Math.max(...files.map((file) => statSync(join(folder, file)).mtimeMs));
}
