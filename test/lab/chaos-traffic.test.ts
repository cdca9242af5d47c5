import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePort, listen } from '../support/e2e-tcp.ts';
import { Ledger, type Teller } from './chaos/ledger.ts';
import { trafficProgram } from './chaos/stage.ts';
import type { Said } from './chaos/traffic/said.ts';
import { describeLab } from './suite.ts';
import { LabProcess } from './system/lab-process.ts';

/** What somebody in between does to one connection, once some bytes have passed. */
type Mischief = (bytes: Buffer, to: Socket, from: Socket) => void;

const AFTER = 100_000;

const MISCHIEF: Readonly<Record<string, { readonly does: Mischief; readonly what: string }>> = {
  'changes a bit': {
    does: (bytes, to) => {
      bytes[0] = (bytes[0] ?? 0) ^ 4;
      to.write(bytes);
    },
    what: 'corrupted',
  },
  'leaves out a byte': { does: (bytes, to) => to.write(bytes.subarray(1)), what: 'corrupted' },
  'repeats some bytes': {
    does: (bytes, to) => to.write(Buffer.concat([bytes, bytes])),
    what: 'corrupted',
  },
  'ends a direction early': { does: (_, to) => to.end(), what: 'truncated' },
  'resets it': { does: (_, to) => to.resetAndDestroy(), what: 'reset' },
};

/** A proxy that plays the tunnel's part, and interferes once, with the first connection that passes enough bytes. */
async function proxy(target: number, mischief?: Mischief): Promise<number> {
  let left = mischief;
  const pass = (from: Socket, to: Socket) => {
    let passed = 0;
    from.on('data', (chunk) => {
      passed += chunk.length;
      const does = passed > AFTER ? left : undefined;
      if (to.writableEnded || to.destroyed) return;
      if (does === undefined) to.write(chunk);
      else {
        left = undefined;
        does(chunk, to, from);
      }
    });
    from.on('end', () => to.end());
    from.on('error', () => to.resetAndDestroy());
    from.on('close', (failed) => failed || to.destroyed || from.readableEnded || to.resetAndDestroy());
  };
  const { port, close } = await listen((near) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    pass(near, far);
    pass(far, near);
  });
  onTestFinished(close);
  return port;
}

/** Passes datagrams on, but for those that it is told to treat otherwise. */
async function udpProxy(port: number, target: number, alter: (count: number, message: Buffer) => Buffer[]) {
  const [near, far] = [createSocket('udp4'), createSocket('udp4')];
  let [count, from] = [0, 0];
  near.on('message', (message, sender) => {
    from = sender.port;
    count += 1;
    for (const each of alter(count, message)) far.send(each, target, '127.0.0.1');
  });
  far.on('message', (message) => near.send(message, from, '127.0.0.1'));
  near.bind(port, '127.0.0.1');
  await once(near, 'listening');
  onTestFinished(() => {
    near.close();
    far.close();
  });
}

function start(ledger: Ledger, name: Teller, args: readonly number[]): LabProcess {
  const onLine = (line: string) => {
    const said: Said = JSON.parse(line);
    ledger.hear(name, said);
  };
  const started = new LabProcess(trafficProgram(name, args), { onLine });
  onTestFinished(() => started.kill('SIGKILL'));
  return started;
}

async function startService(
  ledger: Ledger,
): Promise<{ readonly port: number; readonly service: LabProcess }> {
  const port = await freePort();
  const service = start(ledger, 'service', [port]);
  await service.line('{"event":"ready"');
  return { port, service };
}

describeLab('the traffic of a chaos run', () => {
  test.for(['does nothing', ...Object.keys(MISCHIEF)])('through somebody who %s', async (name) => {
    const mischief = MISCHIEF[name];
    const ledger = new Ledger();
    const { port, service } = await startService(ledger);
    const client = start(ledger, 'client', [await proxy(port, mischief?.does), 1, 6, 0]);
    const enough = () => (mischief ? ledger.failures.length > 0 : ledger.connections.opened > 6);
    await client.output(() => enough() || undefined, 30_000);
    client.write('finish\n');
    await client.line('{"event":"finished"');
    const { opened } = ledger.connections;
    const over = () => ledger.connections.whole + ledger.connections.failed;
    await service.output(() => over() === opened || undefined);
    ledger.close(Date.now());
    expect(ledger.failures.map(({ what }) => what)).toEqual(mischief ? [mischief.what] : []);
  });

  test('datagrams that are lost, changed and repeated are counted', async () => {
    const ledger = new Ledger();
    const { port } = await startService(ledger);
    const between = await freePort();
    await udpProxy(between, port, (count, message) => {
      if (count === 3) return [];
      if (count === 5) return [message, message];
      if (count === 7) message[13] = (message[13] ?? 0) ^ 1;
      return [message];
    });
    const client = start(ledger, 'client', [between, 1, 0, 1]);
    await client.output(() => ledger.datagrams.echoed > 20 || undefined);
    const { sent, echoed, duplicates, corrupted } = ledger.datagrams;
    expect([sent - echoed - 2 <= 1, duplicates, corrupted]).toEqual([true, 1, 1]);
  });

  test('a flow without echoes stands still, and moves again', async () => {
    const ledger = new Ledger();
    const { port, service } = await startService(ledger);
    const client = start(ledger, 'client', [port, 1, 0, 1]);
    await client.output(() => ledger.datagrams.echoed > 5 || undefined);
    service.kill('SIGSTOP');
    await client.output(() => ledger.stalled.some(({ kind }) => kind === 'udp') || undefined);
    service.kill('SIGCONT');
    await client.output(() => ledger.pauses.some(({ kind }) => kind === 'udp') || undefined);
    expect(ledger.pauses[0]).toMatchObject({ kind: 'udp', id: 0 });
  });
});
