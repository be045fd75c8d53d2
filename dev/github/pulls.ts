/** Pull requests: opened, changed, listed, merged, with GitHub's checks (docs.github.com/en/rest/pulls/pulls). */
import { z } from 'zod';
import { invalid, notFound, refused } from './answers.ts';
import { commitsBetween, headOf, merge } from './repositories.ts';
import type { GitHubState, Pull, ReviewComment } from './state.ts';

/** Where a repository is. */
export interface Place {
  fullName: string;
  directory: string;
}

/** Something happened to a pull request, of which a webhook tells. */
export type PullEvent =
  | { what: 'pull'; action: string; sender: string; pull: Pull }
  | { what: 'review'; pull: Pull; review: Pull['reviews'][number] }
  | { what: 'review-comment'; pull: Pull; comment: ReviewComment }
  | { what: 'comment'; pull: Pull; comment: Pull['comments'][number] };

/** What a person writes on a line of a file. */
export interface LineComment {
  path: string;
  line: number;
  body: string;
  diffHunk?: string;
}

const createSchema = z.object({
  title: z.string().min(1).max(256),
  head: z.string().min(1),
  base: z.string().min(1),
  body: z.string().max(65_536).nullish(),
  draft: z.boolean().default(false),
  maintainer_can_modify: z.boolean().optional(),
});

const changeSchema = z.object({
  title: z.string().min(1).max(256).optional(),
  body: z.string().max(65_536).nullish(),
  state: z.enum(['open', 'closed']).optional(),
  base: z.string().min(1).optional(),
});

const listSchema = z.object({
  state: z.enum(['open', 'closed', 'all']).default('open'),
  head: z.string().optional(),
  base: z.string().optional(),
});

export class Pulls {
  readonly #state: GitHubState;
  readonly #now: () => number;
  readonly #onEvent: (event: PullEvent) => void;

  /** @param onEvent told of everything that happens */
  constructor(state: GitHubState, now: () => number, onEvent: (event: PullEvent) => void) {
    this.#state = state;
    this.#now = now;
    this.#onEvent = onEvent;
  }

  /** Every pull request, the newest first. */
  all(): Pull[] {
    return this.#state.pulls.toReversed();
  }

  /** @throws Refused 404 */
  find(fullName: string, number: number): Pull {
    const pull = this.#state.pulls.find((one) => one.repository === fullName && one.number === number);
    if (!pull) throw notFound();
    return pull;
  }

  /** `GET /repos/:owner/:name/pulls`, the newest first. @throws Refused 422 */
  list(fullName: string, query: URLSearchParams): Pull[] {
    const parsed = listSchema.safeParse(Object.fromEntries(query));
    if (!parsed.success) throw refused(422, z.prettifyError(parsed.error));
    const { state, head, base } = parsed.data;
    const [owner = ''] = fullName.split('/');
    return (
      this.all()
        .filter((pull) => pull.repository === fullName)
        .filter((pull) => state === 'all' || pull.state === state)
        // As GitHub does, a head without its owner is no filter at all.
        .filter((pull) => !head?.includes(':') || head.toLowerCase() === `${owner}:${pull.head}`.toLowerCase())
        .filter((pull) => base === undefined || pull.base === base)
    );
  }

