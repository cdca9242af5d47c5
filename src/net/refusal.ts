import dgram from 'node:dgram';
import { type Endpoint, familyOf } from './endpoint.ts';

/** When the question is put again, and when its answer is no longer waited for, in milliseconds. */
const AGAIN = 300;
const PATIENCE = 900;

/** A question that is on its way. */
export interface Inquiry {
  /** Whether the machine says, by ICMP, that nobody listens there. False where it says nothing, or answers. */
  readonly refused: Promise<boolean>;
}

/**
 * Asks a machine whether anybody listens at a UDP port. A socket hears of a refusal only when it is connected, and such a one is
 * of no use for anything else. Resolves when the question has been sent. Never rejects.
 */
export async function askForRefusal(to: Endpoint, question: Buffer): Promise<Inquiry> {
  const socket = dgram.createSocket({ type: `udp${familyOf(to)}` });
  const answer = new Promise<boolean>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    socket.once('message', () => resolve(false));
  });
  const sent = new Promise<void>((resolve) => {
    socket.connect(to.port, to.address, () => socket.send(question, () => resolve()));
  });
  const timers: NodeJS.Timeout[] = [];
  const silence = new Promise<boolean>((resolve) => {
    timers.push(setTimeout(resolve, PATIENCE, false));
  });
  const refused = Promise.race([answer, silence]).finally(() => {
    for (const timer of timers) clearTimeout(timer);
    socket.removeAllListeners().on('error', () => {});
    socket.close();
  });
  await Promise.race([sent, refused]);
  timers.push(setTimeout(() => socket.send(question), AGAIN));
  return { refused };
}
