/** Of one TXT string (RFC 1035, section 3.3). */
const MOST_TEXT = 255;
const HEADER = 12;
const TXT = 16;
const IN = 1;

/** What a DNS server answers to a question for TXT records: as many as fill at least so many bytes. */
export function dnsAnswer(query: Buffer, bytes: number): Buffer {
  const question = query.subarray(HEADER, endOfName(query) + 4);
  const count = Math.ceil(bytes / (MOST_TEXT + 13));
  const header = Buffer.alloc(HEADER);
  query.copy(header, 0, 0, 2);
  // A response, authoritative; recursion as it was desired.
  header.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(count, 6);
  return Buffer.concat([header, question, ...Array.from({ length: count }, (_, index) => record(index))]);
}

function record(index: number): Buffer {
  const head = Buffer.alloc(13);
  // The name is that of the question.
  head.writeUInt16BE(0xc000 | HEADER, 0);
  head.writeUInt16BE(TXT, 2);
  head.writeUInt16BE(IN, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(MOST_TEXT + 1, 10);
  head.writeUInt8(MOST_TEXT, 12);
  const text = Buffer.alloc(MOST_TEXT, 'x');
  text.write(`record ${index} `);
  return Buffer.concat([head, text]);
}

function endOfName(query: Buffer): number {
  let at = HEADER;
  while ((query[at] ?? 0) > 0) at += 1 + (query[at] ?? 0);
  return at + 1;
}
