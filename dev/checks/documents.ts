/**
 * Holds documents to what they speak of: each link leads to a file and a heading that are there, each page is linked from another one, each
 * variable and setting that is named exists, and a figure in README.md is one of docs/benchmarks.md. Scripts, routes, files and the other way round:
 * half-done.ts.
 *
 * `node dev/checks/documents.ts [folder]`: of this project, or of the one in the folder. `--run` also asks each command of `npm run` that they name for
 * its `--help`, which must know the options that the document gives it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, resolve, sep } from 'node:path';
import { PROJECT } from '../settings.ts';
import { anchorsOf, commandsOf, linksOf } from './markdown.ts';

const [folder] = process.argv.slice(2).filter((one) => !one.startsWith('--'));
const ROOT = resolve(folder ?? PROJECT);
const RUNS = process.argv.includes('--run');
const FOLDERS = ['docs', 'src', 'container', 'dev', 'tests', '.github'];
/** A repository that stands in for somebody's, with words of its own; and the list of texts of the program. */
const NOT_OURS = /^dev\/git\/sample-repository\/|^docs\/texts\.md$/;
const BENCHMARKS = 'docs/benchmarks.md';
/** Units of measured figures. Minutes and hours are limits and promises. */
const FIGURE = /(?<![\w.,])\d[\d.,]*(?: ?(?:ms|µs|MB|MiB|GB|kB|%)(?!\w)| times\b)/g;
/** Names in capitals that are no variables. */
const NO_VARIABLES =
  /^(?:HEAD|FILE|NAME|NUMBER|FOLDER|ID|KEY|ADDRESS|POST|PUT|GET|PATCH|DELETE|ANY|PULL_REQUEST_TEMPLATE|[A-Z]{1,3})$/;

const problems: string[] = [];
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const under = (top: string): string[] =>
  existsSync(join(ROOT, top))
    ? readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' }).map(
        (file) => `${top}/${file.split(sep).join('/')}`,
      )
    : [];
const files = FOLDERS.flatMap(under).filter((file) => !file.includes('node_modules'));
const documents = [
  ...readdirSync(ROOT).filter((file) => file.endsWith('.md')),
  ...files.filter((file) => file.endsWith('.md')),
].filter((file) => !NOT_OURS.test(file));

/** @returns documents that are linked from another one */
function checkLinks(): Set<string> {
  const reached = new Set<string>();
  for (const document of documents) {
    for (const { target, line } of linksOf(text(document))) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : normalize(join(dirname(document), decodeURIComponent(path)));
      const whole = join(ROOT, file);
      if (!existsSync(whole)) {
        problems.push(`${document}:${line}: the link leads nowhere: ${target}`);
        continue;
      }
      if (path !== '') reached.add(file);
      if (anchor === undefined || statSync(whole).isDirectory() || !file.endsWith('.md')) continue;
      if (!anchorsOf(text(file)).has(anchor)) problems.push(`${document}:${line}: ${file} has no heading #${anchor}`);
    }
  }
  return reached;
}

function checkReached(reached: ReadonlySet<string>): void {
  for (const document of documents.filter((file) => /^docs\/[^/]+\.md$/.test(file))) {
    if (!reached.has(document)) problems.push(`${document}: no other document links it`);
  }
}

/** Names of variables and settings: somewhere in the program, its configuration or its tests. */
function checkVariables(): void {
  const code = [
    ...files.filter((file) => /\.(?:tsx?|cjs|js|css|c|sh)$|Dockerfile$/.test(file) && !file.endsWith('.d.ts')),
    ...['wrangler.toml', 'package.json', '.ci/run'].filter((file) => existsSync(join(ROOT, file))),
  ].map(text);
  const named = new Set(code.flatMap((one) => one.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []));
  const settings =
    /export const SETTINGS = \{([\s\S]*?)\}/.exec(text('src/protocol/settings/deployment.ts'))?.[1] ?? '';
  const settingNames = new Set([...settings.matchAll(/([A-Z][A-Z0-9_]+):/g)].map(([, name = '']) => name));
  if (settingNames.size === 0)
    problems.push(
      'src/protocol/settings/deployment.ts: no setting is found there any more; correct dev/checks/documents.ts',
    );
  for (const document of documents) {
    const content = text(document);
    for (const [, quoted = ''] of content.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)) {
      if (!NO_VARIABLES.test(quoted) && !named.has(quoted)) problems.push(`${document}: nothing reads ${quoted}`);
    }
    for (const [, name = ''] of content.matchAll(/npm run settings -- (?:set|unset) ([A-Z][A-Z0-9_]*)/g)) {
      if (!NO_VARIABLES.test(name) && !settingNames.has(name))
        problems.push(`${document}: there is no setting ${name}`);
    }
    for (const [, name = ''] of content.matchAll(/wrangler secret put ([A-Z][A-Z0-9_]*)/g)) {
      if (!NO_VARIABLES.test(name) && !named.has(name)) problems.push(`${document}: there is no secret ${name}`);
    }
  }
}

function checkFigures(): void {
  const measured = new Set(text(BENCHMARKS).match(FIGURE) ?? []);
  for (const figure of text('README.md').match(FIGURE) ?? []) {
    if (!measured.has(figure)) problems.push(`README.md: ${BENCHMARKS} has no figure "${figure}"`);
  }
}

interface Command {
  document: string;
  line: number;
  script: string;
  options: string[];
}

/** `npm run NAME -- --option`, in blocks of shell and in the text. */
function commands(): Command[] {
  return documents.flatMap((document) =>
    commandsOf(text(document)).flatMap(({ command, line }) => {
      const [part = ''] = command.split(/\s#\s/);
      const found = /npm (?:run )?(?:--silent )?([a-z][\w:-]*)(?: -- (.*))?/.exec(part);
      const [, script = '', rest = ''] = found ?? [];
      // The command passes what follows a second `--` to the program that it runs.
      const [own = ''] = rest.split(/\s--\s/);
      const options = [...own.matchAll(/(?<![\w=-])--([a-z][\w-]*)/g)].map(([, option = '']) => option);
      return script === '' || options.length === 0 ? [] : [{ document, line, script, options }];
    }),
  );
}

/** Asks the commands themselves. */
function askCommands(): number {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
  const helps = new Map<string, string>();
  for (const { document, line, script, options } of commands()) {
    const program = /node (dev\/[\w-]+\.ts)$/.exec(scripts[script] ?? '')?.[1];
    // The commands of tests have no help.
    if (program === undefined) continue;
    let help = helps.get(program);
    if (help === undefined) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, program), '--help'], {
        encoding: 'utf8',
        timeout: 60_000,
      });
      help = stdout + stderr;
      if (status !== 0) problems.push(`${program} --help ends with ${status}: ${help.slice(0, 300)}`);
      helps.set(program, help);
    }
    for (const option of options) {
      // Of an option that may be taken back the help may name the positive form alone.
      const isKnown = [option, option.replace(/^no-/, '')].some((one) => help.includes(`--${one}`));
      if (option !== 'help' && !isKnown) {
        problems.push(`${document}:${line}: \`npm run ${script} -- --help\` does not know --${option}`);
      }
    }
  }
  return helps.size;
}

checkReached(checkLinks());
checkVariables();
checkFigures();
const asked = RUNS ? askCommands() : 0;
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(
  `The links, variables and figures of ${documents.length} documents are there${RUNS ? `, and ${asked} commands know their options` : ''}.`,
);
