import dgram from 'node:dgram';
import { type Endpoint, familyOf } from './endpoint.ts';

/** How long an answer is waited for, in milliseconds. */
const PATIENCE = 900;

/** A question that is on its way. */
export interface Inquiry {
  /** Whether the machine says, by ICMP, that nobody listens there. False where it says nothing, or answers. Never rejects. */
  readonly refused: Promise<boolean>;
}

/**
 * Asks a machine whether anybody listens at a UDP port. A socket hears of a refusal only when it is connected, and such a one is
 * of no use for anything else. Resolves when the question has been sent, or cannot be. Never rejects.
 */
export async function askForRefusal(
  to: Endpoint,
  question: Buffer,
  signal?: AbortSignal | undefined,
): Promise<Inquiry> {
  const socket = dgram.createSocket({ type: `udp${familyOf(to)}` });
  const over = new AbortController();
  const refused = new Promise<boolean>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE, false);
    const giveUp = () => resolve(false);
    signal?.addEventListener('abort', giveUp, { once: true });
    over.signal.addEventListener('abort', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      socket.close();
    });
    // It stays until the end: there is an error for no route to the machine, and one more for each refusal.
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    socket.once('message', giveUp);
    if (signal?.aborted) giveUp();
  }).finally(() => over.abort());
  const sent = new Promise<void>((resolve) => {
    socket.once('connect', () => socket.send(question, () => resolve()));
  });
  socket.connect(to.port, to.address);
  await Promise.race([sent, refused]);
  return { refused };
}
