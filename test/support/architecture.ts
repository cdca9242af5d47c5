import { posix } from 'node:path';
import ts from 'typescript';

/** Every file under `src`: its path from the root (`src/relay/frame.ts`) and its text. */
export type Sources = ReadonlyMap<string, string>;

const MAX_LINES = 350;

/** Who may import whom, besides itself. `root` is the files directly in `src`. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  root: [],
  net: ['root'],
  nat: ['root', 'net'],
  punch: ['root', 'net', 'nat'],
  signaling: ['root', 'net', 'nat'],
  relay: ['root', 'net', 'nat'],
  quic: ['root', 'net', 'nat'],
  tunnel: ['root', 'net', 'nat', 'punch', 'signaling', 'relay', 'quic'],
  index: ['root', 'net', 'nat', 'punch', 'signaling', 'relay', 'quic', 'tunnel'],
  cli: ['root', 'index'],
};

/** What a core may not load at run time; types of these are harmless. */
const IO_MODULES =
  /^(node:)?(child_process|cluster|dgram|dns|fs|http|http2|https|net|os|process|readline|timers|tls|worker_threads|perf_hooks)(\/|$)|^(ws|pino|pino-pretty|prom-client)$/;

/** Where a core could get time or randomness behind its owner's back. */
const AMBIENT = new Set(
  'setTimeout setInterval setImmediate queueMicrotask Date performance process fetch crypto randomBytes randomInt randomUUID randomFillSync webcrypto getRandomValues'.split(
    ' ',
  ),
);

/** A machine that does no I/O: told the time and what arrived, it says what to do. */
export function isCore(file: string): boolean {
  if (/^src\/(nat|punch|signaling|relay)\//.test(file)) return !/[/-](client|server)\.ts$/.test(file);
  return /^src\/tunnel\/(channel\/[^/]*|udp\/(datagram-frame|datagram-queue|fair-shares|flow-table|fragments|reassembly))\.ts$/.test(
    file,
  );
}

/** Every breach of the layers and of the house rules, a sentence each. */
export function findBreaches(sources: Sources): string[] {
  const breaches: string[] = [];
  for (const [file, text] of sources) {
    const lines = text.split('\n').length - 1;
    if (lines > MAX_LINES) breaches.push(`${file} has ${lines} lines, more than ${MAX_LINES}`);
    for (const imported of importsOf(text).map((specifier) => resolve(file, specifier))) {
      if (imported.startsWith('src/') && !mayImport(file, imported)) {
        breaches.push(`${file} imports ${imported}: ${layerOf(file)} may not import ${layerOf(imported)}`);
      }
    }
    if (isCore(file)) breaches.push(...breachesOfCore(file, text));
  }
  return [...breaches, ...cyclesIn(sources).map((cycle) => `import cycle: ${cycle.join(' → ')}`)];
}

function layerOf(file: string): string {
  const [, first = '', second] = file.split('/');
  if (second !== undefined) return first;
  return first === 'index.ts' ? 'index' : 'root';
}

function mayImport(file: string, imported: string): boolean {
  const [from, to] = [layerOf(file), layerOf(imported)];
  return from === to || (LAYERS[from]?.includes(to) ?? false);
}

function breachesOfCore(file: string, text: string): string[] {
  const loaded = importsOf(withoutTypes(text)).filter((specifier) => IO_MODULES.test(specifier));
  return [
    ...loaded.map((specifier) => `${file} is a core and imports ${specifier}`),
    ...ambientUses(text).map((name) => `${file} is a core and uses ${name}`),
  ];
}

/** Specifiers of imports, re-exports and dynamic imports, those of types included. */
function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** What is left at run time, and so what is loaded. */
function withoutTypes(text: string): string {
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2023,
    verbatimModuleSyntax: true,
  };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

function resolve(file: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
}

/** Global or imported names that are used as values; `runtime.randomBytes` belongs to what was injected. */
function ambientUses(text: string): string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node)) return;
    if (ts.isIdentifier(node) && AMBIENT.has(node.text) && !isMemberName(node)) found.add(node.text);
    if (ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random') found.add('Math.random');
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('core.ts', text, ts.ScriptTarget.ES2023, true));
  return [...found];
}

function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  const named =
    ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isPropertySignature(parent);
  return (named || ts.isMethodSignature(parent) || ts.isPropertyDeclaration(parent)) && parent.name === node;
}

/** Each cycle once, as the files on it. */
function cyclesIn(sources: Sources): string[][] {
  const cycles: string[][] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) cycles.push([...path.slice(start), file]);
    if (start >= 0 || finished.has(file)) return;
    path.push(file);
    for (const specifier of importsOf(sources.get(file) ?? '')) {
      const imported = resolve(file, specifier);
      if (sources.has(imported)) visit(imported);
    }
    path.pop();
    finished.add(file);
  };
  for (const file of sources.keys()) visit(file);
  return cycles;
}
