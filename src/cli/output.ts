import type { Output } from './context.ts';

/** A stream of this process. Colours only for a person who has not asked for none (no-color.org). */
export function processOutput(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Output {
  return {
    color: stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb',
    write: (text) => {
      stream.write(text);
    },
  };
}
