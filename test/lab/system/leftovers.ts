import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespacesThat, removeNamespaces } from './namespaces.ts';
import { isAbandoned } from './owner.ts';

/** Removes what laboratories left whose process was killed before it could. Returns what the namespaces were called. */
export function removeLeftovers(): string[] {
  const abandoned = namespacesThat(isAbandoned);
  removeNamespaces(abandoned);
  for (const entry of readdirSync(tmpdir()).filter(isAbandoned)) {
    rmSync(join(tmpdir(), entry), { recursive: true, force: true });
  }
  return abandoned;
}
