/** What people wrote on a pull request since the last look: reviews, comments on lines, comments that mention Cyrus. */
import * as z from 'zod';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { pathOf } from './pull-requests.ts';

/** Where something was written, and so where it is answered. */
export type RemarkPlace =
  /** A thread on a line, by its first comment. */
  | { kind: 'thread'; comment: number; path: string; line: number | null; hunk: string }
  /** The conversation below the pull request. */
  | { kind: 'conversation' };

/** One thing that somebody wrote and Cyrus may have to answer. */
export interface Remark {
  /** What was looked at for it, see `Looked`. */
  of: string;
  /** Login on GitHub. */
  author: string;
  /** It is an App's, not a person's. */
  isBot: boolean;
  /** Whether they may write to the repository. Never of a bot. */
  mayWrite: boolean;
  /** It is part of a review that asks for changes, or comments. */
  isReview: boolean;
  text: string;
  place: RemarkPlace;
  /** What stands before it in its thread, oldest first. */
  earlier: { author: string; text: string }[];
}

/** Something that was looked at, whether it counted or not. `at`: by GitHub's clock, in ms since the epoch. */
export interface Looked {
  id: string;
  at: number;
}

/** What was read. `isMore`: there is more than one request holds. */
export interface ReadRemarks {
  looked: Looked[];
  remarks: Remark[];
  isMore: boolean;
}

/** What a look knows of those before it, and of who is who. */
export interface RemarkQuery {
  /** By GitHub's clock, in ms since the epoch: what is older was looked at. */
  since: number;
  /** Ids of what is newer and was looked at all the same. */
  seen: readonly string[];
  /** First comments of the threads that Cyrus takes part in. */
  threads: readonly number[];
  /** Cyrus's own login; null: it has none of its own. */
  ownLogin: string | null;
}

/** In everything that Cyrus writes; what bears it is never a request. */
export const OWN_MARK = '<!-- cyrus:';
/** A request holds no more; the rest is the next one's. */
const MOST_REMARKS = 30;
/** Longest text of a remark and of the lines around it, in UTF-16 code units. */
const MAX_TEXT = 8_000;
const MAX_HUNK = 3_000;
/** Of what stands before it in its thread: so many comments, each of so many code units. */
const MAX_EARLIER = 10;
const MAX_EARLIER_TEXT = 2_000;
const PAGE = 100;
const MOST_PAGES = 10;

const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const user = z.object({ login: z.string(), type: z.string().default('User') }).nullish();
/** docs.github.com/en/rest/pulls/reviews#list-reviews-for-a-pull-request */
const reviewSchema = z.object({
  id: z.number().int(),
  user,
  body: z.string().nullish(),
  state: z.string(),
  submitted_at: time.nullish(),
});
/** docs.github.com/en/rest/pulls/comments#list-review-comments-on-a-pull-request */
const lineSchema = z.object({
  id: z.number().int(),
  pull_request_review_id: z.number().int().nullish(),
  in_reply_to_id: z.number().int().nullish(),
  user,
  body: z.string(),
  path: z.string(),
  line: z.number().int().nullish(),
  original_line: z.number().int().nullish(),
  diff_hunk: z.string().default(''),
});
/** docs.github.com/en/rest/issues/comments#list-issue-comments */
const commentSchema = z.object({ id: z.number().int(), user, body: z.string().nullish(), created_at: time });

type Line = z.output<typeof lineSchema>;

/**
 * Reads what people wrote. An approval says nothing, and neither does Cyrus itself; an answer in a thread of other people counts where it
 * mentions Cyrus.
 * @throws GitHubError
 */
export async function readRemarks(api: GitHubApi, number: number, query: RemarkQuery): Promise<ReadRemarks> {
  const isNew = ({ id, at }: Looked) => at >= query.since && !query.seen.includes(id);
  const [reviews, comments] = await Promise.all([
    newReviews(api, number, isNew),
    newComments(api, number, query, isNew),
  ]);
  const isWritten = ({ state }: { state: string }) => state === 'COMMENTED' || state === 'CHANGES_REQUESTED';
  const lines = reviews.some(isWritten) ? await allLines(api, number) : [];
  const units: { looked: Looked; remarks: Written[] }[] = [];
  for (const review of reviews) {
    const { looked } = review;
    units.push({ looked, remarks: isWritten(review) ? ofReview(review, lines, query) : [] });
  }
  for (const { looked, ...comment } of comments) {
    const counts = mentions(comment.text, query.ownLogin);
    const remark: Written = {
      ...comment,
      of: looked.id,
      isReview: false,
      place: { kind: 'conversation' },
      earlier: [],
    };
    units.push({ looked, remarks: counts ? [remark] : [] });
  }
  units.sort((one, other) => one.looked.at - other.looked.at);
  const taken: typeof units = [];
  let count = 0;
  for (const unit of units) {
    if (count > 0 && count + unit.remarks.length > MOST_REMARKS) break;
    count += unit.remarks.length;
    taken.push(unit);
  }
  const written = taken.flatMap(({ remarks }) => remarks).filter((one) => !isOwn(one, query.ownLogin));
  return {
    looked: taken.map(({ looked }) => looked),
    remarks: await withRights(api, written),
    isMore: taken.length < units.length,
  };
}

type Written = Omit<Remark, 'mayWrite'>;

interface Review {
  looked: Looked;
  id: number;
  author: string;
  isBot: boolean;
  state: string;
  text: string;
}

