/** The issue that Cyrus creates in Linear for a session that starts from a text. */
import * as z from 'zod';
import { headline } from '../../lib/markdown.ts';
import { LinearClient } from '../../linear/api/client.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { log } from '../../observability/log.ts';
import { mayDo, maySee, type Resource } from '../../people/rights.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { Start } from '../../protocol/v1/schemas.ts';
import { repositoryWish } from '../../session/lifecycle/start/wishes.ts';
import type { Database } from '../../store/database.ts';
import { listRepositories } from '../../store/workspaces/repositories.ts';
import type { PeopleContext } from '../middleware/needs.ts';
import { requestIdOf } from './once.ts';
import { problemAnswer } from './problems.ts';

/** Names are listed in an answer up to so many. */
const MOST_NAMED = 20;
const LOOKING_ON: ApiError = {
  error: 'not_allowed',
  message: 'You may look on in this workspace, and neither give work nor steer it. A Cyrus admin can change that.',
};

type Team = Awaited<ReturnType<LinearClient['teams']>>[number];

/**
 * Creates the issue, in the name of the person who asks. A repeat with the same Idempotency-Key creates no other.
 * @returns its id, or why there is none
 */
export async function createIssue(
  c: PeopleContext,
  database: Database,
  workspaceId: string,
  { text = '', repository = '', title, team: wanted }: Start,
): Promise<string | Response> {
  const known = (await listRepositories(database, workspaceId)).map(({ fullName }) => fullName);
  const fullName = known.find((name) => name.toLowerCase() === repository.toLowerCase());
  if (fullName === undefined) return noSuchRepository(repository, known);
  const description = withWish(text, fullName);
  if (description === null) {
    const message = 'must not name a repository itself, nor leave Markdown open (code, a comment)';
    return problemAnswer(400, 'bad_request', `The text ${message}.`, [{ in: 'body', pointer: '/text', message }]);
  }
  const linear = new LinearClient(sendThrough(c.env, workspaceId));
  try {
    const team = teamFor(c, workspaceId, await linear.teams(), wanted);
    if (team instanceof Response) return team;
    const id = uuidV4(await requestIdOf(c));
    const author = c.var.person.name;
    c.set('mayBeDone', true);
    await linear.createIssue({
      ...{ id, teamId: team.id, description, author },
      title: title ?? (headline(text) || `Work in ${fullName}`),
    });
    return id;
  } catch (error) {
    if (error instanceof LinearError && error.kind === 'refused') {
      c.set('mayBeDone', false);
      return c.json(
        { error: 'issue_refused', message: `No issue was created. ${error.message}` } satisfies ApiError,
        409,
      );
    }
    if (!(error instanceof LinearError || error instanceof z.ZodError)) throw error;
    log('api.issue_creation.failed', { workspace: workspaceId, error });
    return linearUnreachable(c);
  }
}

/** That Linear does not answer now. */
export function linearUnreachable(c: PeopleContext): Response {
  const message = 'Linear does not answer for this workspace now. Try again in a minute.';
  return c.json({ error: 'linear_unreachable', message } satisfies ApiError, 503, { 'retry-after': '60' });
}

/** Why who may only look on starts nothing. */
export function lookingOn(c: PeopleContext): Response {
  return c.json(LOOKING_ON, 403);
}

/** The text with the repository as a wish that counts; null: it names another one, or nothing after it would be read. */
function withWish(text: string, fullName: string): string | null {
  const description = `${text}\n\n[repo=${fullName}]`;
  const wish = repositoryWish(description);
  return wish?.kind === 'named' && wish.name === fullName && repositoryWish(text) === null ? description : null;
}

function teamFor(c: PeopleContext, workspaceId: string, all: readonly Team[], wanted: string | undefined) {
  const { person } = c.var;
  const ofTeam = ({ id }: Team): Resource => ({ kind: 'session', workspaceId, team: { id } });
  const seen = all.filter((one) => maySee(person, ofTeam(one)));
  const fits = ({ id, key }: Team) =>
    wanted === undefined || id === wanted || key.toLowerCase() === wanted.toLowerCase();
  const [team, ...more] = seen.filter(fits);
  if (team && more.length === 0) return mayDo(person, 'session.work', ofTeam(team)) ? team : lookingOn(c);
  if (wanted !== undefined) {
    const message = `There is no team ${wanted} in this workspace, or you do not see it.`;
    return c.json({ error: 'no_such_team', message } satisfies ApiError, 404);
  }
  const message =
    seen.length === 0
      ? 'You see no team in this workspace in which an issue could be created.'
      : `Say in \`team\` in which team the issue is created, of ${listed(seen.map(({ key }) => key))}.`;
  return c.json({ error: 'team_needed', message } satisfies ApiError, 400);
}

function noSuchRepository(wanted: string, known: readonly string[]): Response {
  const message = known.length === 0 ? 'The workspace has none yet.' : `Known are ${listed(known)}.`;
  return problemAnswer(404, 'no_such_repository', `There is no repository ${wanted} in this workspace. ${message}`);
}

function listed(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** Linear takes ids of version 4 alone. */
function uuidV4(uuid: string): string {
  return `${uuid.slice(0, 14)}4${uuid.slice(15)}`;
}