  /** `POST /repos/:owner/:name/pulls`. @throws Refused 422 */
  async create({ fullName, directory }: Place, author: string, input: unknown): Promise<Pull> {
    const { title, head: named, base, body, draft } = checked(createSchema, input);
    const [owner = ''] = fullName.split('/');
    const head = named.startsWith(`${owner}:`) ? named.slice(owner.length + 1) : named;
    const baseHead = await headOf(directory, base);
    if (baseHead === null) throw invalid('PullRequest', { field: 'base', code: 'invalid' });
    const headHead = await headOf(directory, head);
    if (headHead === null) throw invalid('PullRequest', { field: 'head', code: 'invalid' });
    // Checked and stored without a pause in between, so that of two at once one is refused.
    const commits = await commitsBetween(directory, baseHead, headHead);
    const isOpen = (pull: Pull) => pull.repository === fullName && pull.state === 'open';
    if (this.#state.pulls.some((pull) => isOpen(pull) && pull.head === head && pull.base === base)) {
      const message = `A pull request already exists for ${owner}:${head}.`;
      throw invalid('PullRequest', { code: 'custom', message });
    }
    if (commits.length === 0) {
      throw invalid('PullRequest', { code: 'custom', message: `No commits between ${base} and ${head}` });
    }
    if (draft && this.#state.withoutDrafts.includes(fullName)) {
      throw refused(422, 'Draft pull requests are not supported in this repository.');
    }
    const number = Math.max(0, ...this.#state.pulls.map((one) => (one.repository === fullName ? one.number : 0))) + 1;
    const at = this.#now();
    const pull: Pull = {
      repository: fullName,
      number,
      title,
      body: body ?? null,
      author,
      head,
      base,
      draft,
      state: 'open',
      mergedAt: null,
      closedHead: null,
      comments: [],
      reviews: [],
      reviewComments: [],
      asked: [],
      createdAt: at,
      updatedAt: at,
    };
    this.#state.pulls.push(pull);
    this.#onEvent({ what: 'pull', action: 'opened', sender: author, pull });
    return pull;
  }

  /** `PATCH /repos/:owner/:name/pulls/:number`. @throws Refused */
  async change({ fullName, directory }: Place, number: number, input: unknown, sender = 'ada'): Promise<Pull> {
    const pull = this.find(fullName, number);
    const { title, body, state, base } = checked(changeSchema, input);
    if (base !== undefined && (await headOf(directory, base)) === null) {
      throw invalid('PullRequest', { field: 'base', code: 'invalid' });
    }
    if (state === 'open' && pull.state === 'closed') {
      if (pull.mergedAt !== null) {
        throw invalid('PullRequest', {
          code: 'custom',
          message: 'state cannot be changed. The pull request is merged.',
        });
      }
      if (this.#state.pulls.some((other) => other.state === 'open' && isSameWay(other, pull))) {
        const message = `state cannot be changed. There is already an open pull request from ${pull.head} to ${pull.base}.`;
        throw invalid('PullRequest', { code: 'custom', message });
      }
    }
    const closedHead = state === 'closed' ? await headOf(directory, pull.head) : pull.closedHead;
    if (title !== undefined) pull.title = title;
    if (body !== undefined) pull.body = body;
    if (state !== undefined) pull.state = state;
    if (base !== undefined) pull.base = base;
    pull.closedHead = closedHead;
    pull.updatedAt = this.#now();
    const action = state === undefined ? 'edited' : state === 'closed' ? 'closed' : 'reopened';
    this.#onEvent({ what: 'pull', action, sender, pull });
    return pull;
  }

  /** `PUT /repos/:owner/:name/pulls/:number/merge`. @throws Refused; GitCommandError where the branches conflict */
  async merge({ fullName, directory }: Place, number: number): Promise<Pull> {
    const pull = this.find(fullName, number);
    const [baseHead, head] = await Promise.all([headOf(directory, pull.base), headOf(directory, pull.head)]);
    if (pull.state !== 'open' || pull.draft || baseHead === null || head === null) {
      throw refused(405, 'Pull Request is not mergeable');
    }
    const [owner = ''] = fullName.split('/');
    const message = `Merge pull request #${number} from ${owner}/${pull.head}\n\n${pull.title}`;
    await merge(directory, { base: pull.base, baseHead, head, message, at: this.#now() });
    pull.state = 'closed';
    pull.mergedAt = this.#now();
    pull.closedHead = head;
    pull.updatedAt = this.#now();
    this.#onEvent({ what: 'pull', action: 'closed', sender: 'ada', pull });
    return pull;
  }

  /**
   * A person reviews a pull request, or is asked to.
   * @param commit that they looked at
   */
  review(
    fullName: string,
    number: number,
    author: string,
    state: Pull['reviews'][number]['state'] | 'ASKED',
    { body = '', comments = [], commit = '' }: { body?: string; comments?: LineComment[]; commit?: string } = {},
  ): void {
    const pull = this.find(fullName, number);
    pull.asked = pull.asked.filter((one) => one !== author);
    if (state === 'ASKED') {
      pull.asked.push(author);
      this.#onEvent({ what: 'pull', action: 'review_requested', sender: author, pull });
      return;
    }
    const review = { id: this.#nextId(), author, state, body, commit, at: this.#now() };
    pull.reviews.push(review);
    for (const { path, line, body: words, diffHunk = `@@ -1,1 +${line},1 @@\n+a line` } of comments) {
      this.#addComment(pull, { reviewId: review.id, author, body: words, path, line, diffHunk, inReplyTo: null });
    }
    this.#onEvent({ what: 'review', pull, review });
  }

  /** `POST /repos/:owner/:name/pulls/:number/comments/:id/replies`: a review of its own, as on GitHub. @throws Refused */
  reply(
    { fullName }: Pick<Place, 'fullName'>,
    number: number,
    to: number,
    author: string,
    input: unknown,
  ): { pull: Pull; comment: ReviewComment } {
    const pull = this.find(fullName, number);
    const { body } = checked(bodySchema, input);
    const first = pull.reviewComments.find(({ id }) => id === to);
    // GitHub takes answers to the first comment of a thread alone.
    if (!first || first.inReplyTo !== null) throw notFound();
    const review = { id: this.#nextId(), author, state: 'COMMENTED' as const, body: '', commit: '', at: this.#now() };
    pull.reviews.push(review);
    const { path, line, diffHunk } = first;
    const comment = this.#addComment(pull, { reviewId: review.id, author, body, path, line, diffHunk, inReplyTo: to });
    this.#onEvent({ what: 'review', pull, review });
    return { pull, comment };
  }

  /** `POST /repos/:owner/:name/pulls/:number/requested_reviewers`. @throws Refused */
  askForReview(fullName: string, number: number, input: unknown): void {
    const pull = this.find(fullName, number);
    const { reviewers } = checked(z.object({ reviewers: z.array(z.string()).min(1).max(15) }), input);
    if (reviewers.includes(pull.author)) {
      throw refused(422, 'Review cannot be requested from pull request author.');
    }
    pull.asked = [...new Set([...pull.asked, ...reviewers])];
  }

  /** `POST /repos/:owner/:name/issues/:number/comments`. @throws Refused */
  comment(
    { fullName }: Pick<Place, 'fullName'>,
    number: number,
    author: string,
    input: unknown,
  ): Pull['comments'][number] {
    const pull = this.find(fullName, number);
    const { body } = checked(bodySchema, input);
    const comment = { id: this.#nextId(), author, body, createdAt: this.#now() };
    pull.comments.push(comment);
    this.#onEvent({ what: 'comment', pull, comment });
    return comment;
  }

  #addComment(pull: Pull, comment: Omit<ReviewComment, 'id' | 'createdAt'>): ReviewComment {
    const added = { ...comment, id: this.#nextId(), createdAt: this.#now() };
    pull.reviewComments.push(added);
    this.#onEvent({ what: 'review-comment', pull, comment: added });
    return added;
  }

  #nextId(): number {
    this.#state.lastId += 1;
    return this.#state.lastId;
  }
}

const bodySchema = z.object({ body: z.string().min(1).max(65_536) });

function isSameWay(one: Pull, other: Pull): boolean {
  return one.repository === other.repository && one.head === other.head && one.base === other.base;
}

/** A body that fits, or GitHub's 422 with the field that does not. */
function checked<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const field = String(parsed.error.issues[0]?.path[0] ?? '');
  const isMissing = typeof input !== 'object' || input === null || !(field in input);
  throw invalid('PullRequest', { field, code: isMissing ? 'missing_field' : 'invalid' });
}
