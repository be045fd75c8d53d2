/**
 * Refuses a change that is half done: a variable, binding, setting, effect, route or npm script that is unused, unlisted or
 * undocumented, and a document that names a file which is gone. What the compiler sees (a retry policy for each kind of effect, say) is left to it.
 *
 * `node dev/checks/half-done.ts [folder]`: of this project, or of the one in the folder.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve, sep } from 'node:path';
import ts from 'typescript-compiler-api';
import { PROJECT } from '../settings.ts';

const ROOT = resolve(process.argv[2] ?? PROJECT);
/** Every HTTP route is listed here. */
const ROUTES = 'docs/routes.md';
/** And every variable and secret of the Worker here. */
const VARIABLES = 'docs/variables.md';
/** npm runs these by itself. */
const LIFECYCLE_SCRIPTS = ['preinstall'];
const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'all'];

const problems: string[] = [];
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const tree = (file: string) => ts.createSourceFile(file, text(file), ts.ScriptTarget.Latest, true);
const documents = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', 'SECURITY.md', ...under('docs', /\.md$/)].filter(
  (file) => existsSync(join(ROOT, file)),
);
const prose = documents.map(text).join('\n');

function under(folder: string, name: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.split(sep).join('/')}`)
    .filter((file) => name.test(file));
}

function isNamed(word: string, where: string): boolean {
  return new RegExp(`(?<![\\w-])${word.replaceAll('.', '\\.')}(?![\\w-])`).test(where);
}

/** Names of the properties of the object literal that a constant of a file is made of, the outermost ones. */
function properties(file: string, constant: string): string[] {
  for (const statement of tree(file).statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (name.getText() !== constant || !initializer) continue;
      const literal = ts.isCallExpression(initializer) ? initializer.arguments[0] : initializer;
      if (!literal || !ts.isObjectLiteralExpression(literal)) break;
      return literal.properties.flatMap((property) => (property.name ? [property.name.getText()] : []));
    }
  }
  problems.push(`${file}: there is no ${constant} any more; correct dev/checks/half-done.ts`);
  return [];
}

/** Variables and secrets of the Worker: read by src/config, and documented. */
function checkVariables(): void {
  const toml = text('wrangler.toml');
  const section = (name: string) => new RegExp(`^\\[${name}\\]\\n([\\s\\S]*?)(?=^\\[)`, 'm').exec(toml)?.[1] ?? '';
  const set = [...section('vars').matchAll(/^([A-Z][A-Z0-9_]*)\s*=/gm)].map(([, name = '']) => name);
  const required = [...section('secrets').matchAll(/"([A-Z][A-Z0-9_]*)"/g)].map(([, name = '']) => name);
  const read = [
    ...properties('src/config/variables.ts', 'variablesSchema'),
    ...properties('src/claude-quota/claude-settings.ts', 'claudeLimitVariables'),
    ...properties('src/protocol/settings/request-limits.ts', 'requestLimitVariables'),
    ...properties('src/protocol/settings/start-limits.ts', 'startLimitVariables'),
    ...properties('src/protocol/settings/retention.ts', 'retentionVariables'),
    ...properties('src/protocol/settings/sign-in.ts', 'signInVariables'),
  ];
  for (const name of [...set, ...required].filter((one) => !read.includes(one))) {
    problems.push(
      `wrangler.toml: nothing reads ${name} (src/config/variables.ts, src/claude-quota/claude-settings.ts)`,
    );
  }
  const document = text(VARIABLES);
  for (const name of read.filter((one) => !isNamed(one, document))) {
    problems.push(`src/config/variables.ts: ${VARIABLES} does not say what ${name} is`);
  }
  for (const [, names = ''] of document.matchAll(/^\| (`[^|]*)\|/gm)) {
    for (const [, name = ''] of names.matchAll(/`([A-Z][A-Z0-9_]*)`/g)) {
      if (!read.includes(name)) problems.push(`${VARIABLES}: nothing reads ${name}`);
    }
  }
}

/** Bindings of the Worker: used by its code. */
function checkBindings(): void {
  const code = under('src', /\.ts$/)
    .filter((file) => !file.endsWith('.d.ts'))
    .map(text)
    .join('\n');
  for (const [, name = ''] of text('wrangler.toml').matchAll(/^(?:name|binding)\s*=\s*"([A-Z][A-Z0-9_]*)"/gm)) {
    if (!isNamed(name, code)) problems.push(`wrangler.toml: nothing in src uses the binding ${name}`);
  }
}

