/** `POST /api/v1/sessions`: starts a session on an issue of Linear or from a text, or asks something in the one that the issue has. */
import type { Hono } from 'hono';
import * as z from 'zod';
import { issuePrompt } from '../../claude/prompts.ts';
import { readConfig } from '../../config/read-config.ts';
import { type IssueFacts, type IssueNow, LinearClient } from '../../linear/api/client.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { log } from '../../observability/log.ts';
import { mayDo, maySee, type Resource } from '../../people/rights.ts';
import type { ApiError } from '../../protocol/api.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { Start, Started } from '../../protocol/v1/schemas.ts';
import type { Delivery } from '../../session/inbound/delivery.ts';
import { relatedPlace } from '../../session/inbound/related-issues-text.ts';
import { issueSessionName } from '../../session/inbound/webhook-to-event.ts';
import { issueOf } from '../../session/lifecycle/issue-news.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { listWorkspaces } from '../../store/workspaces/workspaces.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { askerOf, takeIn } from '../sessions/requests.ts';
import { createIssue, linearUnreachable, lookingOn } from './new-issue.ts';
import { requestIdOf } from './once.ts';
import { serve } from './serve.ts';
import { promptOf } from './steering.ts';
import { NO_SUCH_WORKSPACE } from './workspace.ts';

const NO_SUCH_ISSUE: ApiError = {
  error: 'no_such_issue',
  message: 'There is no such issue in this workspace, or you do not see its team.',
};

/** Adds the route. */
export function startRoute(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.startSession, needs('sessions.start'), async (c, { body }) => {
    const workspaceId = await workspaceFor(c, body);
    if (typeof workspaceId === 'object') return c.json(workspaceId, workspaceId === NO_SUCH_WORKSPACE ? 404 : 400);
    c.set('workspaceId', workspaceId);
    const issue = body.issue ?? (await createIssue(c, databaseOf(c), workspaceId, body));
    if (issue instanceof Response) return issue;
    const found = await issueIn(c.env, workspaceId, issue);
    if (found === 'none') return c.json(NO_SUCH_ISSUE, 404);
    if (found === 'unreachable') return linearUnreachable(c);
    const { now, facts } = found;
    const resource: Resource = { kind: 'session', workspaceId, team: { id: now.team.id } };
    if (!maySee(c.var.person, resource)) return c.json(NO_SUCH_ISSUE, 404);
    if (!mayDo(c.var.person, 'session.work', resource)) return lookingOn(c);
    if (now.archived || now.trashed) {
      const message = 'The issue is archived or deleted in Linear: restore it there first.';
      return c.json({ error: 'issue_gone', message } satisfies ApiError, 409);
    }
    // What a new issue says is the text, with the wish for the repository.
    return start(c, workspaceId, now, facts, body.issue === undefined ? undefined : body.text);
  });
}

async function start(
  c: PeopleContext,
  workspaceId: string,
  now: IssueNow,
  facts: IssueFacts,
  text: string | undefined,
): Promise<Response> {
  const session = c.env.ISSUE_SESSION.getByName(issueSessionName(workspaceId, now.id));
  const id = await requestIdOf(c);
  const sessionId = session.id.toString();
  const asked = { action: 'session.started', requestId: id, sessionId } as const;
  // One that is there has its thread, which the request joins as what is said on the page does.
  const isThere = (await session.whose()) !== null;
  const request = isThere
    ? await promptOf(c, text ?? requestText(now, facts), null)
    : beginning(c, { workspaceId, id, now, facts, text: text ?? null });
  const taken = await takeIn(c, asked, session, request);
  if (taken.kind === 'refused') return c.json(taken.problem, taken.status);
  const url = `${readConfig(c.env).publicUrl ?? new URL(c.req.url).origin}/sessions/${sessionId}`;
  return c.json({ session: sessionId, issue: now.identifier, url, request: id } satisfies Started, 202);
}

/** The request as of somebody who delegated the issue, for which Cyrus opens the thread. */
function beginning(
  c: PeopleContext,
  asked: { workspaceId: string; id: string; now: IssueNow; facts: IssueFacts; text: string | null },
): Pick<Delivery, 'event' | 'promptText' | 'about' | 'issueNews'> {
  const { workspaceId, id, now, facts, text } = asked;
  const { name: author, person } = askerOf(c);
  const { id: issueId, identifier, title, url, team, labels } = now;
  const at = Date.now();
  const news = { id: issueId, at, identifier, title, url, teamId: team.id, team, labels };
  const whole = issuePrompt({
    ...{ identifier, title, url, description: facts.description, promptContext: null, guidance: [] },
    related: relatedPlace(issueId),
    ...{ comment: text, author },
  });
  return {
    about: { workspaceId, issue: issueOf(news), fallbackName: issueId.slice(0, 8) },
    issueNews: news,
    event: {
      ...{ type: 'thread-expected', promptId: id, commentId: null, author, person },
      ...{ text: text ?? requestText(now, facts), at },
    },
    promptText: { followUp: whole, first: whole },
  };
}

function requestText({ title }: IssueNow, { description }: IssueFacts): string {
  return [title, description].filter((part) => part.trim() !== '').join('\n\n');
}

/** @returns its id; a problem if it is not clear which it is, or not to be seen */
async function workspaceFor(c: PeopleContext, { workspace }: Start): Promise<string | ApiError> {
  const { person } = c.var;
  const active = (await listWorkspaces(databaseOf(c))).filter(({ status }) => status === 'active');
  const seen = active.filter(({ id }) => maySee(person, { kind: 'workspace', workspaceId: id }));
  if (workspace !== undefined) return seen.find(({ id }) => id === workspace)?.id ?? NO_SUCH_WORKSPACE;
  const [only, ...more] = seen;
  if (!only) return NO_SUCH_WORKSPACE;
  if (more.length === 0) return only.id;
  return { error: 'workspace_needed', message: 'The token sees several workspaces: say in `workspace` which it is.' };
}

function databaseOf(c: PeopleContext): Database {
  return openDatabase(c.env.DB, readConfig(c.env).encryptionKey);
}

async function issueIn(
  env: Env,
  workspaceId: string,
  key: string,
): Promise<{ now: IssueNow; facts: IssueFacts } | 'none' | 'unreachable'> {
  const linear = new LinearClient(sendThrough(env, workspaceId));
  try {
    const [now, facts] = await Promise.all([linear.issueNow(key), linear.issueFacts(key)]);
    return { now, facts };
  } catch (error) {
    if (error instanceof LinearError) return error.kind === 'refused' ? 'none' : 'unreachable';
    // Linear answered something else than what it promises.
    if (!(error instanceof z.ZodError)) throw error;
    log('api.issue.misfit', { workspace: workspaceId, error });
    return 'unreachable';
  }
}
