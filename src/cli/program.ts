import { asUnderpassError } from '../errors.ts';
import { runCommand } from './arguments.ts';
import { demo } from './commands/demo.ts';
import { nat } from './commands/nat.ts';
import { p2p } from './commands/p2p.ts';
import { server } from './commands/server.ts';
import { start } from './commands/start.ts';
import type { Context } from './context.ts';
import { exitCodeOf } from './exit.ts';
import { HumanView } from './views/human.ts';
import { JsonView } from './views/json.ts';
import type { View } from './views/view.ts';

/** Decided before the arguments are parsed, because even an error in them is shown as `--json` asks. */
export function createView(argv: readonly string[], context: Context): View {
  return argv.includes('--json')
    ? new JsonView(context.stdout, context.now)
    : new HumanView(context.stdout, context.stderr);
}

/** The whole program but its process. Resolves with the exit code; every failure has been shown. */
export async function run(argv: readonly string[], context: Context, view: View): Promise<number> {
  const commands = {
    server: server.bind(undefined, context, view),
    p2p: p2p.bind(undefined, context, view),
    start: start.bind(undefined, context, view),
    nat: nat.bind(undefined, context, view),
    demo: demo.bind(undefined, context, view),
  };
  try {
    return await runCommand(argv, commands, context.stdout, context.stderr);
  } catch (thrown) {
    const error = asUnderpassError(thrown);
    view.error(error);
    return exitCodeOf(error.code);
  }
}