/** Variables of the sandbox server: documented, and read by more than their schema. */
function checkSandboxVariables(): void {
  const document = text('docs/sandboxes.md');
  const code = text('container/config.ts');
  for (const name of properties('container/config.ts', 'environmentSchema')) {
    if (!isNamed(name, document)) problems.push(`container/config.ts: docs/sandboxes.md does not say what ${name} is`);
    if (!isNamed(`values.${name}`, code)) problems.push(`container/config.ts: nothing is done with ${name}`);
  }
}

/** Settings of workspaces and repositories: documented, and used outside of their schema. */
function checkSettings(): void {
  const code = under('src', /\.tsx?$/)
    .filter((file) => !file.startsWith('src/protocol/settings/') && !file.endsWith('.d.ts'))
    .map(text)
    .join('\n');
  const names = [
    ...properties('src/protocol/settings/access-rules.ts', 'accessRulesSchema'),
    ...properties('src/protocol/settings/access-rules.ts', 'workspaceSettingsSchema'),
    ...properties('src/protocol/settings/repository.ts', 'repositorySettingsSchema'),
    ...properties('src/protocol/settings/repository.ts', 'pullRequestSettingsSchema'),
    ...properties('src/protocol/settings/commit-settings.ts', 'commitSettingsSchema'),
  ];
  for (const name of new Set(names)) {
    if (!isNamed(name, prose)) problems.push(`src/protocol/settings: no document says what the setting ${name} is`);
    if (!isNamed(name, code)) problems.push(`src/protocol/settings: nothing in src uses the setting ${name}`);
  }
}

/** Kinds of effects: called for by the lifecycle, and carried out. */
function checkEffects(): void {
  const file = 'src/session/lifecycle/model/effects.ts';
  const kinds: string[] = [];
  const visit = (node: ts.Node): void => {
    if (
      ts.isPropertySignature(node) &&
      node.name.getText() === 'kind' &&
      node.type &&
      ts.isLiteralTypeNode(node.type)
    ) {
      kinds.push(node.type.getText().slice(1, -1));
    }
    ts.forEachChild(node, visit);
  };
  const union = tree(file).statements.find((one) => ts.isTypeAliasDeclaration(one) && one.name.text === 'Effect');
  if (union) visit(union);
  if (kinds.length === 0) problems.push(`${file}: there is no type Effect any more; correct dev/checks/half-done.ts`);
  const read = (folder: string) =>
    under(folder, /\.ts$/)
      .filter((one) => one !== file)
      .map(text)
      .join('\n');
  const [calls, performs] = [read('src/session/lifecycle'), read('src/session/effects')];
  for (const kind of new Set(kinds)) {
    if (!calls.includes(`kind: '${kind}'`)) problems.push(`${file}: nothing in the lifecycle calls for ${kind}`);
    if (!performs.includes(`'${kind}'`)) problems.push(`${file}: nothing in src/session/effects carries out ${kind}`);
  }
}

interface Router {
  file: string;
  routes: { method: string; path: string }[];
  /** Files of the routers that this one holds, with the paths below which they are. */
  mounts: { path: string; file: string }[];
}

/** A text that is in the code, put together of constants of its file; null for anything else. */
function textOf(node: ts.Expression | undefined, constants: ReadonlyMap<string, string>): string | null {
  if (!node) return null;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isIdentifier(node)) return constants.get(node.text) ?? null;
  if (!ts.isTemplateExpression(node)) return null;
  const spans = node.templateSpans.map((span) => [textOf(span.expression, constants), span.literal.text] as const);
  if (spans.some(([value]) => value === null)) return null;
  return node.head.text + spans.map(([value, rest]) => `${value}${rest}`).join('');
}

