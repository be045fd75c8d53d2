/**
 * What a sandbox reports is kept, shown on pages and told in Linear and at the git host. Secrets are taken out of it before any of
 * that. Claude may read its environment: what its tools see is only made harmless. What it says itself, or has made for people, is
 * on its way out.
 */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { type SecretSearch, type Wanted, withhold } from './secret-search.ts';

/** A secret that was on its way out, and in what. */
export interface Reported {
  secret: Wanted;
  place: string;
}

/**
 * Reads the body of a report.
 * @param text JSON
 * @returns the value without secrets in it, undefined if the text is no JSON; and what was on its way out, if anything
 */
export function readReport(search: SecretSearch, text: string): { value: unknown; leaving: Reported | null } {
  const { text: clean, found } = withhold(search, text);
  if (found.length === 0) return { value: parseJson(text), leaving: null };
  const real = found.find(({ kind }) => kind === 'deployment');
  const leaving = real ? { secret: real, place: 'what the sandbox reported' } : placeOf(search, parseJson(text));
  return { value: parseJson(clean), leaving };
}

const batchSchema = z.looseObject({ events: z.array(z.looseObject({ type: z.string() })) });
const lineSchema = z.looseObject({
  type: z.string(),
  result: z.unknown().optional(),
  message: z.looseObject({ content: z.unknown().optional() }).optional().catch(undefined),
});
const anything = z.unknown().optional();
const blockSchema = z.looseObject({ type: z.string(), name: anything, text: anything, input: anything });

function placeOf(search: SecretSearch, report: unknown): Reported | null {
  for (const event of batchSchema.safeParse(report).data?.events ?? []) {
    for (const [place, content] of placesIn(event)) {
      const secret =
        content === undefined ? null : search.firstIn(typeof content === 'string' ? content : textOf(content));
      if (secret !== null) return { secret, place };
    }
  }
  return null;
}

/** What of an event people get to see as Claude's own, by what it is called. */
function placesIn(event: { type: string } & Record<string, unknown>): [place: string, content: unknown][] {
  switch (event.type) {
    case 'ready':
      return [['the name of the branch', event.branch]];
    case 'saved':
      return [
        ['the name of the branch', event.branch],
        ['the message of a commit', event.commits],
        ['the name of a file', event.files],
        ['the name of a file that Claude shared', event.shared],
        ["the repository's template for pull requests", event.pullRequestTemplate],
      ];
    case 'line':
      return placesInLine(parseJson(String(event.line)));
    default:
      return [];
  }
}

function placesInLine(value: unknown): [string, unknown][] {
  const { data: line } = lineSchema.safeParse(value);
  if (line?.type === 'result') return [[CLAUDES_WORDS, line.result]];
  if (line?.type !== 'assistant') return [];
  const blocks = z.array(z.unknown()).safeParse(line.message?.content).data ?? [];
  return blocks.flatMap((one): [string, unknown][] => {
    const { data: block } = blockSchema.safeParse(one);
    if (block?.type === 'text') return [[CLAUDES_WORDS, block.text]];
    if (block?.type !== 'tool_use') return [];
    if (block.name === 'AskUserQuestion') return [["a question of Claude's", block.input]];
    return block.name === 'TodoWrite' ? [["Claude's plan", block.input]] : [];
  });
}

const CLAUDES_WORDS = 'what Claude said';

/** JSON writes some characters otherwise than they are: texts are looked through one by one. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  if (typeof value === 'object' && value !== null) return Object.values(value).map(textOf).join('\n');
  return '';
}
