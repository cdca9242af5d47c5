import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram } from './program.ts';
import type { Stage } from './stage.ts';
import { type Service, startTunnel, type Tunnel } from './tunnel.ts';

/** Enough for what is in a network of its own: the machine itself. */
const CONFIG = 'stun: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] }\n';

/** A tunnel with a direct path, on loopback. `direct` as mode: it has no other. */
export async function startDirect(
  stage: Stage,
  service: Service,
  mode: 'auto' | 'direct' = 'direct',
): Promise<Tunnel> {
  const config = join(stage.folder(), 'server.yml');
  writeFileSync(config, CONFIG);
  const server = await startProgram(stage, 'server', '--listen', 'ws://127.0.0.1:0', '--config', config);
  const argv = ['--mode', mode, '--no-port-mapping'];
  const tunnel = await startTunnel(stage, 'direct', server, service, ...argv);
  const { publisher, subscriber } = tunnel.programs;
  await Promise.all([publisher, subscriber].map((program) => program.event('path', { kind: 'direct' })));
  return tunnel;
}
