/** Writes what others read of the session: its row in the list, and the logs of its turns. A repeat writes the same again. */
import { putTurnLog } from '../../store/logs.ts';
import { indexSession as writeRow } from '../../store/session-index.ts';
import { rowOf, teamColumnOf, whoseOf } from '../lifecycle/session-row.ts';
import type { Perform } from './effect-context.ts';
import { logParts } from './log-document.ts';

/** A row of a later revision is not overwritten. */
export const indexSession: Perform<'index-session'> = async (_effect, { state, database }) => {
  const { identifier, repository, pullRequest, ...row } = rowOf(state);
  await writeRow(database, {
    ...row,
    issueIdentifier: identifier,
    repositoryFullName: repository,
    workspaceId: state.workspaceId,
    branch: state.branch,
    pullRequest: pullRequest ? JSON.stringify(pullRequest) : null,
    teamId: teamColumnOf(whoseOf(state)),
    version: state.revision,
  });
  return null;
};

export const archiveTurn: Perform<'archive-turn'> = async ({ turn }, { state, journal, env }) => {
  const entries = () => journal.ofTurn(turn);
  const about = {
    identifier: state.issue?.identifier ?? null,
    title: rowOf(state).title,
    repository: state.repository,
    branch: state.branch,
    turn,
  };
  const markdown = logParts(about, { entries, at: (seq) => journal.at(seq) });
  await putTurnLog(env.LOGS, state.id, turn, entries(), markdown);
  return null;
};
