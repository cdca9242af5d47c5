import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { roundTrips } from './services/round-trips.ts';
import { build, describeLab, eventually } from './suite.ts';
import { LabProcess } from './system/lab-process.ts';
import { removeLeftovers } from './system/leftovers.ts';
import { namespacesThat } from './system/namespaces.ts';
import { isAbandoned } from './system/owner.ts';
import { ROOT } from './system/root.ts';

const MAIN = join(ROOT, 'test', 'lab', 'dist', 'test', 'lab', 'main.js');

/** `npm run lab -- run …`, with a program that says its process id and then does nothing. */
async function startCommand(): Promise<{ command: LabProcess; inner: number; namespaces: () => string[] }> {
  const scenario = ['--a', 'full-cone+igd', '--latency', '5', '--burn-b', '50', '--coturn'];
  const program = ['sh', '-c', 'echo pid $$; exec sleep 600'];
  const command = new LabProcess([process.execPath, MAIN, 'run', ...scenario, 'a', '--', ...program]);
  onTestFinished(() => {
    command.kill('SIGKILL');
    removeLeftovers();
  });
  const inner = Number((await command.line('pid ')).slice(4));
  const namespaces = () => namespacesThat((name) => name.startsWith(`underpass-lab-${command.pid}-`));
  return { command, inner, namespaces };
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/ns/net`);
}

describeLab('a laboratory', () => {
  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('removes itself on %s', async ([signal, code]) => {
    const { command, inner, namespaces } = await startCommand();
    expect(namespaces().length).toBeGreaterThan(7);
    expect(isRunning(inner)).toBe(true);
    command.kill(signal);
    expect((await command.ended).code).toBe(code);
    expect(namespaces()).toEqual([]);
    await eventually(async () => (isRunning(inner) ? undefined : true));
  });

  test('whose process was killed is removed by the next one, with what ran in it', async () => {
    const { command, inner, namespaces } = await startCommand();
    command.kill('SIGKILL');
    // A process that is being killed has left its network before it is gone.
    await eventually(async () => namespaces().every(isAbandoned) || undefined);
    expect(namespaces().length).toBeGreaterThan(7);
    expect(isRunning(inner)).toBe(true);
    await build({ a: { kind: 'open' } });
    expect(namespaces()).toEqual([]);
    await eventually(async () => (isRunning(inner) ? undefined : true));
  });

  test('ends as the program that it runs does, and passes its output on', async () => {
    const argv = ['run', '--a', 'sequential', '--seed', '3', 'a', '--', 'sh', '-c', 'echo here; exit 7'];
    const { code, stdout, stderr } = await new LabProcess([process.execPath, MAIN, ...argv]).ended;
    expect([code, stdout]).toEqual([7, 'here\n']);
    expect(stderr).toMatch(/^seed 3; a is sequential \(ports sequential [+-]\d/);
  });

  test('does not know of another one beside it', async () => {
    const scenario = { a: { kind: 'port-restricted', igd: true }, delay: { ms: 1 } } as const;
    const [one, other] = await Promise.all([build(scenario), build(scenario)]);
    expect(await roundTrips(one, 'a')).toHaveLength(5);
    await one.close();
    expect(await roundTrips(other, 'a')).toHaveLength(5);
    expect(await other.igd('a').mappings()).toEqual([]);
  });

  test.for([
    [[], /npm run lab/],
    [['run', 'a'], /name a machine and a program/],
    [['run', '--a', 'no-such', 'a', '--', 'true'], /there is no kind 'no-such'/],
    [['run', '--a', 'open+magic', 'a', '--', 'true'], /no feature 'magic'/],
    [['run', '--latency', 'far', 'a', '--', 'true'], /--latency takes a number/],
    [['run', '--nonsense', 'a', '--', 'true'], /--nonsense/],
    [['run', 'c', '--', 'true'], /has no c/],
  ] as const)('is not built for %j', async ([args, complaint]) => {
    const { code, stderr } = await new LabProcess([process.execPath, MAIN, ...args]).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(complaint);
  });
});
