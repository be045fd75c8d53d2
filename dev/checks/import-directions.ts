/**
 * Checks that data flows one way: a folder of src imports only what is to its right in docs/architecture.md, pure files
 * reach pure code alone, container/ knows nothing of src but the protocol and the library, nothing runs in circles, no
 * folder has more files than a stranger finds something in, and each folder with code has a README.
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
  ['session', 'queue', 'operations', 'people'],
  ['sandbox', 'gateway', 'linear', 'claude', 'outgoing-webhooks'],
  ['github'],
  ['store'],
  ['observability', 'config'],
  ['protocol', 'claude-quota', 'kernel'],
  ['lib'],
];
/** The rooms of src/session from left to right, as above; files beside the rooms know them all. */
const SESSION_ROOMS = [['effects'], ['inbound', 'viewers'], ['storage'], ['lifecycle']];
/** The page is a program of its own. */
const WEB = 'web';
/** What every program may import. */
const SHARED = ['protocol', 'lib'];
/** More files beside each other than these are not found in by a stranger. */
const MOST_FILES = 20;
/** Pure, and so is all they import but for types: no I/O, no clock, no randomness. */
const PURE = [
  'src/protocol/',
  'src/claude/',
  'src/claude-quota/',
  'src/kernel/',
  'src/session/lifecycle/',
  'src/session/effects/log-document.ts',
  'src/session/inbound/related-issues-text.ts',
  'src/session/inbound/webhook-to-event.ts',
  'src/session/storage/effect-rules.ts',
  'src/session/storage/gathering.ts',
  'src/session/viewers/session-view.ts',
  'src/github/pull-request-text.ts',
  'src/github/webhooks/webhook.ts',
  'src/linear/guidance.ts',
  'src/linear/issue-surroundings.ts',
  'src/linear/webhooks/mention.ts',
  'src/linear/webhooks/session-source.ts',
  'src/linear/webhooks/webhook.ts',
  'src/operations/webhook-record.ts',
  'src/operations/alerts/alert.ts',
  'src/operations/alerts/from-log.ts',
  'src/operations/errors/sentry-event.ts',
  'src/operations/limits/request-window.ts',
  'src/operations/metrics/families.ts',
  'src/people/person.ts',
  'src/people/rights.ts',
  'src/operations/traces/turn-trace.ts',
  'src/queue/fair-queue.ts',
  'src/queue/sandbox-minutes.ts',
  'src/queue/start-limits.ts',
];
/** It decides without knowing what people are told with, or by whom. */
const LIFECYCLE = 'src/session/lifecycle/';
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
    return toRoot === 'container' || SHARED.includes(toPart)
      ? null
      : 'container/ imports src/protocol and src/lib, and nothing else of src';
  }
  if (toRoot !== 'src') return 'src imports nothing from outside of src';
  if (part === WEB)
    return toPart === WEB || SHARED.includes(toPart)
      ? null
      : 'the page imports src/protocol and src/lib, and nothing else of src';
  if (part === 'session' && toPart === part) return problemOfRooms(from, to);
  if (toPart === part) return null;
  const [fromTier, toTier] = [tierOf(from), tierOf(to)];
  if (from.startsWith(LIFECYCLE) && toPart === 'linear')
    return `${LIFECYCLE} knows no Linear: what threads hear is in its narration/`;
  if (fromTier === -1) return `src/${part} has no place in the order of folders`;
  return toTier > fromTier ? null : `src/${part} does not import src/${toPart}`;
}

function problemOfRooms(from: string, to: string): string | null {
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  if (fromRoom === null || fromRoom === toRoom) return null;
  if (toRoom === null) return `src/session/${fromRoom} imports nothing from beside the rooms`;
  const tier = (room: string) => SESSION_ROOMS.findIndex((rooms) => rooms.includes(room));
  if (tier(fromRoom) === -1) return `src/session/${fromRoom} has no place in the order of rooms`;
  return tier(toRoom) > tier(fromRoom) ? null : `src/session/${fromRoom} does not import src/session/${toRoom}`;
}

/** The room of src/session that a file lies in; null for one beside the rooms. */
function roomOf(file: string): string | null {
  const [, , room = '', ...rest] = file.split('/');
  return rest.length > 0 ? room : null;
}

/** Folders with too many files beside each other, or without a README that says what is there. */
function problemsOfFolders(root: string): string[] {
  const entries = readdirSync(join(ROOT, root), { recursive: true, withFileTypes: true });
  const byFolder = new Map<string, string[]>();
  for (const entry of entries.filter((each) => each.isFile())) {
    const folder = inProject(relative(ROOT, entry.parentPath));
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), entry.name]);
  }
  return [...byFolder].flatMap(([folder, names]) => {
    const code = names.filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts')).length;
    const problems: string[] = [];
    if (code > MOST_FILES) {
      problems.push(`${folder} has ${code} files beside each other; at most ${MOST_FILES} can be found in`);
    }
    if (code > 0 && !names.includes('README.md')) {
      problems.push(`${folder} has no README.md: say what is here, what may be imported, and where to begin`);
    }
    return problems;
  });
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

/** What a file does that a pure one must not: a word of its code, or a package of the platform; null if there is nothing. */
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
problems.push(...impureWays(), ...['src', 'container'].flatMap(problemsOfFolders));
const found = circle(imports);
if (found) problems.push(`imports run in a circle: ${found.map((file) => relative('.', file)).join(' → ')}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${imports.length} imports in ${files.length} files all point the right way.`);
