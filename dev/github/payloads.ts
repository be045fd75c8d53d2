/**
 * What webhooks of GitHub hold, and the shapes that GitHub documents for them, as far as anybody reads them
 * (docs.github.com/en/webhooks/webhook-events-and-payloads). The stand-in sends none that does not fit.
 */
import { z } from 'zod';
import type { Place } from './pulls.ts';
import type { ApiParts } from './rest.ts';
import type { Pull, ReviewComment } from './state.ts';
import { commentView, pullView, repositoryView, reviewCommentView, reviewView, userOf } from './views.ts';

const user = z.looseObject({ login: z.string(), type: z.enum(['User', 'Bot']) });
const common = {
  repository: z.looseObject({
    id: z.number().int(),
    full_name: z.string(),
    owner: z.looseObject({ login: z.string() }),
  }),
  sender: user,
  installation: z.object({ id: z.number().int() }),
};
const branch = z.looseObject({ ref: z.string(), sha: z.string().length(40), repo: z.looseObject({ id: z.number() }) });
const pull = z.looseObject({
  number: z.number().int().positive(),
  state: z.enum(['open', 'closed']),
  title: z.string(),
  draft: z.boolean(),
  user,
  head: branch,
  base: branch,
});
const checkSuite = z.looseObject({
  head_branch: z.string().nullable(),
  head_sha: z.string().length(40),
  pull_requests: z.array(z.looseObject({ number: z.number().int() })),
});
const iso = z.iso.datetime();

/** By event. */
export const payloadSchemas = {
  ping: z.looseObject({ zen: z.string(), hook_id: z.number() }),
  pull_request: z.looseObject({ action: z.string(), number: z.number().int(), pull_request: pull, ...common }),
  pull_request_review: z.looseObject({
    action: z.enum(['submitted', 'edited', 'dismissed']),
    review: z.looseObject({ id: z.number(), user, state: z.string(), body: z.string().nullable(), submitted_at: iso }),
    pull_request: pull,
    ...common,
  }),
  pull_request_review_comment: z.looseObject({
    action: z.enum(['created', 'edited', 'deleted']),
    comment: z.looseObject({
      id: z.number(),
      pull_request_review_id: z.number().nullable(),
      path: z.string(),
      diff_hunk: z.string(),
      body: z.string(),
      user,
      created_at: iso,
    }),
    pull_request: pull,
    ...common,
  }),
  issue_comment: z.looseObject({
    action: z.enum(['created', 'edited', 'deleted']),
    issue: z.looseObject({ number: z.number().int(), pull_request: z.looseObject({ url: z.string() }).optional() }),
    comment: z.looseObject({ id: z.number(), body: z.string(), user, created_at: iso }),
    ...common,
  }),
  check_run: z.looseObject({
    action: z.enum(['created', 'completed', 'rerequested', 'requested_action']),
    check_run: z.looseObject({
      id: z.number().int(),
      head_sha: z.string().length(40),
      status: z.enum(['queued', 'in_progress', 'completed']),
      conclusion: z.string().nullable(),
      check_suite: checkSuite,
      pull_requests: z.array(z.looseObject({ number: z.number().int() })),
    }),
    ...common,
  }),
  status: z.looseObject({
    sha: z.string().length(40),
    state: z.enum(['error', 'failure', 'pending', 'success']),
    context: z.string(),
    branches: z.array(z.looseObject({ name: z.string() })),
    ...common,
  }),
} as const;
export type WebhookEvent = keyof typeof payloadSchemas;

/** Writes payloads about one repository. */
export class Payloads {
  readonly #parts: ApiParts;
  readonly #place: Place;

  constructor(parts: ApiParts, place: Place) {
    this.#parts = parts;
    this.#place = place;
  }

  /** @param action `opened`, `closed`, … */
  async pullRequest(action: string, about: Pull, sender: string): Promise<object> {
    return { action, number: about.number, pull_request: await this.#pull(about), ...(await this.#common(sender)) };
  }

  async review(about: Pull, review: Pull['reviews'][number]): Promise<object> {
    return {
      action: 'submitted',
      review: reviewView(this.#parts, about, review),
      pull_request: await this.#pull(about),
      ...(await this.#common(review.author)),
    };
  }

  async reviewComment(about: Pull, comment: ReviewComment): Promise<object> {
    return {
      action: 'created',
      comment: reviewCommentView(this.#parts, about, comment),
      pull_request: await this.#pull(about),
      ...(await this.#common(comment.author)),
    };
  }

  async comment(about: Pull, comment: Pull['comments'][number]): Promise<object> {
    const address = `${this.#parts.pageUrl}/${about.repository}/pull/${about.number}`;
    return {
      action: 'created',
      issue: { number: about.number, title: about.title, pull_request: { url: address } },
      comment: commentView(comment),
      ...(await this.#common(comment.author)),
    };
  }

  /** @param pulls open pull requests of the commit */
  async checkRun(
    run: { id: number; name: string; status: string; conclusion: string | null },
    commit: string,
    pulls: Pull[],
  ) {
    const named = pulls.map(({ number }) => ({ number }));
    const suite = { head_branch: pulls[0]?.head ?? null, head_sha: commit, pull_requests: named };
    const check_run = { ...run, head_sha: commit, check_suite: suite, pull_requests: named };
    return { action: 'completed', check_run, ...(await this.#common('github-actions[bot]')) };
  }

  /** @param pulls open pull requests of the commit */
  async status(status: { context: string; state: string }, commit: string, pulls: Pull[]): Promise<object> {
    const branches = pulls.map(({ head }) => ({ name: head, commit: { sha: commit } }));
    return { id: 1, sha: commit, ...status, branches, ...(await this.#common('ci[bot]')) };
  }

  #pull(about: Pull): Promise<object> {
    return pullView(this.#parts, this.#place, about);
  }

  async #common(sender: string): Promise<object> {
    const repository = await repositoryView(this.#parts, null, this.#place);
    return { repository, sender: userOf(sender), installation: { id: 1 } };
  }
}
