/**
 * Every text that people or Claude may read, in one list (docs/texts.md): on pages, in Linear, on GitHub, in errors and in
 * prompts. A change of a text shows in the list, so that it is read beside its neighbours.
 *
 * `node dev/checks/texts.ts` checks that the list is current; `--write` writes it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import ts from 'typescript-compiler-api';
import { PROJECT } from '../settings.ts';

const LIST = join(PROJECT, 'docs/texts.md');
const FOLDERS = ['src', 'container'];
/** Two words beside each other, the second one in small letters. */
const SENTENCE = /[A-Za-z]{2,}[,;:.)’']* \S*[a-z]{2,}/;
/** Languages of machines. */
const MACHINE =
  /^\s*(?:SELECT|INSERT|UPDATE|CREATE|DELETE|ALTER|DROP|WITH|PRAGMA|EXPLAIN|UNIQUE)\b|^\s*(?:query|mutation) \w+|^(?:#!|<!doctype|--|ref: |\[)|^[\w'-]+ (?:'none'|'self')|; charset=/;
/** Calls whose texts are for the log or for a regular expression. */
const FOR_MACHINES = new Set(['log', 'RegExp', 'phrases', 'words']);
const LONGEST = 400;

/** The texts of a source file, in their order, each once. Parts that are filled in show as `{…}`. */
export function textsOf(name: string, source: string): string[] {
  const kind = name.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true, kind);
  const found = new Set<string>();
  const take = (text: string) => {
    const line = text.replace(/\s+/g, ' ').trim();
    if (SENTENCE.test(line) && !MACHINE.test(line))
      found.add(line.length > LONGEST ? `${line.slice(0, LONGEST)} …` : line);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isJsxAttribute(node) && node.name.getText(file) === 'className') return;
    if (ts.isCallExpression(node) && FOR_MACHINES.has(node.expression.getText(file))) return;
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isJsxText(node)) take(node.text);
    else if (ts.isTemplateExpression(node)) {
      take(node.head.text + node.templateSpans.map(({ literal }) => `{…}${literal.text}`).join(''));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...found];
}

function list(): string {
  const names = FOLDERS.flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
      .map((name) => `${folder}/${name.split(sep).join('/')}`),
  ).sort();
  const sections = names.flatMap((name) => {
    const texts = textsOf(name, readFileSync(join(PROJECT, name), 'utf8'));
    return texts.length === 0 ? [] : [`## ${name}\n\n\`\`\`text\n${texts.join('\n')}\n\`\`\`\n`];
  });
  return `# Texts\n\nWritten by \`npm run texts\`: what people and Claude may read, by the file that says it. Read it when you change a text:
one careful person could have written all of them ([glossary](glossary.md)).\n\n${sections.join('\n')}`;
}

function main(): void {
  const current = list();
  if (process.argv.includes('--write')) writeFileSync(LIST, current);
  else if (readFileSync(LIST, 'utf8') !== current) {
    console.error('docs/texts.md is not current: run npm run texts, and read what changed in it.');
    process.exit(1);
  }
}

if (import.meta.main) main();
