import { UnderpassError } from '../errors.ts';

/** Why a port could not be bound, as `port_in_use` or `listen_failed`. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): UnderpassError {
  if (error.code === 'EADDRINUSE') return new UnderpassError('port_in_use', { host, port }, { cause: error });
  const problem = error.code ?? error.message;
  return new UnderpassError('listen_failed', { host, port, problem }, { cause: error });
}
