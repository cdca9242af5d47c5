import dgram from 'node:dgram';
import { type Endpoint, familyOf } from './endpoint.ts';

/** How often the question is put, and how long an answer may take after it, in milliseconds. */
const ASKED_AT = [0, 150];
const PATIENCE = 400;

/**
 * Whether a machine says, by ICMP, that nobody listens at a UDP port. A socket hears of that only when it is connected, and such
 * a one is of no use for anything else. False where it says nothing, or answers.
 */
export function refuses(to: Endpoint, question: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket({ type: `udp${familyOf(to)}` });
    const timers: NodeJS.Timeout[] = [];
    const conclude = (refused: boolean) => {
      for (const timer of timers) clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.close();
      resolve(refused);
    };
    socket.once('error', (error: NodeJS.ErrnoException) => conclude(error.code === 'ECONNREFUSED'));
    socket.once('message', () => conclude(false));
    socket.connect(to.port, to.address, () => {
      for (const delay of ASKED_AT) timers.push(setTimeout(() => socket.send(question), delay));
      timers.push(setTimeout(() => conclude(false), PATIENCE));
    });
  });
}
