import { setTimeout as sleep } from 'node:timers/promises';
import type { Trouble } from './events.ts';
import { connectionsOf, lift, obstructConnections, obstructPeers, obstructSites } from './obstruction.ts';
import type { ChaosStage } from './stage.ts';

/** How often a condition is looked at, in milliseconds. */
const LOOK = 100;
/** So long a link has to become direct before an event that needs it, and after one, in milliseconds. It is not demanded. */
const PATIENCE = 30_000;

/** What was done. */
export interface Performed {
  /** Both as Date.now() has it; it is over once nothing is in the way any more. */
  readonly from: number;
  readonly to: number;
  /** What was peculiar this time; empty if nothing. */
  readonly note: string;
}

/** Does one event from begin to end; `prepare` comes before. */
export async function perform(stage: ChaosStage, trouble: Trouble): Promise<Performed> {
  const from = Date.now();
  const note = await act(stage, trouble);
  const to = Date.now();
  if (trouble.kind !== 'move') return { from, to, note };
  const back = await until(() => stage.paths.subscriber.kind === 'direct', PATIENCE);
  return {
    from,
    to,
    note: [note, back ? `direct again after ${seconds(to)} s` : 'not direct again'].join('; '),
  };
}

/** Whether it became true in time, in milliseconds. */
export async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await sleep(LOOK);
  }
  return true;
}

/** Waits until there is something that the event can harm, where that is to be expected. */
export async function prepare({ paths, lab }: ChaosStage, trouble: Trouble): Promise<void> {
  const { kind } = trouble;
  if ((kind === 'path-kill' || kind === 'port-kill' || kind === 'move') && paths.subscriber.wasDirect) {
    await until(() => paths.subscriber.kind === 'direct', PATIENCE);
  }
  if (kind !== 'cut') return;
  for (let left = 30; left > 0 && (await connectionsOf(lab, trouble.site)).length === 0; left--)
    await sleep(1000);
}

async function act(stage: ChaosStage, trouble: Trouble): Promise<string> {
  const { lab } = stage;
  switch (trouble.kind) {
    case 'path-kill':
      await obstructPeers(lab);
      return lasting(trouble.seconds, () => lift(lab, 'core'));
    case 'port-kill': {
      const [a, b] = [stage.paths.publisher.port, stage.paths.subscriber.port];
      if (b === undefined) return 'relayed, so not done';
      await obstructPeers(lab, { a, b });
      return lasting(trouble.seconds, () => lift(lab, 'core'));
    }
    case 'server-kill':
      stage.process('server').kill('SIGKILL');
      await stage.process('server').ended;
      return lasting(trouble.seconds, () => stage.startServer());
    case 'flush':
      for (const site of trouble.sites) await lab.flush(site);
      return '';
    case 'lan-address':
      await lab.changeHostAddress(trouble.site, trouble.number);
      return '';
    case 'wan-address':
      await lab.changePublicAddress(trouble.site, trouble.number);
      return '';
    case 'blackout':
      await obstructSites(lab, trouble.sites);
      return lasting(trouble.seconds, () => lift(lab, 'core'));
    case 'latency':
      await lab.setDelay({ ms: trouble.ms, jitterMs: trouble.jitterMs });
      return '';
    case 'cut':
      return cut(stage, trouble);
    case 'stop': {
      const program = stage.process(trouble.who);
      program.kill('SIGSTOP');
      return lasting(trouble.seconds, async () => program.kill('SIGCONT'));
    }
    case 'move':
      return move(stage, trouble.seconds);
  }
}

async function cut(stage: ChaosStage, trouble: Extract<Trouble, { kind: 'cut' }>): Promise<string> {
  const { lab } = stage;
  const ports = await connectionsOf(lab, trouble.site);
  if (ports.length === 0) return 'no connection, so not done';
  const router = `router-${trouble.site}` as const;
  await obstructConnections(lab, router, ports, trouble.how);
  await lasting(trouble.seconds, () => lift(lab, router));
  return `${ports.length} connections`;
}

async function move(stage: ChaosStage, longest: number): Promise<string> {
  const { lab, paths } = stage;
  if (paths.subscriber.kind !== 'direct') return 'relayed already';
  const from = Date.now();
  await obstructPeers(lab);
  const relayed = await until(() => paths.subscriber.kind === 'relayed', longest * 1000);
  await lift(lab, 'core');
  return relayed ? `relayed after ${seconds(from)} s` : 'did not become relayed';
}

async function lasting(duration: number, over: () => Promise<void>): Promise<string> {
  await sleep(duration * 1000);
  await over();
  return '';
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
