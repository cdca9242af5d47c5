import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The project's folder, whether this runs from its sources or compiled. */
export const ROOT = nearestPackage(import.meta.dirname);

/** One of the laboratory's programs that are not TypeScript and so not compiled, as `services/burner.py`. */
export function script(path: string): string {
  return join(ROOT, 'test', 'lab', path);
}

function nearestPackage(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the laboratory is not inside its package');
  return nearestPackage(parent);
}
