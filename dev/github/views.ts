/** What the stand-in shows of things, in the shapes of docs.github.com/en/rest. */
import type { Place } from './pulls.ts';
import { repositoryId } from './renames.ts';
import { headOf, mainOf } from './repositories.ts';
import type { ApiParts } from './rest.ts';
import type { Pull, ReviewComment } from './state.ts';
import { type Grant, mayDo } from './tokens.ts';

/** Addresses, and what is known. */
type Parts = Pick<ApiParts, 'pageUrl' | 'cloneUrl' | 'state'>;

/** @param grant what who asks may do; null: the view is in a webhook */
export async function repositoryView(
  { pageUrl, cloneUrl, state }: Parts,
  grant: Grant | null,
  { fullName, directory }: Place,
): Promise<object> {
  const [owner = '', name = ''] = fullName.split('/');
  return {
    id: repositoryId(state, fullName),
    name,
    full_name: fullName,
    owner: { login: owner },
    private: state.withoutDrafts.includes(fullName),
    html_url: `${pageUrl}/${fullName}`,
    clone_url: cloneUrl(fullName),
    default_branch: await mainOf(directory),
    ...(grant && { permissions: { pull: true, push: mayDo(grant.permissions, 'contents', 'write') } }),
  };
}

export async function pullView({ pageUrl, state }: Parts, { fullName, directory }: Place, pull: Pull): Promise<object> {
  const [owner = ''] = fullName.split('/');
  const branch = async (ref: string, sha: string | null) => ({
    ref,
    label: `${owner}:${ref}`,
    sha: sha ?? (await headOf(directory, ref)) ?? '',
    repo: { id: repositoryId(state, fullName), full_name: fullName },
  });
  return {
    number: pull.number,
    state: pull.state,
    title: pull.title,
    body: pull.body,
    draft: pull.draft,
    requested_reviewers: pull.asked.map((login) => ({ login })),
    requested_teams: [],
    merged_at: pull.mergedAt === null ? null : new Date(pull.mergedAt).toISOString(),
    html_url: `${pageUrl}/${fullName}/pull/${pull.number}`,
    user: userOf(pull.author),
    head: await branch(pull.head, pull.closedHead),
    base: await branch(pull.base, null),
    created_at: new Date(pull.createdAt).toISOString(),
    updated_at: new Date(pull.updatedAt).toISOString(),
  };
}

export function reviewView(
  { pageUrl }: Parts,
  pull: Pull,
  { id, author, state, at, body, commit }: Pull['reviews'][number],
): object {
  return {
    id,
    user: userOf(author),
    body,
    state,
    commit_id: commit,
    html_url: `${pageUrl}/${pull.repository}/pull/${pull.number}#pullrequestreview-${id}`,
    submitted_at: iso(at),
  };
}

/** docs.github.com/en/rest/pulls/comments#get-a-review-comment-for-a-pull-request */
export function reviewCommentView({ pageUrl }: Parts, pull: Pull, comment: ReviewComment): object {
  const { id, reviewId, author, body, path, line, diffHunk, inReplyTo, createdAt } = comment;
  return {
    id,
    pull_request_review_id: reviewId,
    user: userOf(author),
    body,
    path,
    line,
    original_line: line,
    start_line: null,
    side: 'RIGHT',
    diff_hunk: diffHunk,
    ...(inReplyTo !== null && { in_reply_to_id: inReplyTo }),
    html_url: `${pageUrl}/${pull.repository}/pull/${pull.number}#discussion_r${id}`,
    created_at: iso(createdAt),
    updated_at: iso(createdAt),
  };
}

export function commentView({ id, body, author, createdAt }: Pull['comments'][number]): object {
  return { id, body, user: userOf(author), created_at: iso(createdAt), updated_at: iso(createdAt) };
}

/** An account as it is named everywhere. */
export function userOf(login: string): { login: string; type: 'Bot' | 'User' } {
  return { login, type: login.endsWith('[bot]') ? 'Bot' : 'User' };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
