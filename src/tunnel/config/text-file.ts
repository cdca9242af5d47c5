import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { UnderpassError } from '../../errors.ts';

/** Reads a UTF-8 file of at most `maxBytes`. Throws `file_unreadable`. */
export function readTextFile(file: string, maxBytes: number): string {
  return readChecked(file, maxBytes).text;
}

/** A secret, and whether other users of the machine may read the file it came from. */
export interface SecretFile {
  readonly secret: string;
  readonly exposed: boolean;
}

/** A secret has at most 1024 bytes; the rest is room for a line end. */
const MAX_SECRET_FILE_BYTES = 1026;

/** Reads a secret; one line end after it is not part of it. Throws `file_unreadable`. */
export function readSecretFile(file: string): SecretFile {
  const { text, mode } = readChecked(file, MAX_SECRET_FILE_BYTES);
  // Windows has no such bits; Node reports every file as readable by all there.
  const exposed = process.platform !== 'win32' && (mode & 0o077) !== 0;
  return { secret: text.replace(/\r?\n$/, ''), exposed };
}

function readChecked(file: string, maxBytes: number): { text: string; mode: number } {
  try {
    const descriptor = openSync(file, 'r');
    try {
      return { text: readText(descriptor, maxBytes), mode: fstatSync(descriptor).mode };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw new UnderpassError('file_unreadable', { file, problem: reason(error) }, { cause: error });
  }
}

/** A pipe has no size to ask for, and a device may have no end: read, and stop at the limit. */
function readText(descriptor: number, maxBytes: number): string {
  const bytes = Buffer.alloc(maxBytes + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, bytes, length, bytes.length - length, null);
    length += read;
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    if (read === 0) return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
};

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? error.message;
}
