/**
 * Refuses an alert that docs/runbook.md does not explain, an entry there without its alert, and a line of the log that begins with `alert.`
 * of which nobody is told.
 *
 * `node dev/checks/runbook.ts [folder]`: of this project, or of the one in the folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { PROJECT } from '../settings.ts';

const ROOT = resolve(process.argv[2] ?? PROJECT);
const RUNBOOK = 'docs/runbook.md';
/** Where alerts are made: what one looks like there has its key, or the beginning of it, in the first group. */
const SOURCES: readonly { file: string; key: RegExp }[] = [
  { file: 'src/operations/watch.ts', key: /^ {2}'([a-z_.]+)': async /gm },
  { file: 'src/operations/alerts/from-log.ts', key: /^ {2}'(?:alert\.)?([a-z_.]+)': \{/gm },
  { file: 'src/operations/alerts/from-log.ts', key: /key: '([a-z_.]+)'/g },
  { file: 'src/operations/operations.ts', key: /key: '([a-z_.]+)'/g },
];
/** Each is an alert by the name of `ready.`. */
const READINESS = { file: 'src/operations/readiness.ts', names: /const names = \[([^\]]*)\]/ };

const problems: string[] = [];
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');

function keys(): Set<string> {
  const found = SOURCES.flatMap(({ file, key }) => {
    const inFile = [...text(file).matchAll(key)].map(([, name = '']) => name);
    if (inFile.length === 0) problems.push(`${file}: no alert is found there any more; correct dev/checks/runbook.ts`);
    return inFile;
  });
  const names = READINESS.names.exec(text(READINESS.file))?.[1] ?? '';
  const ready = [...names.matchAll(/'([a-z]+)'/g)].map(([, name = '']) => `ready.${name}`);
  if (ready.length === 0)
    problems.push(`${READINESS.file}: no check is found there any more; correct dev/checks/runbook.ts`);
  return new Set([...found, ...ready]);
}

/** Of lines of the log that begin with `alert.`, without that, by the file that writes them. */
function logged(): Map<string, string> {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => `src/${file.split(sep).join('/')}`)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('src/operations/alerts/'));
  return new Map(
    files.flatMap((file) =>
      [...text(file).matchAll(/'alert\.([a-z_.]*[a-z_])'/g)].map(([, name = '']) => [name, file] as const),
    ),
  );
}

const known = keys();
const entries = [...text(RUNBOOK).matchAll(/^### `([^`]+)`$/gm)].map(([, name = '']) => name);
for (const key of known) if (!entries.includes(key)) problems.push(`${RUNBOOK}: the alert ${key} has no entry`);
for (const entry of entries) if (!known.has(entry)) problems.push(`${RUNBOOK}: there is no alert ${entry}`);
for (const entry of new Set(entries.filter((one, index) => entries.indexOf(one) !== index)))
  problems.push(`${RUNBOOK}: ${entry} has two entries`);
for (const [name, file] of logged()) {
  if (!known.has(name))
    problems.push(`${file}: nobody is told of alert.${name}; see src/operations/alerts/from-log.ts`);
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`Each of ${known.size} alerts has its entry in ${RUNBOOK}.`);
