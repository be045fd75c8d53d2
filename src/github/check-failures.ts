/** Why checks of a commit fail: what each says, the end of its log, and whether the base branch fails by the same. */
import * as z from 'zod';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import { withoutTokens } from '../protocol/text/redact.ts';
import { sendable } from '../protocol/text/sendable-text.ts';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { readJobLog } from './job-log.ts';
import { pathOf } from './pull-requests.ts';

/** A check that failed. */
export interface CheckFailure {
  /** Another one for each time that it ran. */
  id: string;
  name: string;
  /** What it says, secrets taken out; empty: nothing can be read. */
  detail: string;
  /** It fails at the newest commit of the base branch too. */
  isOnBase: boolean;
}

/** The checks of a commit. `isRunning`: some are not done yet; then what failed so far is not all. */
export interface CommitChecks {
  head: string;
  failures: CheckFailure[];
  /** Names of those that passed. */
  passed: string[];
  isRunning: boolean;
}

/** Of so many what they say is read; of the others the name is told. */
const MOST_READ = 5;
const MOST_CHECKS = 100;
/** Longest detail of a check, in UTF-16 code units. */
const MAX_DETAIL = 12_000;
const MOST_ANNOTATIONS = 20;

/** docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference */
const runsSchema = z.object({
  check_runs: z.array(
    z.object({
      id: z.number().int(),
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      app: z.object({ slug: z.string().nullish() }).nullish(),
      output: z
        .object({ title: z.string().nullish(), summary: z.string().nullish(), text: z.string().nullish() })
        .nullish(),
    }),
  ),
});
/** docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference */
const statusesSchema = z.object({
  statuses: z.array(
    z.object({ id: z.number().int(), context: z.string(), state: z.string(), description: z.string().nullish() }),
  ),
});
/** docs.github.com/en/rest/checks/runs#list-check-run-annotations */
const annotationsSchema = z.array(
  z.object({
    path: z.string(),
    start_line: z.number(),
    annotation_level: z.string().nullish(),
    message: z.string().nullish(),
  }),
);
type Run = z.output<typeof runsSchema>['check_runs'][number];

/** What does not pass and is no person's decision: a check that was cancelled or waits for somebody is not repaired. */
const FAILED = ['failure', 'timed_out', 'startup_failure'];

/**
 * The checks of a commit, with what those that failed say.
 * @param base name of the base branch
 * @throws GitHubError if they cannot be read
 */
export async function readFailures(api: GitHubApi, head: string, base: string): Promise<CommitChecks> {
  const [runs, statuses] = await Promise.all([runsOf(api, head), statusesOf(api, head)]);
  const failedRuns = runs.filter(({ conclusion }) => conclusion !== null && FAILED.includes(conclusion));
  const failedStatuses = statuses.filter(({ state }) => state === 'failure' || state === 'error');
  const isRunning =
    runs.some(({ status }) => status !== 'completed') || statuses.some(({ state }) => state === 'pending');
  const states = [
    ...runs.filter(isOfWeight).map(({ name, conclusion }) => ({ name, isPassed: conclusion === 'success' })),
    ...statuses.map(({ context, state }) => ({ name: context, isPassed: state === 'success' })),
  ];
  // Jobs of several workflows may have one name: it has passed once all of them have.
  const notPassed = new Set(states.filter(({ isPassed }) => !isPassed).map(({ name }) => name));
  const passed = [...new Set(states.map(({ name }) => name))].filter((name) => !notPassed.has(name));
  if (isRunning || failedRuns.length + failedStatuses.length === 0) return { head, failures: [], passed, isRunning };
  const onBase = await failingOn(api, base);
  const details = await Promise.all(failedRuns.slice(0, MOST_READ).map((run) => detailOf(api, run)));
  return {
    head,
    passed,
    isRunning,
    failures: [
      ...failedRuns.map(({ id, name }, index) => {
        return { id: `run:${id}`, name, detail: details[index] ?? '', isOnBase: onBase.has(name) };
      }),
      ...failedStatuses.map(({ id, context: name, description }) => {
        return { id: `status:${id}`, name, detail: shownEnd(description ?? ''), isOnBase: onBase.has(name) };
      }),
    ],
  };
}

/** Whether a run says something of what it checks, now or once it is done. */
function isOfWeight({ conclusion }: Run): boolean {
  return conclusion !== 'skipped' && conclusion !== 'neutral';
}

async function runsOf(api: GitHubApi, ref: string): Promise<Run[]> {
  const { check_runs: runs } = await api.ask({
    method: 'GET',
    path: `${pathOf(api)}/commits/${encodeURIComponent(ref)}/check-runs?per_page=${MOST_CHECKS}`,
    what: 'read the checks of a commit',
    answer: runsSchema,
  });
  return runs;
}

async function statusesOf(api: GitHubApi, ref: string): Promise<z.output<typeof statusesSchema>['statuses']> {
  const { statuses } = await api.ask({
    method: 'GET',
    path: `${pathOf(api)}/commits/${encodeURIComponent(ref)}/status?per_page=${MOST_CHECKS}`,
    what: 'read the statuses of a commit',
    answer: statusesSchema,
  });
  return statuses;
}

/** Names of what fails at the base branch; empty where that cannot be read. */
async function failingOn(api: GitHubApi, base: string): Promise<Set<string>> {
  try {
    const [runs, statuses] = await Promise.all([runsOf(api, base), statusesOf(api, base)]);
    return new Set([
      ...runs.filter(({ conclusion }) => conclusion !== null && FAILED.includes(conclusion)).map(({ name }) => name),
      ...statuses.filter(({ state }) => state === 'failure' || state === 'error').map(({ context }) => context),
    ]);
  } catch (error) {
    if (!(error instanceof GitHubError) || error.retryable) throw error;
    return new Set();
  }
}

/** What a check says: its summary, its annotations, the end of its log where it is a job of GitHub Actions. */
async function detailOf(api: GitHubApi, run: Run): Promise<string> {
  const { title, summary, text } = run.output ?? {};
  const isJob = run.app?.slug === 'github-actions';
  const [annotations, jobLog] = await Promise.all([
    readable(annotationsOf(api, run.id), 'annotations'),
    isJob ? readable(readJobLog(api, run.id), 'log') : '',
  ]);
  const parts = [title, summary, text, annotations, jobLog].filter((part) => part != null && part.trim() !== '');
  return shownEnd(parts.join('\n\n'));
}

/** The end of what a check says, where the cause stands, without what looks like a token. */
function shownEnd(text: string): string {
  // Cut generously first: a token at the final cut is still whole here.
  const clean = withoutTokens(sendable(text.slice(-2 * MAX_DETAIL)));
  return clean.slice(-MAX_DETAIL).replace(/^[\udc00-\udfff]/, '');
}

async function annotationsOf(api: GitHubApi, id: number): Promise<string> {
  const annotations = await api.ask({
    method: 'GET',
    path: `${pathOf(api)}/check-runs/${id}/annotations?per_page=${MOST_ANNOTATIONS}`,
    what: 'read the annotations of a check',
    answer: annotationsSchema,
  });
  return annotations.map(({ path, start_line: line, message }) => `${path}:${line}: ${message ?? ''}`).join('\n');
}

/** A part without which the rest is told all the same: the token may not read it, or it is gone. */
async function readable(asked: Promise<string>, part: string): Promise<string> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof GitHubError) || error.kind === 'rate-limited') throw error;
    log('github.check_detail.unknown', { part, error: asError(error) });
    return '';
  }
}
