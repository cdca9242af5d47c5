import { UnderpassError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { fetchFile } from '../demo/fetch.ts';
import { serveFiles } from '../demo/file-server.ts';
import { createFiles, type DemoFile } from '../demo/files.ts';
import { buildStage, type Service, type Stage } from '../demo/stage.ts';
import type { DemoFlags } from '../flags.ts';
import { parsePort } from '../settings.ts';
import type { View } from '../views/view.ts';

/** `underpass demo`: the whole thing on one machine, around its own files or around a service of the user's. */
export async function demo(
  context: Context,
  view: View,
  port: string | undefined,
  flags: DemoFlags,
): Promise<number> {
  const logger = context.createLogger(flags.logLevel ?? 'warn', flags.logFormat ?? 'pretty');
  const perform = async (service: Service, act: (stage: Stage) => Promise<void>) => {
    const stage = await buildStage(service, context, logger);
    try {
      const { server, listen } = stage;
      view.show({ event: 'demo', server, service: `${service.localHost}:${service.localPort}`, listen });
      await Promise.race([act(stage), context.signals.stopped, stage.failed.then(rethrow)]);
    } finally {
      await stage.close();
    }
    return 0;
  };

  if (port !== undefined) {
    const untilStopped = () => new Promise<void>(() => {});
    return perform({ localHost: 'localhost', localPort: parsePort(port) }, untilStopped);
  }
  const files = createFiles();
  const fileServer = await serveFiles(files);
  try {
    const service = { localHost: '127.0.0.1', localPort: fileServer.port };
    return await perform(service, (stage) => fetchAll(files, stage, view));
  } finally {
    await fileServer.close();
  }
}

/** Fetches every file through the tunnel and compares every byte, by SHA-256, with what was published. */
async function fetchAll(files: readonly DemoFile[], { listen }: Stage, view: View): Promise<void> {
  let total = 0;
  for (const { name, sha256, content } of files) {
    const fetched = await fetchFile(listen, name, AbortSignal.timeout(10 * 60_000));
    const ok = fetched.sha256 === sha256 && fetched.bytes === content.length;
    view.show({ event: 'fetched', file: name, ...fetched, ok });
    if (!ok) throw new UnderpassError('internal', { problem: `${name} arrived with other bytes` });
    total += fetched.bytes;
  }
  view.show({ event: 'verified', files: files.length, bytes: total });
}

function rethrow(error: UnderpassError): never {
  throw error;
}
