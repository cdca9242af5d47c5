import { Command, CommanderError, Option } from 'commander';
import { UnderpassError } from '../errors.ts';
import { LINK_MODES, VERSION } from '../index.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../log.ts';
import type { Output } from './context.ts';
import type { Commands, DemoFlags, NatFlags, P2pFlags, ServerFlags, StartFlags } from './flags.ts';

const USAGE_EXIT_CODE = 2;

/** Reads the arguments and runs the command they name. Throws `argument_invalid` when they make no sense. */
export async function runCommand(
  argv: readonly string[],
  commands: Commands,
  stdout: Output,
  stderr: Output,
): Promise<number> {
  let code = 0;
  const program = define(
    commands,
    (result) => {
      code = result;
    },
    stdout,
    stderr,
  );
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    // Without a command commander has printed the help, which is the better message.
    if (error.code === 'commander.help') return USAGE_EXIT_CODE;
    const problem = error.message.replace(/^error: /, '').replace(/\s+/g, ' ');
    throw new UnderpassError('argument_invalid', { problem });
  }
  return code;
}

function define(commands: Commands, done: (code: number) => void, stdout: Output, stderr: Output): Command {
  const program = new Command('underpass')
    .description("Reach a friend's service behind NAT, by name and secret.")
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => {},
    });

  program
    .command('p2p')
    .description('publish a local service, or reach a published one')
    .argument(
      '<ports>',
      'with --name those of your service: 27015, 27015/udp, 27015-27020/tcp+udp, several with commas; ' +
        'with --target the one to open here for the first of them, same for the same ones, or 0 for any',
    )
    .option('--name <name>', 'publish the service under this name')
    .option('--target <name>', 'reach the service published under this name')
    .option('--secret <secret>', 'what both sides know; environment UNDERPASS_SECRET')
    .addOption(new Option('--secret-file <file>', 'read the secret from a file').conflicts('secret'))
    .option('--server <address>', 'host:port, wss://… or ws://…; environment UNDERPASS_SERVER')
    .option('--token <token>', 'what the server asks for; environment UNDERPASS_TOKEN')
    .option('--server-fingerprint <sha256>', 'trust the server with this certificate')
    .option('--insecure', 'trust any server, and allow ws:// to other machines')
    .option('--local-host <host>', 'where your service runs, with --name (default: localhost)')
    .option('--listen <host>', 'where to open the port, with --target (default: 127.0.0.1)')
    .addOption(
      new Option(
        '--mode <mode>',
        'auto: direct if possible, else relayed. direct: never relayed. relay: never direct (default: auto)',
      ).choices(LINK_MODES),
    )
    .option('--stun <host:port>', 'ask this STUN server, too; may be repeated', collect)
    .option('--no-port-mapping', 'do not ask the router to forward a port')
    .option('--no-lan-addresses', "tell friends no addresses of this machine's own network")
    .addOption(
      new Option(
        '--proxy-protocol <version>',
        'with --name: tell your service who connects, by the PROXY protocol',
      ).choices(['v2']),
    )
    .option('--allow <key>', 'with --name: admit only the friend with this key; may be repeated', collect)
    .option('--deny <key>', 'with --name: refuse the friend with this key; may be repeated', collect)
    .option('--grace <seconds>', 'how long connections wait for another path, 0 to 3600 (default: 60)')
    .option('--udp-idle <seconds>', 'how long a UDP flow lives after its last packet (default: 60)')
    .option('--no-reconnect', 'end with the first error')
    .action(async (ports: string, flags: P2pFlags) => done(await commands.p2p(ports, flags)));

  program
    .command('start')
    .description('open every tunnel of a configuration file')
    .option('-c, --config <file>', 'the file (default: ~/.underpass/config.yml)')
    .option('--no-reconnect', 'end with the first error')
    .action(async (flags: StartFlags) => done(await commands.start(flags)));

  program
    .command('server')
    .description('run a server that others meet at')
    .option('-c, --config <file>', 'a configuration file')
    .option('--listen <address>', 'host:port, or ws://host:port without TLS (default: 0.0.0.0:4040)')
    .option('--token <token>', 'admit only clients with this token; may be repeated', collect)
    .option('--no-direct', 'keep all traffic on the relay')
    .option('--no-stun', 'do not answer STUN, by which clients learn about their NAT')
    .action(async (flags: ServerFlags) => done(await commands.server(flags)));

  program
    .command('nat')
    .description('find out what your router does, and which friends it lets you reach directly')
    .option('--server <address>', 'measure with this server; environment UNDERPASS_SERVER')
    .option('--stun <host:port>', 'measure with this STUN server too; may be repeated', collect)
    .option('--no-port-mapping', 'do not ask the router to forward a port')
    .option('--server-fingerprint <sha256>', 'trust the server with this certificate')
    .option('--insecure', 'trust any server, and allow ws:// to other machines')
    .action(async (flags: NatFlags) => done(await commands.nat(flags)));

  program
    .command('demo')
    .description('see it work on this machine: a server, a publisher and a subscriber')
    .argument('[port]', 'the port of a service of yours; without it, files are served, fetched and checked')
    .action(async (port: string | undefined, flags: DemoFlags) => done(await commands.demo(port, flags)));

  for (const command of program.commands) {
    command
      .option('--json', 'print one JSON object a line')
      .addOption(new Option('--log-level <level>', 'what to log on standard error').choices(LOG_LEVELS))
      .addOption(new Option('--log-format <format>', 'how to log').choices(LOG_FORMATS));
  }
  return program;
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
