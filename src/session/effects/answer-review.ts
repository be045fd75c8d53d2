/** Answers the threads of a review on GitHub. What an earlier try posted bears its mark, and is not posted again. */
import { gitHubApi } from '../../github/access.ts';
import { askForReview, postAnswers } from '../../github/review-answers.ts';
import { harmlessMarkdown } from '../../protocol/text/harmless-text.ts';
import { findRepository } from '../../store/workspaces/repositories.ts';
import type { Perform } from './effect-context.ts';

/** Commits that an answer names; of more the newest. */
const MOST_COMMITS = 5;

/** @throws GitHubError, DatabaseError, DecryptionError */
export const answerReview: Perform<'answer-review'> = async (effect, { state, config, database, journal }) => {
  const { id, number, turn, answers, reviewers } = effect;
  const found = state.repository === null ? null : await findRepository(database, state.workspaceId, state.repository);
  const api = found && (await gitHubApi(config, found));
  if (!api) return null;
  const saved = journal.lastSaved();
  const isOfTurn = saved?.turn === turn && saved.pushed;
  const commits = isOfTurn ? saved.commits.slice(0, saved.newCommits).slice(0, MOST_COMMITS) : [];
  const named = commits.length === 0 ? '' : `In ${commits.map(({ sha }) => sha).join(', ')}. `;
  const foot = `<sub>${named}[Live session](${state.origin}/sessions/${state.id})</sub>`;
  const own = state.issue?.identifier ?? null;
  await postAnswers(
    api,
    number,
    answers.map(({ number: thread, place, body }) => {
      const quoted = place.kind === 'thread' ? '' : `${quote(place.author, place.quote, own)}\n\n`;
      const comment = place.kind === 'thread' ? place.comment : null;
      return { key: `${id} ${thread}`, comment, body: `${quoted}${body}\n\n${foot}` };
    }),
  );
  if (commits.length > 0) await askForReview(api, number, reviewers);
  return null;
};

/** What is answered: below the pull request no thread shows it. */
function quote(author: string, text: string, own: string | null): string {
  const lines = harmlessMarkdown(text, own).split('\n');
  return [`> ${author}:`, ...lines.map((line) => `> ${line}`)].join('\n');
}
