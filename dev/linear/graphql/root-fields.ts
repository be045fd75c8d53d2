/** The queries and mutations that are simulated: the ones an agent needs. */
import { createActivity } from '../agent/activities.ts';
import { createIssue, linkAttachment, mustBePullRequest, suggestRepositories, updateIssue } from '../agent/issues.ts';
import { createSessionOnComment, createSessionOnIssue, updateSession } from '../agent/sessions.ts';
import type { Uploads } from '../agent/uploads.ts';
import { seesTeam } from '../conversation.ts';
import { notFound } from '../errors.ts';
import type { Simulation } from '../simulation.ts';
import type { AgentSession, Issue, User } from '../state/model.ts';
import { connection, type PageArguments } from './connections.ts';
import type { Filter } from './filters.ts';
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
  const sees = ({ teamId }: Pick<Issue, 'teamId'>) =>
    viewer === world.appUser ? seesTeam(simulation, teamId) : world.teamsSeenBy(viewer).some(({ id }) => id === teamId);
  /** What the application may not see is not there for it. */
  const issueOf = (id: string) => {
    const issue = world.findIssue(id);
    return found(issue && sees(issue) ? issue : undefined, 'Issue', id);
  };
  const sessionOf = (id: string) => {
    const value = world.sessions.get(id);
    const issue = value && world.issueOrNull(value.issueId);
    return found(!issue || sees(issue) ? value : undefined, 'AgentSession', id);
  };
  const visibleTeams = () => [...world.teams.values()].filter(({ id: teamId }) => sees({ teamId }));
  const done = () => ({ success: true, lastSyncId: world.lastSyncId });
  const session = (value: AgentSession) => ({ ...done(), agentSession: views.session(value) });

  const queries = {
    viewer: () => views.user(viewer),
    organization: () => views.organization(),
    teams: (page: PageArguments) => views.teams(page, visibleTeams()),
    team: ({ id }: ById) => {
      const team = visibleTeams().find((candidate) => candidate.id === id || candidate.key === id);
      return views.team(found(team, 'Team', id));
    },
    user: ({ id }: ById) => views.user(found(world.users.get(id), 'User', id)),
    users: (page: PageArguments & { filter?: Filter | null; includeDisabled?: boolean | null }) => {
      const users = [...world.users.values()].filter(({ active }) => active || page.includeDisabled === true);
      return views.users(page, users);
    },
    issue: ({ id }: ById) => views.issue(issueOf(id)),
    comment: ({ id }: { id?: string | null }) => {
      return views.comment(found(world.comments.get(id ?? ''), 'Comment', id ?? ''));
    },
    agentSession: ({ id }: ById) => views.session(sessionOf(id)),
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
      if (id) sessionOf(id);
      issueOf(given.issueId);
      return { suggestions: suggestRepositories(simulation, given.issueId, given.candidateRepositories) };
    },
    workflowState: ({ id }: ById) => views.workflowState(found(world.findState(id), 'WorkflowState', id)),
    project: ({ id }: ById) => views.project(found(world.projects.get(id), 'Project', id)),
    attachment: ({ id }: ById) => views.attachment(found(world.attachments.get(id), 'Attachment', id)),
    rateLimitStatus: () => limiter.status(),
  };

  const mutations = {
    agentActivityCreate: ({ input }: WithInput<typeof createActivity>) => {
      const owner = sessionOf(input.agentSessionId);
      const activity = createActivity(simulation, input);
      return { ...done(), agentActivity: views.activity(activity, owner) };
    },
    agentSessionUpdate: ({ id, input }: ById & { input: Parameters<typeof updateSession>[2] }) => {
      sessionOf(id);
      return session(updateSession(simulation, id, input));
    },
    agentSessionCreateOnIssue: ({ input }: WithInput<typeof createSessionOnIssue>) => {
      issueOf(input.issueId);
      return session(createSessionOnIssue(simulation, input));
    },
    agentSessionCreateOnComment: ({ input }: WithInput<typeof createSessionOnComment>) => {
      return session(createSessionOnComment(simulation, input));
    },
    issueCreate: ({ input }: { input: Record<string, unknown> }) => {
      return { issue: views.issue(createIssue(simulation, input)), ...done() };
    },
    issueUpdate: ({ id, input }: ById & { input: Record<string, unknown> }) => {
      issueOf(id);
      return { issue: views.issue(updateIssue(simulation, id, input)), ...done() };
    },
    attachmentLinkURL: (input: Parameters<typeof linkAttachment>[1]) => {
      issueOf(input.issueId);
      return { attachment: views.attachment(linkAttachment(simulation, input)), ...done() };
    },
    attachmentLinkGitHubPR: (input: Parameters<typeof linkAttachment>[1]) => {
      issueOf(input.issueId);
      mustBePullRequest(input.url);
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
