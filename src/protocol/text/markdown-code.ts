/**
 * Which parts of a Markdown text are code (spec.commonmark.org 0.31, 4.5 and 6.1), in one pass over its lines: what is
 * written in code is quoted, not said. Pure.
 */

import { withoutEnding } from '../../lib/linear-time.ts';

/** A part of a text; all of them joined are the text. */
export interface MarkdownPart {
  text: string;
  isCode: boolean;
}

/** How code is looked for. */
interface CodeOptions {
  /** Whether fences count in quotes and lists too. */
  nested: boolean;
  /** Whether a span may continue over the lines of a paragraph. */
  acrossLines: boolean;
}

/** Signs of quotes and lists before a fence. */
const PREFIX = /(?:[>\-*+]\s|\d{1,9}[.)]\s)\s*/y;
const FENCE = /(`{3,}|~{3,})/y;
const INDENT = / {0,3}/y;

/** Splits a text at its fenced blocks and spans of code. Line breaks are as in the text. */
export function splitCode(markdown: string, options: CodeOptions): MarkdownPart[] {
  const parts: MarkdownPart[] = [];
  let begin = 0;
  const take = (end: number, isCode: boolean) => {
    const text = markdown.slice(begin, end);
    begin = end;
    if (text === '') return;
    if (isCode) parts.push({ text, isCode });
    else for (const part of splitSpans(text, options.acrossLines)) parts.push(part);
  };
  const open = walkFences(
    markdown,
    options.nested,
    (at) => take(at, false),
    (end) => take(end, true),
  );
  take(markdown.length, open !== null);
  return parts;
}

/** A fence that nothing closes: it is code to the end of the text. `at`: where its line begins. */
export interface OpenFence {
  fence: string;
  at: number;
}

/** The fence outside of quotes and lists that a text leaves open, e.g. because the text was cut; null if there is none. */
export function openFence(markdown: string): OpenFence | null {
  return walkFences(markdown, false);
}

/** @returns the fence that is open at the end */
function walkFences(
  markdown: string,
  nested: boolean,
  opened: (at: number) => void = () => {},
  closed: (end: number) => void = () => {},
): OpenFence | null {
  let open: OpenFence | null = null;
  for (let at = 0; at < markdown.length; ) {
    const end = endOfLine(markdown, at);
    const mark = fenceOf(withoutEnding(markdown.slice(at, end), '\r\n'), nested);
    if (open === null && mark && !(mark.fence.startsWith('`') && mark.rest.includes('`'))) {
      opened(at);
      open = { fence: mark.fence, at };
    } else if (open !== null && mark?.fence.startsWith(open.fence) && mark.rest.trim() === '') {
      closed(end);
      open = null;
    }
    at = end;
  }
  return open;
}

/** The text with its code replaced. */
export function withoutCode(markdown: string, options: CodeOptions, instead = ' '): string {
  return splitCode(markdown, options)
    .map(({ text, isCode }) => (isCode ? instead : text))
    .join('');
}

/** The place after the break of the line that begins at `at`. */
function endOfLine(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  return feed < 0 ? text.length : feed + 1;
}

function fenceOf(line: string, nested: boolean): { fence: string; rest: string } | null {
  INDENT.lastIndex = 0;
  INDENT.exec(line);
  let at = INDENT.lastIndex;
  while (nested) {
    PREFIX.lastIndex = at;
    if (!PREFIX.test(line)) break;
    at = PREFIX.lastIndex;
  }
  FENCE.lastIndex = at;
  const fence = FENCE.exec(line)?.[1];
  return fence === undefined ? null : { fence, rest: line.slice(at + fence.length) };
}

/** A span is closed by the next run of as many backticks, in the same paragraph or line. Each run is looked at once. */
function splitSpans(text: string, acrossLines: boolean): MarkdownPart[] {
  const runs = [...text.matchAll(/`+/g)].map(({ 0: { length }, index }) => ({ at: index, length }));
  if (runs.length < 2) return [{ text, isCode: false }];
  const closers = nextOfSameLength(runs);
  const ends = [...text.matchAll(acrossLines ? /\n[^\S\n]*\n/g : /\n/g)].map(({ index }) => index);
  const parts: MarkdownPart[] = [];
  let begin = 0;
  let nextEnd = 0;
  for (let open = 0; open < runs.length; ) {
    const from = runs[open]?.at ?? 0;
    while ((ends[nextEnd] ?? text.length) < from) nextEnd++;
    const close = closers[open] ?? null;
    const closing = close === null ? undefined : runs[close];
    if (close === null || !closing || closing.at > (ends[nextEnd] ?? text.length)) {
      open++;
      continue;
    }
    const to = closing.at + closing.length;
    if (from > begin) parts.push({ text: text.slice(begin, from), isCode: false });
    parts.push({ text: text.slice(from, to), isCode: true });
    begin = to;
    open = close + 1;
  }
  if (begin < text.length) parts.push({ text: text.slice(begin), isCode: false });
  return parts;
}

/** For each run the place of the next one of its length in the list; null: none. */
function nextOfSameLength(runs: readonly { length: number }[]): (number | null)[] {
  const next: (number | null)[] = Array.from({ length: runs.length }, () => null);
  const seen = new Map<number, number>();
  for (let at = runs.length - 1; at >= 0; at--) {
    const length = runs[at]?.length ?? 0;
    next[at] = seen.get(length) ?? null;
    seen.set(length, at);
  }
  return next;
}
