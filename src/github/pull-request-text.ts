/** Title and body of a pull request: templates, and what an update may change of a body that people have edited. Pure. */

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
const MAX_SUMMARY = 30_000;

const BEGIN = '<!-- cyrus:begin, rewritten with every turn; what stands outside of these lines is kept -->';
const BEGIN_PATTERN = /<!-- cyrus:begin\b[^>]*-->/;
const END = '<!-- cyrus:end -->';

/** The title: one line, never empty. */
export function renderTitle(template: string, facts: PullRequestFacts): string {
  const line = fill(template, words(facts))
    .replace(/\s+/g, ' ')
    // Without an issue nothing stands before the colon.
    .replace(/^[\s:–—-]+/, '')
    .trim();
  const title = line === '' ? facts.branch : line;
  return title.length <= MAX_TITLE ? title : `${title.slice(0, MAX_TITLE - 1).trimEnd()}…`;
}

/** The generated part of the body, between its markers. */
export function renderBody(template: string, facts: PullRequestFacts): string {
  const text = fill(template, words(facts))
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  const cut = text.length <= MAX_BODY ? text : `${text.slice(0, MAX_BODY)}\n\n…`;
  return `${BEGIN}\n${cut}\n${END}`;
}

/**
 * The body of a pull request with a new generated part; everything else stays as people wrote it.
 * @returns null where nothing is to be changed: the part is the same, or somebody took it out
 */
export function updatedBody(body: string, generated: string): string | null {
  const begin = BEGIN_PATTERN.exec(body);
  const end = begin ? body.indexOf(END, begin.index) : -1;
  if (!begin || end < 0) return null;
  const updated = body.slice(0, begin.index) + generated + body.slice(end + END.length);
  // GitHub stores line breaks as browsers send them.
  return updated.replaceAll('\r\n', '\n') === body.replaceAll('\r\n', '\n') ? null : updated;
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
    title: oneLine(issue?.title ?? subject),
    summary: harmless(cut(summary.trim(), MAX_SUMMARY)),
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

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}\n\n…`;
}

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';
/** Code is left as it is: GitHub reads no commands in it. */
const CODE = /(^ {0,3}(?:`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^ {0,3}(?:`{3,}|~{3,})[ \t]*$|$(?![\s\S]))|`[^`\n]+`)/m;
/** GitHub's and Linear's words that close what is named after them (linear.app/docs/github, docs.github.com/…/linking-a-pull-request-to-an-issue). */
const CLOSING =
  /\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|complet(?:e[sd]?|ing)|implements?|implemented)\b(:?\s+)(?=\S*(?:#\d|[a-z][a-z\d]*-\d|\/issues\/|\/pull\/|linear\.app\/))/gi;

/**
 * Claude's words, as text alone: they call nobody, close nothing, and are no marker of ours. They may repeat what anybody
 * wrote into an issue.
 */
function harmless(text: string): string {
  return text
    .split(CODE)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part
            .replace(/@(?=[a-z\d])/gi, `@${JOINER}`)
            .replace(CLOSING, (_, word: string, space: string) => `${word[0] ?? ''}${JOINER}${word.slice(1)}${space}`),
    )
    .join('')
    .replaceAll('<!--', '&lt;!--');
}
