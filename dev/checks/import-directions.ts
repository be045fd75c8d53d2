/**
 * Checks that data flows one way: a folder of src imports only what stands to its right in docs/architecture.md, pure
 * files import types and pure code alone, container/ knows nothing of src but the protocol, and nothing runs in circles.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import ts from 'typescript-compiler-api';
import { PROJECT } from '../settings.ts';

/** From left to right; folders of one tier do not know each other. */
const TIERS = [
  ['index.ts'],
  ['routes'],
  ['session'],
  ['sandbox', 'gateway', 'linear', 'claude'],
  ['github'],
  ['store'],
  ['observability', 'config.ts'],
  ['protocol', 'limits'],
];
/** The page is a program of its own. */
const WEB = 'web';
/** Pure: no I/O, no clock, no randomness of their own. */
const PURE = [
  'src/protocol/',
  'src/claude/',
  'src/linear/activities.ts',
  'src/linear/guidance.ts',
  'src/linear/webhook.ts',
  'src/github/pull-request-text.ts',
  'src/session/lifecycle.ts',
  'src/session/turn.ts',
  'src/session/prompts.ts',
  'src/session/stops.ts',
  'src/session/reports.ts',
  'src/session/proposing.ts',
  'src/session/questions.ts',
  'src/session/repository-choice.ts',
  'src/session/parking.ts',
  'src/session/resumption.ts',
  'src/session/queueing.ts',
  'src/session/claude-limits.ts',
  'src/session/clock-words.ts',
  'src/limits/windows.ts',
  'src/limits/token-pool.ts',
  'src/limits/model-choice.ts',
  'src/limits/fair-line.ts',
  'src/limits/budget.ts',
  'src/limits/prices.ts',
  'src/session/admission.ts',
  'src/session/refusals.ts',
  'src/session/routing.ts',
  'src/session/step.ts',
  'src/session/state.ts',
  'src/session/deadlines.ts',
  'src/session/view.ts',
  'src/session/log-document.ts',
  'src/session/from-linear.ts',
  'src/session/related-words.ts',
  'src/linear/mention.ts',
  'src/linear/session-source.ts',
  'src/linear/issue-surroundings.ts',
];
const IMPURE_WORDS = /\b(fetch|Date\.now|Math\.random|crypto\.randomUUID|setTimeout|new Date\(\))\b/;

interface Import {
  from: string;
  to: string;
}

function sources(folder: string): string[] {
  return readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .map((file) => `${folder}/${file.split(sep).join('/')}`);
}

/** Imports of other files of the project; packages are left out. */
function importsOf(file: string): Import[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(PROJECT, file), 'utf8'), true, true);
  return importedFiles
    .map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => ({
      from: file,
      to: normalize(join(dirname(file), name))
        .split(sep)
        .join('/'),
    }));
}

function tierOf(file: string): number {
  const [, part = ''] = file.split('/');
  return TIERS.findIndex((tier) => tier.includes(part));
}

function problemOf({ from, to }: Import): string | null {
  const [root, part = ''] = from.split('/');
  const [toRoot, toPart = ''] = to.split('/');
  if (root === 'container') {
    return toRoot === 'container' || to.startsWith('src/protocol/')
      ? null
      : 'container/ imports src/protocol and nothing else';
  }
  if (toRoot !== 'src') return 'src imports nothing from outside of src';
  if (part === WEB)
    return toPart === WEB || toPart === 'protocol' ? null : 'the page imports src/protocol and nothing else of src';
  if (toPart === part) return null;
  if (PURE.some((pure) => from.startsWith(pure)) && !['protocol', 'claude', 'linear', 'limits'].includes(toPart)) {
    return `${from} is pure and imports pure code alone`;
  }
  const [fromTier, toTier] = [tierOf(from), tierOf(to)];
  if (fromTier === -1) return `src/${part} has no place in the order of folders`;
  return toTier > fromTier ? null : `src/${part} does not import src/${toPart}`;
}

/** Files that import each other in a circle, the first such circle found; type imports count too. */
function circle(imports: Import[]): string[] | null {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const to of next.get(file) ?? []) {
      const found = visit(to, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of next.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return null;
}

const files = [...sources('src'), ...sources('container')];
const imports = files.flatMap(importsOf);
const problems = imports.flatMap((each) => {
  const problem = problemOf(each);
  return problem ? [`${each.from} → ${each.to}: ${problem}`] : [];
});
for (const file of files.filter((each) => PURE.some((pure) => each.startsWith(pure)))) {
  const code = readFileSync(join(PROJECT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const word = IMPURE_WORDS.exec(code)?.[0];
  if (word) problems.push(`${file} is pure and does not call ${word}`);
}
const found = circle(imports);
if (found) problems.push(`imports run in a circle: ${found.map((file) => relative('.', file)).join(' → ')}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${imports.length} imports in ${files.length} files all point the right way.`);
