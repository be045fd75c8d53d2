/**
 * Changes the lifecycle in small ways, one at a time, and tells which of them no test notices: each of these is a promise without
 * a test, or code without a use. It works in copies of the project, so that nothing here changes.
 *
 * `npm run mutate -- [--under src/session/lifecycle] [--mutants 150] [--seed 1]`
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import ts from 'typescript-compiler-api';
import { PROJECT } from './settings.ts';

/** One change: what is from `start` to `end` (UTF-16 code units) in a file becomes `to`. */
export interface Mutant {
  file: string;
  line: number;
  start: number;
  end: number;
  from: string;
  to: string;
}

const OTHER_OPERATOR = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
]);

/** Every change that is tried in a file. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const mutants: Mutant[] = [];
  const add = (node: ts.Node, to: string) => {
    const start = node.getStart(tree);
    const line = tree.getLineAndCharacterOfPosition(start).line + 1;
    mutants.push({ file, line, start, end: node.end, from: text.slice(start, node.end), to });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node)) {
      const to = OTHER_OPERATOR.get(node.operatorToken.kind);
      if (to !== undefined) add(node.operatorToken, to);
    }
    if (ts.isIfStatement(node)) for (const to of ['true', 'false']) add(node.expression, to);
    if (ts.isConditionalExpression(node)) add(node.condition, `!(${node.condition.getText(tree)})`);
    if (node.kind === ts.SyntaxKind.TrueKeyword && ts.isPropertyAssignment(node.parent)) add(node, 'false');
    if (node.kind === ts.SyntaxKind.FalseKeyword && ts.isPropertyAssignment(node.parent)) add(node, 'true');
    if (ts.isExpressionStatement(node) && ts.isCallExpression(node.expression)) add(node, '{}');
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return mutants;
}

/** The same choice of mutants for the same seed, spread over all files. */
export function chosen<T>(all: readonly T[], count: number, seed: number): T[] {
  let state = seed >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return all
    .map((one) => ({ one, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .slice(0, count)
    .map(({ one }) => one);
}

/** Tests that play the lifecycle. Those of time and of foreign text are left out: they run every function for its speed. */
function testsOf(): string[] {
  return readdirSync(join(PROJECT, 'tests/unit'))
    .filter((name) => name.endsWith('.test.ts') && name !== 'foreign-text.test.ts')
    .filter((name) =>
      /lifecycle\/|session-play|support\/world/.test(readFileSync(join(PROJECT, 'tests/unit', name), 'utf8')),
    )
    .map((name) => `tests/unit/${name}`);
}

/** A project of its own, in which files may change. */
function copyOfProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-mutants-'));
  for (const name of [
    'src',
    'tests',
    'dev',
    'container',
    'migrations',
    'docs',
    'package.json',
    'tsconfig.json',
    'vitest.config.ts',
    'wrangler.toml',
  ])
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Whether the tests pass in a folder. One that runs much longer than usual has found something: an endless loop. */
function passes(folder: string, tests: readonly string[]): Promise<boolean> {
  const vitest = join(PROJECT, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--project', 'unit', '--bail', '1', '--maxWorkers', '1', ...tests];
  const env = { ...process.env, CYRUS_HISTORIES: '0.02' };
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env,
    stdio: 'ignore',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code) => done(code === 0));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      under: { type: 'string', default: 'src/session/lifecycle' },
      mutants: { type: 'string', default: '150' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
    },
  });
  const files = readdirSync(join(PROJECT, values.under), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${values.under}/${name}`);
  const all = files.flatMap((file) => mutantsOf(file, readFileSync(join(PROJECT, file), 'utf8')));
  const waiting = chosen(all, Number(values.mutants), Number(values.seed));
  const tests = testsOf();
  const survivors: Mutant[] = [];
  // A run that is interrupted still prints its results so far.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => waiting.splice(0));
  let tried = 0;
  const folders: string[] = [];
  const work = async (): Promise<void> => {
    const folder = copyOfProject();
    folders.push(folder);
    if (!(await passes(folder, tests))) throw new Error('the tests fail without any change: nothing can be learned');
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const path = join(folder, mutant.file);
      const text = readFileSync(path, 'utf8');
      writeFileSync(path, text.slice(0, mutant.start) + mutant.to + text.slice(mutant.end));
      const isUnnoticed = await passes(folder, tests);
      writeFileSync(path, text);
      tried += 1;
      if (!isUnnoticed) continue;
      survivors.push(mutant);
      console.log(`${mutant.file}:${mutant.line}  ${shortened(mutant.from)}  →  ${mutant.to}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: Number(values.workers) }, work));
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
  const noticed = tried - survivors.length;
  console.log(`${noticed} of ${tried} changes were noticed (${files.length} files, ${all.length} possible changes).`);
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

if (import.meta.main) await main();
