import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

/** What came through the tunnel. */
export interface Fetched {
  readonly bytes: number;
  readonly seconds: number;
  readonly sha256: string;
}

const SILENCE_SECONDS = 30;

/** Fetches a file over HTTP. Rejects when nothing arrives for 30 s, and when it ends early. */
export async function fetchFile(address: string, name: string, signal: AbortSignal): Promise<Fetched> {
  const began = performance.now();
  const request = get(`http://${address}/${name}`, { agent: false, signal, timeout: SILENCE_SECONDS * 1000 });
  request.on('timeout', () => request.destroy(new Error(`nothing arrived for ${SILENCE_SECONDS} s`)));
  const [response]: IncomingMessage[] = await once(request, 'response');
  if (response?.statusCode !== 200) throw new Error(`the file server answered ${response?.statusCode}`);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, seconds: (performance.now() - began) / 1000, sha256: hash.digest('hex') };
}
