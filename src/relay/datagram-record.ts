/** The datagram lane: u16 length, and so many bytes, one record after the other. */
export const RECORD_HEADER_SIZE = 2;

/** The longest datagram that a record holds. */
export const MAX_DATAGRAM = 0xffff;

/** Fits no datagram lane: no datagram is empty. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

export function encodeRecordHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(RECORD_HEADER_SIZE);
  header.writeUInt16BE(length, 0);
  return header;
}

/** Cuts a byte stream into datagrams. Keeps at most one that is not complete. */
export class RecordParser {
  /** The first byte of a header whose second has yet to come. */
  #half: number | undefined;
  #partial: Buffer | undefined;
  #filled = 0;

  /**
   * Hands out what is complete, as parts of `chunk` where it lies in one piece. Throws RecordError; the parser is of no use
   * afterwards.
   */
  push(chunk: Buffer, onDatagram: (datagram: Buffer) => void): void {
    let at = this.#fill(chunk, onDatagram);
    while (at < chunk.length) {
      const length = this.#header(chunk, at);
      if (length === undefined) return;
      at += this.#half === undefined ? RECORD_HEADER_SIZE : 1;
      this.#half = undefined;
      if (length === 0) throw new RecordError('an empty datagram');
      if (chunk.length - at < length) {
        this.#partial = Buffer.allocUnsafeSlow(length);
        this.#filled = chunk.copy(this.#partial, 0, at);
        return;
      }
      onDatagram(chunk.subarray(at, at + length));
      at += length;
    }
  }

  /** Undefined, and the byte kept, where there is only half of it. */
  #header(chunk: Buffer, at: number): number | undefined {
    const first = chunk[at] as number;
    if (this.#half !== undefined) return this.#half * 256 + first;
    if (at + 1 < chunk.length) return chunk.readUInt16BE(at);
    this.#half = first;
    return undefined;
  }

  /** Completes what an earlier chunk began. Returns how many bytes that took. */
  #fill(chunk: Buffer, onDatagram: (datagram: Buffer) => void): number {
    const partial = this.#partial;
    if (partial === undefined) return 0;
    const copied = chunk.copy(partial, this.#filled);
    this.#filled += copied;
    if (this.#filled < partial.length) return copied;
    this.#partial = undefined;
    onDatagram(partial);
    return copied;
  }
}
