/** Answers in the threads of a review, each posted once, and the request to look again. */
import * as z from 'zod';
import { log } from '../observability/log.ts';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { pathOf } from './pull-requests.ts';
import { OWN_MARK } from './remarks.ts';

/** An answer. `key`: the same in each try to post it. `comment`: first of the thread on a line; null: in the conversation. */
export interface ReviewAnswer {
  key: string;
  comment: number | null;
  body: string;
}

const listSchema = z.array(z.object({ body: z.string().nullish() }));
const PAGE = 100;
/**
 * So many pages are looked through for answers that an earlier try posted: of comments on lines the newest first; those below the pull
 * request GitHub lists oldest first alone.
 */
const MOST_PAGES = 5;

/**
 * Posts the answers that are not there yet. A mark that people do not see tells which are: GitHub has no keys against repeats.
 * @throws GitHubError; if it refuses one of them, after the others
 */
export async function postAnswers(api: GitHubApi, number: number, answers: readonly ReviewAnswer[]): Promise<void> {
  if (answers.length === 0) return;
  const there = await marksOn(api, number, answers);
  let refusal: GitHubError | null = null;
  for (const answer of answers) {
    if (there.has(answer.key)) continue;
    try {
      await post(api, number, answer);
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind !== 'refused') throw error;
      refusal ??= error;
    }
  }
  if (refusal !== null) throw refusal;
}

async function post(api: GitHubApi, number: number, { key, comment, body }: ReviewAnswer): Promise<void> {
  const text = { body: `${body}\n\n${markOf(key)}` };
  const inConversation = () =>
    api.ask({
      method: 'POST',
      path: `${pathOf(api)}/issues/${number}/comments`,
      what: `answer on pull request #${number}`,
      body: text,
      answer: z.unknown(),
    });
  if (comment === null) {
    await inConversation();
    return;
  }
  try {
    await api.ask({
      method: 'POST',
      path: `${pathOf(api)}/pulls/${number}/comments/${comment}/replies`,
      what: `answer a thread of pull request #${number}`,
      body: text,
      answer: z.unknown(),
    });
  } catch (error) {
    // The comment was deleted meanwhile.
    if (!(error instanceof GitHubError) || error.kind !== 'not-found') throw error;
    await inConversation();
  }
}

/**
 * Asks people to look again. Who cannot be asked, because they are no collaborators any more, is left out.
 * @throws GitHubError that may pass
 */
export async function askForReview(api: GitHubApi, number: number, reviewers: readonly string[]): Promise<void> {
  for (const login of reviewers) {
    try {
      await api.ask({
        method: 'POST',
        path: `${pathOf(api)}/pulls/${number}/requested_reviewers`,
        what: `ask ${login} to review pull request #${number} again`,
        body: { reviewers: [login] },
        answer: z.unknown(),
      });
    } catch (error) {
      if (!(error instanceof GitHubError) || error.retryable) throw error;
      log('github.review_request.failed', { number, error });
    }
  }
}

function markOf(key: string): string {
  return `${OWN_MARK}answer ${key} -->`;
}

/** Keys of the answers that are on the pull request. */
async function marksOn(api: GitHubApi, number: number, answers: readonly ReviewAnswer[]): Promise<Set<string>> {
  const lists = [
    ...(answers.some(({ comment }) => comment !== null)
      ? [`pulls/${number}/comments?sort=created&direction=desc&`]
      : []),
    `issues/${number}/comments?`,
  ];
  const found = new Set<string>();
  for (const list of lists) {
    for (let page = 1; page <= MOST_PAGES; page += 1) {
      const read = await api.ask({
        method: 'GET',
        path: `${pathOf(api)}/${list}per_page=${PAGE}&page=${page}`,
        what: `see what is answered on pull request #${number}`,
        answer: listSchema,
      });
      for (const { key } of answers) if (read.some(({ body }) => body?.includes(markOf(key)))) found.add(key);
      if (read.length < PAGE) break;
    }
  }
  return found;
}
