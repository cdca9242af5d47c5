import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { UnderpassError } from '../../errors.ts';
import { readTextFile } from './text-file.ts';
import { checkNesting, checkNodes, type Fail, type KeyPath, offsetOf } from './yaml-check.ts';

/** Room for thousands of tokens; a file picked by mistake is not parsed. */
const MAX_BYTES = 256 * 1024;

/** The content of a file, and the way to complain about a part of it. */
export interface YamlFile<T> {
  readonly value: T;
  /** A `config_invalid` that names the file, the line and the full key. */
  fail(path: KeyPath, problem: string): UnderpassError;
}

/**
 * Reads a YAML 1.2 file and checks it against a schema. Throws `file_unreadable`, or `config_invalid` for the first thing
 * that is wrong. No value of the file becomes part of an error: it could be a secret.
 */
export function readYamlFile<T>(file: string, schema: z.ZodType<T>): YamlFile<T> {
  return parseYaml(file, readTextFile(file, MAX_BYTES), schema);
}

/** Like `readYamlFile`, with the text at hand; `file` is for the errors. */
export function parseYaml<T>(file: string, text: string, schema: z.ZodType<T>): YamlFile<T> {
  const lines = new LineCounter();
  const failAt: Fail = (offset, path, problem) => {
    const line = Math.max(1, lines.linePos(offset).line);
    return new UnderpassError('config_invalid', { file, line, key: formatPath(path), problem });
  };

  checkNesting(text, lines, failAt);
  // Duplicate keys are left to `checkNodes`, whose search is linear; pretty errors would quote the file's text.
  const document = parseDocument(text, { stringKeys: true, uniqueKeys: false, prettyErrors: false });
  checkNodes(document, failAt);

  const fail = (path: KeyPath, problem: string) => failAt(offsetOf(document.contents, path), path, problem);
  const result = schema.safeParse(document.toJS() ?? {}, { error: describe });
  if (result.success) return { value: result.data, fail };
  throw firstIssue(result.error.issues, fail);
}

/** `tunnels.web.local_port`, `auth.tokens[1]`. */
export function formatPath(path: KeyPath): string {
  const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`));
  return steps.join('').replace(/^\./, '') || '(top level)';
}

function firstIssue(issues: readonly z.core.$ZodIssue[], fail: YamlFile<unknown>['fail']): UnderpassError {
  // A misspelt key is also a missing one; its own name says more.
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  if (unknown) return fail([...unknown.path, ...unknown.keys.slice(0, 1)], 'there is no such key');
  const issue = issues[0];
  return fail(issue?.path ?? [], issue?.message ?? 'is not valid');
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'must be text (put it in quotes)',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  array: 'must be a list',
  object: 'must be a block of keys',
  record: 'must be a block of keys',
};

/** What is wrong, in words that fit behind the key. */
function describe(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return EXPECTED[issue.expected] ?? 'has the wrong type';
    case 'invalid_value':
      return `must be ${issue.values.join(' or ')}`;
    case 'too_small':
      return issue.origin === 'array' ? 'must not be empty' : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array'
        ? `must have at most ${issue.maximum} entries`
        : `must be at most ${issue.maximum}`;
    default:
      return 'is not valid';
  }
}
