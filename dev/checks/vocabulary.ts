/**
 * Checks that source, tests and documentation use the words of docs/glossary.md: what its columns "Do not use" and "Do not
 * write" list is found nowhere; that a term is where the glossary says; and that the events in the logs are called alike.
 *
 * `node dev/checks/vocabulary.ts [folder]`: of this project, or of the one in the folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { PROJECT } from '../settings.ts';

const ROOT = resolve(process.argv[2] ?? PROJECT);
const GLOSSARY = 'docs/glossary.md';
/** What released versions wrote and sent is kept as it was. */
const LEFT_ALONE = [/^tests\/fixtures\//, /^docs\/glossary\.md$/, /^tests\/dev\/vocabulary\.test\.ts$/, /\.d\.ts$/];
const FOLDERS = ['src', 'container', 'dev', 'tests', 'docs'];
const FILES = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', 'SECURITY.md', 'wrangler.toml'];

/** A phrase that is not to be used, and what finds it: whole words, over the end of a line too. */
interface Banned {
  phrase: string;
  pattern: RegExp;
}

/** The phrases that the glossary's tables forbid. @throws if a table has none, for then it is not read right */
export function bannedPhrases(glossary: string): Banned[] {
  const banned: Banned[] = [];
  let column: number | null = null;
  for (const line of glossary.split('\n')) {
    if (!line.startsWith('|')) {
      column = null;
      continue;
    }
    const cells = line.split('|').map((cell) => cell.trim());
    if (column === null) {
      column = cells.findIndex((cell) => cell === 'Do not use' || cell === 'Do not write');
      continue;
    }
    for (const phrase of (cells[column] ?? '').split(',').map((each) => each.trim())) {
      if (phrase === '' || /^-+$/.test(phrase)) continue;
      // A comment's next line begins with an asterisk or slashes.
      const words = phrase.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      banned.push({ phrase, pattern: new RegExp(`\\b${words.join('(?:\\s+(?:(?:\\*|//)\\s+)?)')}\\b`, 'gi') });
    }
  }
  if (banned.length === 0) throw new Error(`${GLOSSARY} forbids nothing: its tables are not as this check reads them`);
  return banned;
}

/** The files in which the glossary says that a term is, for the first name of each. */
export function placesOf(glossary: string): { term: string; file: string }[] {
  let column: number | null = null;
  return glossary.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    if (!line.startsWith('|')) column = null;
    else if (column === null) column = cells.indexOf('Where it is');
    else {
      const file = /^`(.+)`$/.exec(cells[column] ?? '')?.[1];
      const term = cells[1]?.split(',')[0];
      if (file !== undefined && term !== undefined) return [{ term, file }];
    }
    return [];
  });
}

/** Where a text uses what is forbidden: line (counted from 1) and phrase. */
export function uses(text: string, banned: readonly Banned[]): { line: number; phrase: string }[] {
  // A name is several words.
  const words = text.replace(/([a-z0-9])(?=[A-Z])/g, '$1 ');
  return banned.flatMap(({ phrase, pattern }) =>
    [...words.matchAll(pattern)].map(({ index }) => ({ line: words.slice(0, index).split('\n').length, phrase })),
  );
}

/** Area, thing, and what became of it, in lower case, words joined by underscores: `linear.token_renewal.failed`. */
const LOG_EVENT = /^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*){2}$/;

/** Where a text of the Worker or the sandbox server logs an event that is not called as the others are; names put together are left out. */
export function oddLogEvents(text: string): { line: number; name: string }[] {
  return [...text.matchAll(/\blog\(\s*'([^']*)'/g)].flatMap(({ index, 1: name = '' }) =>
    LOG_EVENT.test(name) && !/[._]not_/.test(name) ? [] : [{ line: text.slice(0, index).split('\n').length, name }],
  );
}

function listed(): string[] {
  const inFolders = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name.split(sep).join('/')}`,
    ),
  );
  return [...FILES, ...inFolders].filter(
    (name) => /\.(tsx?|md|toml|css|html)$/.test(name) && !LEFT_ALONE.some((pattern) => pattern.test(name)),
  );
}

function main(): void {
  const glossary = readFileSync(join(ROOT, GLOSSARY), 'utf8');
  const banned = bannedPhrases(glossary);
  const files = listed();
  const found = files.flatMap((name) =>
    uses(readFileSync(join(ROOT, name), 'utf8'), banned).map(
      ({ line, phrase }) => `${name}:${line}  "${phrase}" (see ${GLOSSARY})`,
    ),
  );
  for (const name of files.filter((file) => /^(src|container)\//.test(file))) {
    for (const odd of oddLogEvents(readFileSync(join(ROOT, name), 'utf8'))) {
      found.push(`${name}:${odd.line}  the log event "${odd.name}" is not called area.thing.what`);
    }
  }
  for (const { term, file } of placesOf(glossary)) {
    const isThere = files.includes(file) && readFileSync(join(ROOT, file), 'utf8').toLowerCase().includes(term);
    if (!isThere) found.push(`${GLOSSARY}: "${term}" is not in ${file}`);
  }
  for (const each of found) console.error(each);
  if (found.length > 0) process.exit(1);
  console.log(`${files.length} files use the words of ${GLOSSARY}.`);
}

if (import.meta.main) main();