function readRouter(file: string): Router {
  const constants = new Map<string, string>();
  const imported = new Map<string, string>();
  const routers = new Set<string>();
  const router: Router = { file, routes: [], mounts: [] };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const path = normalize(join(dirname(file), node.moduleSpecifier.text))
        .split(sep)
        .join('/');
      const bindings = node.importClause?.namedBindings;
      if (bindings && ts.isNamedImports(bindings))
        for (const { name } of bindings.elements) imported.set(name.text, path);
    }
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name)) {
      const value = textOf(node.initializer, constants);
      if (value !== null) constants.set(node.name.text, value);
      if (
        node.initializer &&
        ts.isNewExpression(node.initializer) &&
        node.initializer.expression.getText() === 'Hono'
      ) {
        routers.add(node.name.text);
      }
    }
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { expression, name } = node.expression;
      const path = textOf(node.arguments[0], constants);
      if (routers.has(expression.getText()) && (METHODS.includes(name.text) || name.text === 'route')) {
        const mounted = node.arguments[1] ? imported.get(node.arguments[1].getText()) : undefined;
        if (path === null)
          problems.push(`${file}: the path of a route cannot be read: ${node.arguments[0]?.getText()}`);
        else if (name.text !== 'route') router.routes.push({ method: name.text, path });
        else if (mounted) router.mounts.push({ path, file: mounted });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(tree(file));
  return router;
}

/** Routes of the Worker: listed in a document, and nothing is listed that is not there. */
function checkRoutes(): void {
  const routers = new Map(['src/index.ts', ...under('src/routes', /\.ts$/)].map((file) => [file, readRouter(file)]));
  const found = new Set<string>();
  const reached = new Set<string>();
  const walk = (file: string, prefix: string): void => {
    const router = routers.get(file);
    if (!router) return;
    reached.add(file);
    for (const { method, path } of router.routes) {
      // What answers everything else is no route.
      if (path === '*' || (file === 'src/index.ts' && method === 'all')) continue;
      // A pattern that is more than a name's (`:rest{.+/mcp-servers}`) has parts of the path in it.
      const whole = `${prefix}${path}`
        .replace(/:\w+\{\.\+\/(.*?)\}/, ':name/$1')
        .replace('[^/]+', ':server')
        .replace(/\{[^}]*\}+/g, '')
        .replace(/\/+/g, '/');
      found.add(`${method === 'all' ? 'ANY' : method.toUpperCase()} ${whole.replace(/(?<=.)\/$/, '')}`);
    }
    for (const mount of router.mounts) walk(mount.file, `${prefix}${mount.path}`);
  };
  walk('src/index.ts', '');
  for (const { file, routes } of routers.values()) {
    if (routes.length > 0 && !reached.has(file)) problems.push(`${file}: src/index.ts does not reach these routes`);
  }
  const listed = new Set(
    [...text(ROUTES).matchAll(/`((?:ANY|GET|POST|PUT|PATCH|DELETE) \/[^`]*)`/g)].map(([, route = '']) => route),
  );
  for (const route of found) if (!listed.has(route)) problems.push(`${ROUTES}: the route \`${route}\` is not listed`);
  for (const route of listed) if (!found.has(route)) problems.push(`${ROUTES}: there is no route \`${route}\``);
}

/** Files of the Worker and the sandbox server that a document or a folder's README names: they are there. */
function checkFiles(): void {
  const files = ['src', 'container'].flatMap((folder) => under(folder, /\.tsx?$/));
  const guides = ['src', 'container'].flatMap((folder) => under(folder, /(^|\/)README\.md$/));
  for (const document of [...documents, ...guides]) {
    for (const [, name = ''] of text(document).matchAll(/`([\w./-]+\.tsx?)`/g)) {
      if (/^(dev|tests)\//.test(name)) continue;
      const end = name.replace(/^(\.\.?\/)+/, '');
      const isThere = files.some((file) => file === end || file.endsWith(`/${end}`));
      if (!isThere) problems.push(`${document}: there is no ${name}`);
    }
  }
}

/** npm scripts: named by a document, and nothing is named that is not there. */
function checkScripts(): void {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
  const run = (name: string) =>
    name === 'start' || name === 'test' ? `npm (?:run )?${name}` : `npm run (?:--silent )?${name}`;
  for (const name of Object.keys(scripts)) {
    if (LIFECYCLE_SCRIPTS.includes(name)) continue;
    if (!new RegExp(`${run(name)}(?![\\w:-])`).test(prose))
      problems.push(`package.json: no document names \`npm run ${name}\``);
  }
  for (const file of documents) {
    for (const [, name = ''] of text(file).matchAll(/npm run (?:--silent )?([a-z][\w:-]*[a-z0-9])/g)) {
      if (!Object.hasOwn(scripts, name)) problems.push(`${file}: there is no \`npm run ${name}\``);
    }
  }
}

checkFiles();
checkVariables();
checkBindings();
checkSandboxVariables();
checkSettings();
checkEffects();
checkRoutes();
checkScripts();
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log('Variables, bindings, settings, effects, routes and scripts are used, listed and documented.');
