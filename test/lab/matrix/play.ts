import type { RunRecord } from './record.ts';
import { type Output, run } from './run.ts';
import type { Job } from './schedule.ts';
import { Stage } from './stage.ts';
import { comesTo, isAmiss } from './summary.ts';

/** Does the runs of a job, one after another. @param onRun told of each as soon as it is over, and whether somebody should look into it */
export async function play(
  job: Job,
  program: string | undefined,
  onRun: (record: RunRecord, output: Output, isAmiss: boolean) => void,
): Promise<void> {
  const stage = await Stage.build(job.case, job.seed, program);
  const { name: pair, relayOnly } = job.case;
  const expectation = relayOnly ? { expects: 'off' } : job.class;
  try {
    for (const index of job.indices) {
      const began = Date.now();
      const { outcome, output } = await run(stage);
      const at = new Date(began).toISOString();
      const key = { class: job.class.name, pair, index, seed: job.seed, sites: stage.sites };
      const record = { ...key, at, took_ms: Date.now() - began, ...outcome };
      onRun(record, output, isAmiss(expectation, record));
      if (!comesTo(expectation, record)) await stage.renewServer();
    }
  } finally {
    await stage.close();
  }
}
