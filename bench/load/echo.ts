import { connect, type Socket } from 'node:net';
import { MODES, type Mode } from './mode.ts';

/** Where a path begins. */
export interface Place {
  readonly host?: string;
  readonly port: number;
}

/** A connection to the service through a path, its mode already sent. */
export function openConnection({ host = '127.0.0.1', port }: Place, mode: Mode): Socket {
  const socket = connect({ host, port, noDelay: true });
  socket.on('error', () => socket.destroy());
  socket.write(Buffer.of(MODES.indexOf(mode)));
  return socket;
}

/** Sends a message and resolves when as many bytes have come back. Rejects when the connection ends before. */
export function echo(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = message.length;
    const onData = (chunk: Buffer) => {
      left -= chunk.length;
      if (left > 0) return;
      socket.off('data', onData).off('close', onClose);
      resolve();
    };
    const onClose = () => reject(new Error('a connection ended before its echo came'));
    socket.on('data', onData).on('close', onClose);
    socket.write(message);
  });
}
