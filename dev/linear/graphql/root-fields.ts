/** The queries and mutations that are simulated: the ones an agent needs. */
import { createActivity } from '../agent/activities.ts';
import { linkAttachment, suggestRepositories, updateIssue } from '../agent/issues.ts';
import { createSessionOnComment, createSessionOnIssue, updateSession } from '../agent/sessions.ts';
import type { Uploads } from '../agent/uploads.ts';
import { notFound } from '../errors.ts';
import type { Simulation } from '../simulation.ts';
import type { AgentSession, User } from '../state/model.ts';
import { connection, type PageArguments } from './connections.ts';
import type { RateLimiter } from './rate-limit.ts';
import { Views } from './views.ts';

type ById = { id: string };
type WithInput<Act extends (simulation: Simulation, input: never) => unknown> = { input: Parameters<Act>[1] };

/**
 * Resolvers by root field. Arguments come from graphql-js, checked against the schema; what that leaves open (JSON, ids)
 * is checked by what is called here.
 * @param viewer who calls: the app's user, or the person that lent it its name
 */
export function rootFields(simulation: Simulation, limiter: RateLimiter, uploads: Uploads, viewer: User) {
  const { world, clock, urls } = simulation;
  const views = new Views(world, clock, urls);
  const done = () => ({ success: true, lastSyncId: world.lastSyncId });
  const session = (value: AgentSession) => ({ ...done(), agentSession: views.session(value) });

  const queries = {
    viewer: () => views.user(viewer),
    organization: () => views.organization(),
    teams: (page: PageArguments) => views.teams(page),
    team: ({ id }: ById) => {
      const team = world.teams.get(id) ?? [...world.teams.values()].find((candidate) => candidate.key === id);
      return views.team(found(team, 'Team', id));
    },
    user: ({ id }: ById) => views.user(found(world.users.get(id), 'User', id)),
    issue: ({ id }: ById) => views.issue(found(world.findIssue(id), 'Issue', id)),
    comment: ({ id }: { id?: string | null }) => {
      return views.comment(found(world.comments.get(id ?? ''), 'Comment', id ?? ''));
    },
    agentSession: ({ id }: ById) => views.session(found(world.sessions.get(id), 'AgentSession', id)),
    agentSessions: (page: PageArguments) => {
      return connection([...world.sessions.values()], page, (value) => views.session(value));
    },
    agentActivity: ({ id }: ById) => {
      const { activity, session: owner } = found(world.findActivity(id), 'AgentActivity', id);
      return views.activity(activity, owner);
    },
    issueRepositorySuggestions: (given: {
      issueId: string;
      agentSessionId?: string | null;
      candidateRepositories: { hostname: string; repositoryFullName: string }[];
    }) => {
      const { agentSessionId: id } = given;
      if (id) found(world.sessions.get(id), 'AgentSession', id);
      return { suggestions: suggestRepositories(simulation, given.issueId, given.candidateRepositories) };
    },
    rateLimitStatus: () => limiter.status(),
  };

  const mutations = {
    agentActivityCreate: ({ input }: WithInput<typeof createActivity>) => {
      const activity = createActivity(simulation, input);
      const owner = found(world.sessions.get(input.agentSessionId), 'AgentSession', input.agentSessionId);
      return { ...done(), agentActivity: views.activity(activity, owner) };
    },
    agentSessionUpdate: ({ id, input }: ById & { input: Parameters<typeof updateSession>[2] }) => {
      return session(updateSession(simulation, id, input));
    },
    agentSessionCreateOnIssue: ({ input }: WithInput<typeof createSessionOnIssue>) => {
      return session(createSessionOnIssue(simulation, input));
    },
    agentSessionCreateOnComment: ({ input }: WithInput<typeof createSessionOnComment>) => {
      return session(createSessionOnComment(simulation, input));
    },
    issueUpdate: ({ id, input }: ById & { input: Record<string, unknown> }) => {
      return { issue: views.issue(updateIssue(simulation, id, input)), ...done() };
    },
    attachmentLinkURL: (input: Parameters<typeof linkAttachment>[1]) => {
      return { attachment: views.attachment(linkAttachment(simulation, input)), ...done() };
    },
    attachmentLinkGitHubPR: (input: Parameters<typeof linkAttachment>[1]) => {
      return { attachment: views.attachment(linkAttachment(simulation, input)), ...done() };
    },
    fileUpload: (input: Parameters<Uploads['prepare']>[0]) => ({ ...done(), uploadFile: uploads.prepare(input) }),
  };
  return { ...queries, ...mutations };
}

function found<Item>(item: Item | undefined, entity: string, id: string): Item {
  if (item === undefined) throw notFound(entity, id);
  return item;
}
