import { parseArgs } from 'node:util';
import { direct } from './measurements/direct.ts';
import { echo } from './measurements/echo.ts';
import { failover } from './measurements/failover.ts';
import { idle } from './measurements/idle.ts';
import { lossy } from './measurements/lossy.ts';
import type { Measurement, Options } from './measurements/measurement.ts';
import { move } from './measurements/move.ts';
import { open } from './measurements/open.ts';
import { overhead } from './measurements/overhead.ts';
import { play } from './measurements/play.ts';
import { stalled } from './measurements/stalled.ts';
import { throughput } from './measurements/throughput.ts';
import { udp } from './measurements/udp.ts';
import { Stage } from './processes/stage.ts';
import type { Figure } from './report/figure.ts';
import { printFigure, printLine } from './report/print.ts';
import { saveResults } from './report/save.ts';

const measurements: Readonly<Record<string, Measurement>> = {
  throughput,
  echo,
  open,
  stalled,
  idle,
  direct,
  failover,
  lossy,
  udp,
  play,
  move,
  overhead,
};

/** `npm run bench -- [--quick] [--against REF] [name…]`: everything, or what is named. Fails only when something is broken. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, against: { type: 'string' } },
    allowPositionals: true,
  });
  const names = positionals.length > 0 ? positionals : Object.keys(measurements);
  const unknown = names.filter((name) => !(name in measurements));
  if (unknown.length > 0) {
    throw new Error(`there is no '${unknown[0]}'; there are ${Object.keys(measurements).join(', ')}`);
  }
  const began = new Date();
  const results: Record<string, Figure[]> = {};
  for (const name of names) {
    const measurement = measurements[name];
    if (measurement === undefined) continue;
    printLine(`${name}: ${measurement.title}`);
    results[name] = await measure(measurement, values.quick, { against: values.against });
  }
  printLine(`written to ${saveResults(began, values.quick, results)}`);
}

async function measure(measurement: Measurement, quick: boolean, options: Options): Promise<Figure[]> {
  const stage = new Stage();
  const figures: Figure[] = [];
  const finished = async () => {
    for await (const figure of measurement.run(stage, quick, options)) {
      printFigure(figure);
      figures.push(figure);
    }
  };
  try {
    await Promise.race([finished(), stage.failed]);
    return figures;
  } finally {
    stage.close();
  }
}

// Through `exit`, so that what runs is ended and removed.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code));
}
await main();
