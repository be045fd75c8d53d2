/**
 * What a webhook of GitHub says (pure): which pull requests have news, and of which kind. What the news are is read from the API
 * (docs.github.com/en/webhooks/webhook-events-and-payloads).
 */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';

/** What there is news of: the pull request itself, what people wrote on it, or the checks of a commit. */
export type NewsTopic = 'state' | 'reviews' | 'checks';

/** News of pull requests. */
export interface PullRequestNews {
  kind: 'news';
  topic: NewsTopic;
  /** GitHub's id of the repository, which stays the same when it is renamed. */
  repositoryId: number;
  /** Numbers of the pull requests, as far as the webhook names them. */
  numbers: number[];
  /** Branches whose pull requests have news; GitHub names no number for a commit that was pushed before its pull request was opened. */
  branches: string[];
}

/** `ignored`: it says nothing about a pull request. `misfit`: it is not of the documented shape; `message` says where. */
export type ParsedGitHubWebhook =
  | PullRequestNews
  | { kind: 'ignored'; reason: string }
  | { kind: 'misfit'; message: string };

const numberSchema = z.number().int().positive();
const repositorySchema = z.object({ id: numberSchema });
/** A commit belongs to a few pull requests at most; more are cut off. */
const MOST_NAMED = 20;
const pullsSchema = z
  .array(z.object({ number: numberSchema }))
  .nullish()
  .transform((pulls) => (pulls ?? []).slice(0, MOST_NAMED).map(({ number }) => number));
const suiteSchema = z.object({ head_branch: z.string().nullish(), pull_requests: pullsSchema });

const payloads = {
  pull_request: z.object({ action: z.string(), number: numberSchema, repository: repositorySchema }),
  pull_request_review: z.object({
    action: z.string(),
    pull_request: z.object({ number: numberSchema }),
    repository: repositorySchema,
  }),
  pull_request_review_comment: z.object({
    action: z.string(),
    pull_request: z.object({ number: numberSchema }),
    repository: repositorySchema,
  }),
  issue_comment: z.object({
    action: z.string(),
    issue: z.object({ number: numberSchema, pull_request: z.unknown().optional() }),
    repository: repositorySchema,
  }),
  check_run: z.object({
    action: z.string(),
    check_run: z.object({ pull_requests: pullsSchema, check_suite: suiteSchema.nullish() }),
    repository: repositorySchema,
  }),
  check_suite: z.object({ action: z.string(), check_suite: suiteSchema, repository: repositorySchema }),
  status: z.object({
    branches: z.array(z.object({ name: z.string() })),
    repository: repositorySchema,
  }),
};
type EventName = keyof typeof payloads;

/** The events that the GitHub App subscribes to, by GitHub's names for them. */
export const GITHUB_EVENTS = Object.keys(payloads) as EventName[];

function isEvent(name: string): name is EventName {
  return Object.hasOwn(payloads, name);
}

/**
 * Reads a webhook.
 * @param event `X-GitHub-Event`
 * @param body its JSON text
 */
export function parseGitHubWebhook(event: string, body: string): ParsedGitHubWebhook {
  return readGitHubWebhook(event, parseJson(body));
}

/** The same of a payload that is parsed already. */
export function readGitHubWebhook(event: string, payload: unknown): ParsedGitHubWebhook {
  if (!isEvent(event)) return { kind: 'ignored', reason: event === 'ping' ? 'ping' : 'other_event' };
  const read = readers[event](payload);
  return read ?? { kind: 'ignored', reason: 'no_pull_request' };
}

type Reader = (payload: unknown) => ParsedGitHubWebhook | null;

/** A reader of payloads of one shape. @param newsOf null: it says nothing about a pull request */
function reader<Schema extends z.ZodType>(
  schema: Schema,
  newsOf: (payload: z.output<Schema>) => Omit<PullRequestNews, 'kind'> | null,
): Reader {
  return (payload) => {
    const parsed = schema.safeParse(payload);
    if (!parsed.success) return { kind: 'misfit', message: z.prettifyError(parsed.error).slice(0, MAX_MESSAGE) };
    const news = newsOf(parsed.data);
    return news && (news.numbers.length > 0 || news.branches.length > 0) ? { kind: 'news', ...news } : null;
  };
}

const MAX_MESSAGE = 500;

const readers: Record<EventName, Reader> = {
  pull_request: reader(payloads.pull_request, ({ number, repository }) => ofOne('state', repository.id, number)),
  pull_request_review: reader(payloads.pull_request_review, ({ pull_request: pull, repository }) =>
    ofOne('reviews', repository.id, pull.number),
  ),
  pull_request_review_comment: reader(
    payloads.pull_request_review_comment,
    ({ action, pull_request: pull, repository }) =>
      action === 'created' ? ofOne('reviews', repository.id, pull.number) : null,
  ),
  issue_comment: reader(payloads.issue_comment, ({ action, issue, repository }) =>
    action === 'created' && issue.pull_request ? ofOne('reviews', repository.id, issue.number) : null,
  ),
  check_run: reader(payloads.check_run, ({ action, check_run: run, repository }) =>
    action === 'completed'
      ? {
          topic: 'checks',
          repositoryId: repository.id,
          numbers: run.pull_requests,
          branches: named(run.check_suite?.head_branch),
        }
      : null,
  ),
  check_suite: reader(payloads.check_suite, ({ action, check_suite: suite, repository }) =>
    action === 'completed'
      ? {
          topic: 'checks',
          repositoryId: repository.id,
          numbers: suite.pull_requests,
          branches: named(suite.head_branch),
        }
      : null,
  ),
  status: reader(payloads.status, ({ branches, repository }) => ({
    topic: 'checks',
    repositoryId: repository.id,
    numbers: [],
    branches: branches.slice(0, MOST_NAMED).map(({ name }) => name),
  })),
};

function ofOne(topic: NewsTopic, repositoryId: number, number: number): Omit<PullRequestNews, 'kind'> {
  return { topic, repositoryId, numbers: [number], branches: [] };
}

function named(branch: string | null | undefined): string[] {
  return branch ? [branch] : [];
}
