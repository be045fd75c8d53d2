/** Title and body of a pull request: templates, and what an update may change of a body that people have edited. Pure. */
import { cutWhole, harmlessLine, harmlessMarkdown } from '../protocol/harmless-text.ts';

/** What a template may name in double braces, e.g. `{{identifier}}`. */
export const TEMPLATE_WORDS = ['identifier', 'title', 'summary', 'issue', 'session', 'branch', 'closes'] as const;
type TemplateWord = (typeof TEMPLATE_WORDS)[number];

/** What a pull request tells of. */
export interface PullRequestFacts {
  /** Null where the work belongs to no issue. */
  issue: { identifier: string; title: string; url: string } | null;
  /** Stands for the issue's title where there is none: the subject of the first commit. */
  subject: string;
  /** What Claude's answer says, Markdown. */
  summary: string;
  /** Address of the live page. */
  sessionUrl: string;
  branch: string;
  /** Whether merging closes the issue in Linear. */
  closesIssue: boolean;
}

/** Longest title; GitHub takes 256 characters. */
const MAX_TITLE = 240;
/** Longest generated body; GitHub takes 65,536 characters in all. */
const MAX_BODY = 40_000;
const MAX_WHOLE_BODY = 65_536;
const MAX_SUMMARY = 30_000;

const BEGIN = '<!-- cyrus:begin, rewritten with every turn; what stands outside of these lines is kept -->';
const BEGIN_PATTERN = /<!-- cyrus:begin\b[^>]{0,200}-->/;
const END = '<!-- cyrus:end -->';

/** The title: one line, never empty. */
export function renderTitle(template: string, facts: PullRequestFacts): string {
  const line = fill(template, words(facts))
    .replace(/\s+/g, ' ')
    // Without an issue nothing stands before the colon.
    .replace(/^[\s:–—-]+/, '')
    .trim();
  const title = line === '' ? facts.branch : line;
  return title.length <= MAX_TITLE ? title : `${cutWhole(title, MAX_TITLE - 1).trimEnd()}…`;
}

/** The generated part of the body, between its markers. */
export function renderBody(template: string, facts: PullRequestFacts): string {
  const text = fill(template, words(facts))
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  return `${BEGIN}\n${cut(text, MAX_BODY)}\n${END}`;
}

/**
 * The body of a pull request with a new generated part; everything else stays as people wrote it.
 * Where people's part leaves too little room, the generated part is shortened.
 * @returns null where nothing is to be changed: the part is the same, somebody took it out, or there is no room at all
 */
export function updatedBody(body: string, generated: string): string | null {
  const begin = BEGIN_PATTERN.exec(body);
  const end = begin ? body.indexOf(END, begin.index) : -1;
  if (!begin || end < 0) return null;
  const theirs = body.slice(0, begin.index).length + body.slice(end + END.length).length;
  const fitting = shortened(generated, MAX_WHOLE_BODY - theirs);
  if (fitting === null) return null;
  const updated = body.slice(0, begin.index) + fitting + body.slice(end + END.length);
  // GitHub stores line breaks as browsers send them.
  return updated.replaceAll('\r\n', '\n') === body.replaceAll('\r\n', '\n') ? null : updated;
}

/** A generated part of at most so many characters, markers included; null where not even those fit. */
function shortened(generated: string, most: number): string | null {
  if (generated.length <= most) return generated;
  const tail = `\n\n…\n${END}`;
  const room = most - tail.length;
  return room < BEGIN.length ? null : cutWhole(generated, room) + tail;
}

function words({
  issue,
  subject,
  summary,
  sessionUrl,
  branch,
  closesIssue,
}: PullRequestFacts): Record<TemplateWord, string> {
  return {
    identifier: issue?.identifier ?? '',
    title: harmlessLine(issue?.title ?? subject, issue?.identifier ?? null),
    summary: harmlessMarkdown(cut(summary.trim(), MAX_SUMMARY), issue?.identifier ?? null),
    issue: issue ? `[${issue.identifier}](${issue.url})` : '',
    session: `[live session](${sessionUrl})`,
    branch,
    closes: issue && closesIssue ? `Fixes ${issue.identifier}` : '',
  };
}

/** Filled in one pass, so that what is filled in is no template. */
function fill(template: string, values: Record<TemplateWord, string>): string {
  const isWord = (name: string): name is TemplateWord => (TEMPLATE_WORDS as readonly string[]).includes(name);
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => (isWord(name) ? values[name] : whole));
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${cutWhole(text, max)}\n\n…`;
}
