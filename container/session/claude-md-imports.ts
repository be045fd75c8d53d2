/**
 * What the repository's CLAUDE.md says, with what it imports: `@path` brings another file in, relative to the file that names it,
 * outside of code, five steps deep at most (code.claude.com/docs/en/memory#import-additional-files). Only files of the repository count.
 */

import { dirname, join, relative } from 'node:path';
import { withoutEnding, withoutSections } from '../../src/lib/linear-time.ts';
import { withoutCode } from '../../src/protocol/text/markdown-code.ts';
import { open } from '../files/inside.ts';
import { repositoryFile } from '../paths.ts';

const MAX_BYTES = 256 * 1024;
/** Of all files together: what a model reads before its first word. */
const MAX_ALL_BYTES = 512 * 1024;
const MAX_STEPS = 5;
/** Claude Code reads the first of these that is there; AGENTS.md is what other agents read. */
const ROOTS = ['CLAUDE.md', '.claude/CLAUDE.md', 'AGENTS.md'];

/** A file of the repository: its path in it, and its text. */
export interface Memory {
  name: string;
  text: string;
}

/**
 * The repository's words to agents: the first of CLAUDE.md, .claude/CLAUDE.md and AGENTS.md that is there, then what it imports, each file once.
 * @returns nothing if none of them is there; what was left out is said in the text
 */
export async function readMemories(worktree: string): Promise<Memory[]> {
  for (const name of ROOTS) {
    const memories: Memory[] = [];
    await collect(worktree, name, 0, new Set(), memories);
    if (memories.length > 0) return memories;
  }
  return [];
}

async function collect(
  worktree: string,
  name: string,
  step: number,
  seen: Set<string>,
  found: Memory[],
): Promise<boolean> {
  const path = await repositoryFile(worktree, name);
  if (path === null) return false;
  if (seen.has(path)) return true;
  seen.add(path);
  const used = found.reduce((sum, { text }) => sum + text.length, 0);
  const text =
    used >= MAX_ALL_BYTES ? `(Omitted, because together it is too much; read ${name}.)` : await read(path, name);
  if (text === null) return true;
  const memory: Memory = { name, text };
  found.push(memory);
  const missing: string[] = [];
  for (const imported of importsOf(text)) {
    if (step === MAX_STEPS) {
      missing.push(imported);
      continue;
    }
    const target = relative(worktree, join(worktree, dirname(name), imported));
    const isThere = !isOutside(imported) && (await collect(worktree, target, step + 1, seen, found));
    if (!isThere && isMeantAsFile(imported)) missing.push(imported);
  }
  if (missing.length > 0) {
    const names = missing.map((one) => `@${one}`).join(', ');
    memory.text += `\n\n(Not read, because it is not a file of this repository or is too many imports away: ${names}.)`;
  }
  return true;
}

/** Files of somebody's own machine. */
function isOutside(path: string): boolean {
  return path.startsWith('/') || path.startsWith('~');
}

/** A package such as `@types/node`, or a person, is no import that failed. */
function isMeantAsFile(path: string): boolean {
  return /^(\.{1,2}|~)?\//.test(path) || /\.(md|mdx|markdown|txt)$/i.test(path);
}

const IMPORT = /(?:^|\s)@((?:[^\s\\]|\\ )+)/g;
const MAX_IMPORTS = 100;

/** Paths that a text imports, in their order. */
export function importsOf(markdown: string): string[] {
  // Code and comments name no imports.
  const code = { nested: false, acrossLines: false };
  const said = withoutSections(withoutCode(markdown.replace(/\r\n?/g, '\n'), code), '<!--', '-->');
  const paths = [...said.matchAll(IMPORT)]
    .slice(0, MAX_IMPORTS)
    .map(([, path = '']) => withoutEnding(path.replaceAll('\\ ', ' ').split('#', 1)[0] ?? '', `)]}>,;:!?.'"*_`));
  return [...new Set(paths.filter((path) => path !== '' && !path.includes('\0')))];
}

/** @returns null for what is no text */
async function read(path: string, name: string): Promise<string | null> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_BYTES);
    const { bytesRead } = await file.read(buffer, 0, MAX_BYTES, 0);
    const content = buffer.subarray(0, bytesRead);
    if (content.includes(0)) return null;
    const whole = (await file.stat()).size <= MAX_BYTES;
    const text = content.toString('utf8');
    return whole ? text : `${text}\n\n(${name} is longer than ${MAX_BYTES / 1024} KiB; read the rest in the file.)`;
  } finally {
    await file.close();
  }
}
