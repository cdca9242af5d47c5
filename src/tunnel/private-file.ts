import { link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UnderpassError } from '../errors.ts';

// Files of the state directory: for their owner only (0600), and never seen half-written by another process.

/** The file's text, or undefined when there is no such file. Throws `file_unreadable`. */
export async function readPrivate(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new UnderpassError('file_unreadable', { file, problem: problemOf(error) }, { cause: error });
  }
}

/**
 * The file's text; when there is no such file it is made from `make` first. However many processes do this at once, all
 * of them get the text of the one that was first. Throws `file_unreadable` or `file_unwritable`.
 */
export async function readOrCreatePrivate(file: string, make: () => Promise<string>): Promise<string> {
  const existing = await readPrivate(file);
  if (existing !== undefined) return existing;
  const text = await make();
  // A hard link appears whole or not at all, and unlike a rename it never replaces what is there.
  const won = await publish(file, text, async (temporary) => {
    try {
      await link(temporary, file);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    }
  });
  if (won) return text;
  const winner = await readPrivate(file);
  if (winner === undefined) throw new UnderpassError('file_unreadable', { file, problem: 'it disappeared' });
  return winner;
}

/** Replaces the file's text in one step. Throws `file_unwritable`. */
export async function replacePrivate(file: string, text: string): Promise<void> {
  await publish(file, text, (temporary) => rename(temporary, file));
}

/** Writes the text beside the file, on the same file system, and has `place` put it there. */
async function publish<T>(file: string, text: string, place: (temporary: string) => Promise<T>): Promise<T> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const directory = await mkdtemp(join(dirname(file), '.new-'));
    try {
      const temporary = join(directory, 'file');
      await writeFile(temporary, text, { mode: 0o600, flush: true });
      return await place(temporary);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  } catch (error) {
    throw new UnderpassError('file_unwritable', { file, problem: problemOf(error) }, { cause: error });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Node's text without the path, which the error names already. */
function problemOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).replace(/, \w+ '.*$/s, '');
}
