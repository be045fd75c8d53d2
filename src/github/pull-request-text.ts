/** Title and body of a pull request: templates, and what an update may change of a body that people have edited. Pure. */

import { withoutSections } from '../lib/linear-time.ts';
import { closedMarkdown, cutMarkdown } from '../protocol/text/cut-markdown.ts';
import { cutWhole, harmlessLine, harmlessMarkdown } from '../protocol/text/harmless-text.ts';

/** What a template may name in double braces, e.g. `{{identifier}}`. */
export const TEMPLATE_WORDS = [
  'identifier',
  'title',
  'summary',
  'issue',
  'session',
  'branch',
  'closes',
  'type',
] as const;
type TemplateWord = (typeof TEMPLATE_WORDS)[number];

/** What a pull request tells of. */
export interface PullRequestFacts {
  /** Null if the work belongs to no issue. */
  issue: { identifier: string; title: string; url: string } | null;
  /** Stands for the issue's title if there is none: the subject of the first commit. */
  subject: string;
  /** What Claude's answer says, Markdown. */
  summary: string;
  /** Address of the live page. */
  sessionUrl: string;
  branch: string;
  /** Whether merging closes the issue in Linear. */
  closesIssue: boolean;
  /** The word of conventional commits for the work: `fix` or `feat`. */
  type?: string;
}

/** Longest title; GitHub takes 256 characters. */
const MAX_TITLE = 240;
/** Longest generated body; GitHub takes 65,536 characters in all. */
const MAX_BODY = 40_000;
const MAX_WHOLE_BODY = 65_536;
const MAX_SUMMARY = 30_000;

const BEGIN = '<!-- cyrus:begin, rewritten with every turn; what is outside of these lines is kept -->';
const BEGIN_PATTERN = /<!-- cyrus:begin\b[^>]{0,200}-->/;
const END = '<!-- cyrus:end -->';

/** The title: one line, never empty. */
export function renderTitle(template: string, facts: PullRequestFacts): string {
  const line = fill(template, words(facts))
    .replace(/\s+/g, ' ')
    // Without an issue nothing is before the colon.
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

const HEADING = /^(?:#{1,6}[ \t]{1,9}(.{1,200}?)[ \t]{0,9}#{0,9}|\*\*(.{1,200}?)\*\*:?|__(.{1,200}?)__:?)[ \t]{0,9}$/;
/** Where a template asks what was changed, and where it asks which issue that is about. */
const ABOUT_CHANGE =
  /\b(summary|description|describe|what|changes?|changed|overview|purpose|motivation|zusammenfassung|beschreibung|änderungen|résumé|changements|resumen|descripción|cambios|descrição|mudanças)\b|概要|変更|描述|变更|설명|описание|изменения/i;
const ABOUT_ISSUE = /\b(issues?|tickets?|linear|jira|related|references?|links?|closes|fixes)\b/i;

/**
 * The body of a new pull request by the repository's template: the generated part is where the template asks what was changed, and
 * the issue where it asks for that. The rest, such as a list to tick off, is people's. What the template says closes and mentions nothing.
 */
export function bodyByTemplate(template: string, generated: string, { issue }: PullRequestFacts): string {
  const content = template.replace(/^\uFEFF?---\r?\n[\s\S]*?\r?\n---[ \t]*(?:\r?\n|$)/, '');
  const plain = withoutSections(content, '<!--', '-->');
  const lines = harmlessMarkdown(plain, issue?.identifier ?? null).split('\n');
  const headings = lines.flatMap((line, at) => {
    const [, ...names] = HEADING.exec(line) ?? [];
    const name = names.find((one) => one !== undefined);
    return name === undefined ? [] : [{ at, name }];
  });
  const aboutChange = headings.find(({ name }) => ABOUT_CHANGE.test(name)) ?? null;
  const aboutIssue = headings.find((one) => one !== aboutChange && ABOUT_ISSUE.test(one.name)) ?? null;
  if (issue && aboutIssue) {
    const next = headings.find(({ at }) => at > aboutIssue.at)?.at ?? lines.length;
    const isBlank = lines.slice(aboutIssue.at + 1, next).every((line) => !/[\p{L}\p{N}]{2}/u.test(withoutMagic(line)));
    if (isBlank)
      lines.splice(aboutIssue.at + 1, next - aboutIssue.at - 1, '', `[${issue.identifier}](${issue.url})`, '');
  }
  // Behind the issue's lines the places have moved.
  const at = aboutChange === null ? 0 : lines.findIndex((line) => HEADING.exec(line)?.includes(aboutChange.name)) + 1;
  const before = lines.slice(0, at).join('\n').trim();
  const after = lines.slice(at).join('\n').trim();
  const rest = [before, after].reduce((sum, part) => sum + part.length, 8);
  const fitting = shortened(generated, MAX_WHOLE_BODY - rest) ?? generated;
  const whole = [before, fitting, after]
    .filter((part) => part !== '')
    .join('\n\n')
    .replace(/\n{3,}/g, '\n\n');
  return whole.length <= MAX_WHOLE_BODY ? whole : generated;
}

/** "Fixes #" and a bullet ask for a number, and say nothing. */
function withoutMagic(line: string): string {
  return line
    .replaceAll('\u2060', '')
    .replace(/\b(?:fix(?:es)?|close[sd]?|resolves?|issue|ticket|linear|link|n\/a|none|todo)\b/gi, '');
}

/**
 * The body of a pull request with a new generated part; everything else stays as people wrote it.
 * Where people's part leaves too little room, the generated part is shortened.
 * @returns null if nothing is to be changed: the part is the same, somebody took it out, or there is no room at all
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

/** A generated part of at most so many characters, markers included; null if not even those fit. */
function shortened(generated: string, most: number): string | null {
  if (generated.length <= most) return generated;
  const tail = `\n\n…\n${END}`;
  const room = most - tail.length;
  return room < BEGIN.length ? null : cutMarkdown(generated, room) + tail;
}

function words({
  issue,
  subject,
  summary,
  sessionUrl,
  branch,
  closesIssue,
  type = 'feat',
}: PullRequestFacts): Record<TemplateWord, string> {
  return {
    identifier: issue?.identifier ?? '',
    title: harmlessLine(issue?.title ?? subject, issue?.identifier ?? null),
    summary: harmlessMarkdown(cut(summary.trim(), MAX_SUMMARY), issue?.identifier ?? null),
    issue: issue ? `[${issue.identifier}](${issue.url})` : '',
    session: `[live session](${sessionUrl})`,
    branch,
    type,
    closes: issue && closesIssue ? `Fixes ${issue.identifier}` : '',
  };
}

/** Filled in one pass, so that what is filled in is no template. */
function fill(template: string, values: Record<TemplateWord, string>): string {
  const isWord = (name: string): name is TemplateWord => (TEMPLATE_WORDS as readonly string[]).includes(name);
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => (isWord(name) ? values[name] : whole));
}

function cut(text: string, max: number): string {
  return text.length <= max ? closedMarkdown(text) : `${cutMarkdown(text, max)}\n\n…`;
}
