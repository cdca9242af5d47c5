import pino from 'pino';
import pretty from 'pino-pretty';

/** Facts beside a log line. Secrets, tokens, hashes and session ids are never among them. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A logger that knows which part of the program it speaks for. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger, speaking for a part of the program. */
  scope(name: string): Logger;
}

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The last line of defence: even a field logged by mistake is not printed. */
const REDACTED = ['secret', 'token', 'hash', 'session', 'session_id', 'p2p_secret', 'auth_token'];

/** A logger that writes to standard error. */
export function createLogger(level: LogLevel, format: LogFormat): Logger {
  const options = { level, base: null, redact: { paths: REDACTED, censor: '[redacted]' } };
  const destination =
    format === 'json'
      ? pino.destination({ fd: 2, sync: true })
      : pretty({
          destination: 2,
          sync: true,
          translateTime: 'SYS:HH:MM:ss',
          ignore: 'scope',
          singleLine: true,
          messageFormat: '{scope}: {msg}',
        });
  return wrap(pino(options, destination));
}

/** For programs that embed underpass and want to hear nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  scope: () => silentLogger,
};

function wrap(logger: pino.Logger): Logger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    scope: (name) => wrap(logger.child({ scope: name })),
  };
}