async function newReviews(api: GitHubApi, number: number, isNew: (looked: Looked) => boolean): Promise<Review[]> {
  const all = await pages(api, `pulls/${number}/reviews`, `read the reviews of pull request #${number}`, reviewSchema);
  return all.flatMap(({ id, user: by, body, state, submitted_at: at }) => {
    const looked = { id: `review:${id}`, at: at ?? 0 };
    // One that is not submitted yet has no time.
    if (!by || at == null || !isNew(looked)) return [];
    return [{ looked, id, ...authorOf(by), state, text: cut(body ?? '', MAX_TEXT) }];
  });
}

async function newComments(api: GitHubApi, number: number, { since }: RemarkQuery, isNew: (looked: Looked) => boolean) {
  const from = since > 0 ? `&since=${new Date(since).toISOString()}` : '';
  const path = `issues/${number}/comments`;
  const all = await pages(api, path, `read the comments on pull request #${number}`, commentSchema, from);
  return all.flatMap(({ id, user: by, body, created_at: at }) => {
    const looked = { id: `comment:${id}`, at };
    return by && isNew(looked) ? [{ looked, ...authorOf(by), text: cut(body ?? '', MAX_TEXT) }] : [];
  });
}

/** The newest first, so that of very many the old ones are left out. */
function allLines(api: GitHubApi, number: number): Promise<Line[]> {
  const what = `read the comments on lines of pull request #${number}`;
  return pages(api, `pulls/${number}/comments`, what, lineSchema, '&sort=created&direction=desc');
}

function ofReview(review: Review, lines: readonly Line[], query: RemarkQuery): Written[] {
  const { author, isBot, text } = review;
  const common = { of: review.looked.id, author, isBot, isReview: true };
  const own = lines.filter((line) => line.pull_request_review_id === review.id);
  const remarks: Written[] = own.toReversed().flatMap((line) => {
    const root = line.in_reply_to_id ?? line.id;
    const isOthers = line.in_reply_to_id != null && !query.threads.includes(root);
    if (isOthers && !mentions(line.body, query.ownLogin)) return [];
    const hunk = line.diff_hunk.slice(-MAX_HUNK);
    const place = { kind: 'thread' as const, comment: root, path: line.path, line: lineOf(line), hunk };
    return [{ ...common, text: cut(line.body, MAX_TEXT), place, earlier: earlierIn(lines, root, line.id) }];
  });
  if (text.trim() === '') return remarks;
  return [{ ...common, text, place: { kind: 'conversation' }, earlier: [] }, ...remarks];
}

function lineOf({ line, original_line: original }: Line): number | null {
  return line ?? original ?? null;
}

/** @param lines the newest first */
function earlierIn(lines: readonly Line[], root: number, before: number): Remark['earlier'] {
  const thread = lines.toReversed().filter(({ id, in_reply_to_id: to }) => id === root || to === root);
  const at = thread.findIndex(({ id }) => id === before);
  return thread
    .slice(0, Math.max(0, at))
    .slice(-MAX_EARLIER)
    .map(({ user: by, body }) => ({ author: by?.login ?? 'somebody', text: cut(body, MAX_EARLIER_TEXT) }));
}

function authorOf({ login, type }: { login: string; type: string }): { author: string; isBot: boolean } {
  return { author: login, isBot: type !== 'User' || login.endsWith('[bot]') };
}

function isOwn({ author, text }: Pick<Written, 'author' | 'text'>, ownLogin: string | null): boolean {
  return text.includes(OWN_MARK) || author === ownLogin;
}

/** `@cyrus`, or the name of the App. */
function mentions(text: string, ownLogin: string | null): boolean {
  const names = ['cyrus', ...(ownLogin === null ? [] : [ownLogin.replace(/\[bot\]$/, '').toLowerCase()])];
  const named = [...text.toLowerCase().matchAll(/(?<![\w-])@([\w-]{1,100})/g)].map(([, name]) => name);
  return names.some((name) => named.includes(name));
}

/** Each author is asked about once. A bot has no rights of its own. */
async function withRights(api: GitHubApi, written: readonly Written[]): Promise<Remark[]> {
  const people = [...new Set(written.filter(({ isBot }) => !isBot).map(({ author }) => author))];
  const rights = new Map(await Promise.all(people.map(async (login) => [login, await mayWrite(api, login)] as const)));
  return written.map((one) => ({ ...one, mayWrite: rights.get(one.author) ?? false }));
}

/** docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user */
async function mayWrite(api: GitHubApi, login: string): Promise<boolean> {
  try {
    const { permission } = await api.ask({
      method: 'GET',
      path: `${pathOf(api)}/collaborators/${encodeURIComponent(login)}/permission`,
      what: `ask what ${login} may do in the repository`,
      answer: z.object({ permission: z.string() }),
    });
    return permission === 'admin' || permission === 'write';
  } catch (error) {
    if (error instanceof GitHubError && error.kind === 'not-found') return false;
    throw error;
  }
}

/** All pages of a list, up to a bound. @param more of the query, with its `&` */
async function pages<Schema extends z.ZodType>(
  api: GitHubApi,
  path: string,
  what: string,
  item: Schema,
  more = '',
): Promise<z.output<Schema>[]> {
  const all: z.output<Schema>[] = [];
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const read = await api.ask({
      method: 'GET',
      path: `${pathOf(api)}/${path}?per_page=${PAGE}&page=${page}${more}`,
      what,
      answer: z.array(item),
    });
    all.push(...read);
    if (read.length < PAGE) break;
  }
  return all;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}
