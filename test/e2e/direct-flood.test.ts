import { expect } from 'vitest';
import { sealProbe } from '../../src/punch/probe.ts';
import { goDirect, goodAndBad, nativeQuiche, pathsOf, remotePort, test } from '../support/e2e-direct.ts';
import { floodAsPeer, floodAsStrangers, maySpoof } from '../support/e2e-flood.ts';
import { LinkSecrets } from '../support/e2e-link-secrets.ts';
import { strangersInitial } from '../support/e2e-quic-stranger.ts';
import { mebibytes, transfer } from '../support/e2e-transfer.ts';

const DATAGRAMS = 100_000;
const SPOOFED = 50_000;
/** A second: what the sockets' buffers take beside a transfer. More would be lost in the kernel, and test nothing. */
const RATE = 10_000;
const SEED = 20_261_120;

test(`${DATAGRAMS} hostile datagrams during a transfer: it ends right, and nobody minds`, async ({
  world,
}) => {
  const secrets = new LinkSecrets();
  const { bad } = await goodAndBad(world, { edit: (message) => secrets.watch(message) });
  let flooding = true;
  const { service, run } = await transfer(world, (blocks) => !flooding && mebibytes(32)(blocks));
  const at = { publisher: bad, subscriber: bad };
  const { publisher, subscriber, published, subscribed } = await goDirect(world, at, service.port);
  const transferred = run(subscriber.port);
  // Its failure is told below, after the flood.
  transferred.catch(() => undefined);

  const ports = [remotePort(subscribed), remotePort(published)] as const;
  const spoofed = maySpoof ? await floodAsPeer(ports, SPOOFED, { seed: SEED, rate: RATE }) : undefined;
  const keys = await secrets.probeKeys();
  const probe = (role: 'subscriber' | 'publisher') =>
    sealProbe({ transactionId: Buffer.alloc(12, 1) }, { link: secrets.link, role, key: keys[role] });
  const samples = [probe('subscriber'), probe('publisher'), await strangersInitial(nativeQuiche())] as const;
  const left = DATAGRAMS - (spoofed === undefined ? 0 : SPOOFED);
  await floodAsStrangers(world, ports, left, { seed: SEED, samples });
  flooding = false;
  const { sent, received } = await transferred;

  const how =
    spoofed === undefined
      ? 'none under the address of the peer: that needs root and Python'
      : `${SPOOFED} under the address of the peer, from ${spoofed} overheard`;
  const moved = sent.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20;
  process.stdout.write(`seed ${SEED}: ${DATAGRAMS} datagrams, ${how}; ${moved} MiB in the meantime\n`);
  expect(received).toEqual(sent);
  if (spoofed !== undefined) expect(spoofed).toBeGreaterThan(1000);
  const programs = [publisher, subscriber.program];
  for (const program of programs) {
    expect(
      pathsOf(program)
        .filter((path) => path !== 'relayed silent')
        .slice(-1),
    ).toEqual(['direct host']);
    expect(pathsOf(program)).not.toContain('relayed lost');
    expect(program.events.filter(({ event }) => event === 'error')).toEqual([]);
    const lines = program.stderr.split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => !/^\[[\d:]+\] INFO: /.test(line))).toEqual([]);
  }
  for (const program of programs) {
    program.kill('SIGTERM');
    expect(await program.exit()).toBe(0);
  }
});
