import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder for the running test; it is removed when the test has finished. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'underpass-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file in a folder of its own. Returns its path. */
export function temporaryFile(name: string, content: string | Buffer, mode = 0o600): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content, { mode });
  return path;
}
