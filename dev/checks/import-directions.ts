/**
 * Checks that data flows one way: a folder of src imports only what is to its right in docs/architecture.md, pure files
 * reach pure code alone, container/ knows nothing of src but the protocol, and nothing runs in circles.
 *
 * `node dev/checks/import-directions.ts [folder]`: of this project, or of the one in the folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve, sep } from 'node:path';
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
/** Pure, and so is all they import but for types: no I/O, no clock, no randomness. */
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

const ROOT = resolve(process.argv[2] ?? PROJECT);

interface Import {
  from: string;
  to: string;
  /** Types alone: nothing of it is there when the program runs. */
  isType: boolean;
}

interface Source {
  file: string;
  imports: Import[];
  /** Packages that it imports for their values. */
  packages: string[];
  /** Its code without comments. */
  code: string;
}

function sources(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .map((file) => read(`${folder}/${file.split(sep).join('/')}`));
}

function read(file: string): Source {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const all = tree.statements.flatMap((statement) => {
    const isImport = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement);
    if (!isImport || !statement.moduleSpecifier || !ts.isStringLiteral(statement.moduleSpecifier)) return [];
    return [{ name: statement.moduleSpecifier.text, isType: isTypeAlone(statement) }];
  });
  // `import()` is one too; it is found where the parser above sees an expression.
  const { importedFiles } = ts.preProcessFile(text, true, true);
  const known = new Set(all.map(({ name }) => name));
  for (const { fileName } of importedFiles) if (!known.has(fileName)) all.push({ name: fileName, isType: false });
  return {
    file,
    imports: all
      .filter(({ name }) => name.startsWith('.'))
      .map(({ name, isType }) => ({ from: file, to: inProject(join(dirname(file), name)), isType })),
    packages: all.filter(({ name, isType }) => !name.startsWith('.') && !isType).map(({ name }) => name),
    code: text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''),
  };
}

function inProject(path: string): string {
  return normalize(path).split(sep).join('/');
}

function isTypeAlone(statement: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(statement)) return statement.isTypeOnly;
  const clause = statement.importClause;
  if (!clause) return false;
  if (clause.isTypeOnly) return true;
  const { namedBindings } = clause;
  const areTypes =
    namedBindings && ts.isNamedImports(namedBindings) && namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly);
  return !clause.name && areTypes === true;
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

/** What a file does that a pure one must not: a word of its code, or a package of the platform; null where there is nothing. */
function impurityOf({ code, packages }: Source): string | null {
  const word = IMPURE_WORDS.exec(code)?.[0];
  if (word) return `calls ${word}`;
  const platform = packages.find((name) => /^(cloudflare|node):/.test(name));
  return platform ? `imports ${platform}` : null;
}

/** Every way from a pure file to one that is not, as the chain of imports, the shortest for each. */
function impureWays(): string[] {
  const byName = new Map(files.map((source) => [source.file, source]));
  const ways: string[] = [];
  for (const { file: start } of files.filter(({ file }) => PURE.some((pure) => file.startsWith(pure)))) {
    const waiting = [[start]];
    const seen = new Set([start]);
    for (let path = waiting.shift(); path; path = waiting.shift()) {
      const source = byName.get(path.at(-1) ?? '');
      if (!source) continue;
      const impurity = impurityOf(source);
      if (impurity) {
        ways.push(`${start} is pure, but ${path.join(' → ')} ${impurity}`);
        continue;
      }
      for (const { to, isType } of source.imports) {
        if (isType || seen.has(to)) continue;
        seen.add(to);
        waiting.push([...path, to]);
      }
    }
  }
  return ways;
}

const files = [...sources('src'), ...sources('container')];
const imports = files.flatMap((source) => source.imports);
const problems = imports.flatMap((each) => {
  const problem = problemOf(each);
  return problem ? [`${each.from} → ${each.to}: ${problem}`] : [];
});
problems.push(...impureWays());
const found = circle(imports);
if (found) problems.push(`imports run in a circle: ${found.map((file) => relative('.', file)).join(' → ')}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${imports.length} imports in ${files.length} files all point the right way.`);
