import { type Document, isAlias, isMap, isScalar, isSeq, Lexer, type LineCounter, Parser } from 'yaml';
import type { UnderpassError } from '../../errors.ts';

/** Where in a file: the keys and list positions from the top. */
export type KeyPath = readonly PropertyKey[];

/** Makes the error for a place in the text. */
export type Fail = (offset: number, path: KeyPath, problem: string) => UnderpassError;

/** Our files are four deep, and a level costs the parser up to three entries. */
const MAX_NESTING = 32;

/** Refuses text nested so deeply that the parser, which recurses, would exhaust the stack. Counts the lines on the way. */
export function checkNesting(text: string, lines: LineCounter, fail: Fail): void {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let offset = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const _token of parser.next(lexeme));
    if (parser.stack.length > MAX_NESTING) throw fail(offset, [], 'is nested too deeply');
    offset += lexeme.length;
  }
}

/** Refuses what YAML allows and a configuration does not need, after anything that is not YAML at all. */
export function checkNodes(document: Document.Parsed, fail: Fail): void {
  const error = document.errors[0] ?? document.warnings[0];
  // The library's sentence can quote the text; its code says enough.
  if (error) {
    const problem = `is not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`;
    throw fail(error.pos[0], pathTo(document.contents, error.pos[0]), problem);
  }
  checkNode(document.contents, [], fail);
}

/** Where the value of a path begins: its key's place, or that of the nearest part that exists. */
export function offsetOf(root: unknown, path: KeyPath): number {
  let node = root;
  let offset = startOf(root);
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
      if (!pair) break;
      offset = startOf(pair.key);
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      offset = startOf(node, offset);
    } else break;
  }
  return offset;
}

function checkNode(node: unknown, path: KeyPath, fail: Fail): void {
  if (isAlias(node)) throw fail(startOf(node), path, 'aliases are not supported');
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) checkNode(item, [...path, index], fail);
  }
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const here = [...path, name];
    if (seen.has(name)) throw fail(startOf(key), here, 'appears twice');
    seen.add(name);
    checkNode(value, here, fail);
  }
}

/** The last key that begins before an offset, with those around it. One at the offset may be an unquoted `secret: with colon`. */
function pathTo(node: unknown, offset: number): KeyPath {
  if (!isMap(node)) return [];
  const pair = node.items.findLast(({ key }) => isScalar(key) && startOf(key) < offset);
  return pair && isScalar(pair.key) ? [String(pair.key.value), ...pathTo(pair.value, offset)] : [];
}

function startOf(node: unknown, otherwise = 0): number {
  const ranged = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);
  return ranged && node.range ? node.range[0] : otherwise;
}
