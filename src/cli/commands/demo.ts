import type { UnderpassError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { serveFiles } from '../demo/file-server.ts';
import { createFiles } from '../demo/files.ts';
import { buildStage, type Service, type Stage } from '../demo/stage.ts';
import { Tour } from '../demo/tour.ts';
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
    return perform({ localHost: 'localhost', localPort: parsePort(port) }, ({ paths }) => {
      paths.watch((path) => view.show(path));
      return new Promise(() => {});
    });
  }
  const files = createFiles();
  const fileServer = await serveFiles(files);
  try {
    const service = { localHost: '127.0.0.1', localPort: fileServer.port };
    return await perform(service, (stage) => new Tour(files, stage, view).run());
  } finally {
    await fileServer.close();
  }
}

function rethrow(error: UnderpassError): never {
  throw error;
}
