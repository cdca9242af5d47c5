import { type IncomingMessage, request } from 'node:http';

/** A router's description has some 10 KiB. */
const MAX_BODY = 256 * 1024;

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Where the connection comes from. */
  readonly localAddress: string;
  /** Ends it, at any point: it has no time-out of its own. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * One request to a device in the LAN, on a connection of its own. A redirect is an answer like any other and is not followed.
 * Rejects when the device cannot be reached, breaks HTTP, sends more than 256 KiB, or when the signal is aborted.
 */
export async function askDevice(url: URL, { body, ...options }: HttpRequest): Promise<HttpAnswer> {
  const sent = request(url, { ...options, agent: false });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).on('error', reject).end(body);
    // What is neither an answer nor an error: 101, and a socket that is closed without a word.
    sent.once('close', () => reject(new Error('no answer')));
  });
  const pieces: Buffer[] = [];
  let size = 0;
  // Leaving the loop destroys the response, and its connection with it.
  for await (const piece of response) {
    size += piece.length;
    if (size > MAX_BODY) throw new RangeError('too long an answer');
    pieces.push(piece);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() };
}
