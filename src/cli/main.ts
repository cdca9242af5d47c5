#!/usr/bin/env node
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

// First of all, so that a secret on the command line leaves the process list while the rest is being loaded.
process.title = 'underpass';
// A tunnel makes many buffers, whose memory is outside of the heap, and few objects. As its young generation grows, V8 no longer
// collects that alone but the whole heap each time, which was half of all work. So it stays as small as it begins.
setFlagsFromString('--semi-space-growth-factor=1');
// Nor may the old generation grow slowly, which V8 decides for a program that was idle once, and then sticks to: with what is outside
// of the heap it goes through the whole of it for every 5 MiB that are carried. Four times what is alive is what it grants others, and
// twice where there is little memory.
const isSmall = getHeapStatistics().heap_size_limit < 2 ** 30;
setFlagsFromString(`--heap-growing-percent=${isSmall ? 100 : 300}`);

const [
  { homedir },
  library,
  { asUnderpassError },
  { exitCodeOf },
  { processInput },
  { processOutput },
  program,
  { processSignals },
] = await Promise.all([
  import('node:os'),
  import('../index.ts'),
  import('../errors.ts'),
  import('./exit.ts'),
  import('./input.ts'),
  import('./output.ts'),
  import('./program.ts'),
  import('./signals.ts'),
]);

const context = {
  environment: process.env,
  homeDirectory: homedir(),
  stdout: processOutput(process.stdout, process.env),
  stderr: processOutput(process.stderr, process.env),
  input: processInput(),
  signals: processSignals(),
  now: () => new Date(),
  createLogger: library.createLogger,
  createClient: (options: import('../index.ts').ClientOptions) => new library.Client(options),
  startServer: library.startServer,
  measureNat: library.measureNat,
};
const argv = process.argv.slice(2);
const view = program.createView(argv, context);

// The last resort: nothing should get here, and what does must not pass for success.
process.on('uncaughtException', (thrown) => {
  const error = asUnderpassError(thrown);
  view.error(error);
  process.exit(exitCodeOf(error.code));
});

const code = await program.run(argv, context, view);
// Whatever is still open has been told to close; a straggler must not keep the program. First, the output is flushed.
process.stdout.write('', () => process.exit(code));
