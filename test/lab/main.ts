import { CHAOS_USAGE, chaos } from './cli/chaos.ts';
import { kinds } from './cli/kinds.ts';
import { MATRIX_USAGE, matrix } from './cli/matrix.ts';
import { nat } from './cli/nat.ts';
import { SCENARIO_USAGE, UsageError } from './cli/options.ts';
import { run } from './cli/run.ts';
import { verify } from './cli/verify.ts';
import { obstacle } from './system/capability.ts';

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  run,
  kinds,
  verify,
  nat,
  matrix,
  chaos,
};

const USAGE = `npm run lab -- COMMAND

run [OPTIONS] MACHINE -- PROGRAM ARGUMENTS…
  builds a scenario, runs the program on a machine of it (a, a2, b, b2, server, core, router-a, carrier-a …), removes it
${SCENARIO_USAGE}
  --coturn              a STUN server on the server's machine

kinds                   lists the kinds of NAT
verify [--seed N] [KIND…]
  checks with probers that are not ours that each kind is what it claims
nat [--seed N] [--kind KIND] [--json FILE] [--program FILE]
  what 'underpass nat' says of each kind, and whether it is right
matrix [OPTIONS]
  whether server, publisher and subscriber get through every pair of NATs, how often and how fast
${MATRIX_USAGE}
chaos [OPTIONS]
  whether connections through server, publisher and subscriber live through whatever happens around them
${CHAOS_USAGE}
`;

/** Exits with 2 where the command line is wrong, with 3 where the machine cannot have a laboratory. */
async function main([command = '', ...args]: readonly string[]): Promise<number> {
  const chosen = COMMANDS[command];
  if (chosen === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const why = command === 'kinds' ? undefined : obstacle();
  if (why !== undefined) {
    process.stderr.write(`this machine cannot have a laboratory: ${why}\n`);
    return 3;
  }
  try {
    return await chosen(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

// Through `exit`, so that what was built is removed.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => process.exit(code));
}
process.exitCode = await main(process.argv.slice(2));
