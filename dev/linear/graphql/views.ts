/**
 * The workspace as GraphQL objects: what is simulated of each type, under the schema's names. A field that takes arguments or leads to
 * another object is a function, so that only what a query asks for is made. What is missing here is filled in by
 * ./execution.ts, with the empty value of its type.
 */
import type { SimulatorClock } from '../clock.ts';
import type {
  Activity,
  AgentSession,
  Attachment,
  Comment,
  Issue,
  Label,
  Project,
  Relation,
  Team,
  User,
  WorkflowState,
} from '../state/model.ts';
import { sessionStatus } from '../state/session-status.ts';
import type { World } from '../state/world.ts';
import { type LinearUrls, slugOf } from '../urls.ts';
import { sourceMetadata } from '../webhooks/payloads.ts';
import { connection, type PageArguments } from './connections.ts';
import { type Filter, filtered } from './filters.ts';

type ListArguments = PageArguments & { filter?: Filter | null };
/** A GraphQL object; `unknown` because the schema, not TypeScript, says what a field is. */
type View = Record<string, unknown>;

export class Views {
  readonly #world: World;
  readonly #clock: SimulatorClock;
  readonly #urls: LinearUrls;

  constructor(world: World, clock: SimulatorClock, urls: LinearUrls) {
    this.#world = world;
    this.#clock = clock;
    this.#urls = urls;
  }

  organization(): View {
    const { id, name, urlKey, createdAt } = this.#world.workspace;
    return {
      __typename: 'Organization',
      ...{ id, name, urlKey, logoUrl: null, createdAt: iso(createdAt), updatedAt: iso(createdAt) },
      userCount: this.#world.users.size,
      teams: (page: ListArguments) => this.teams(page, [...this.#world.teams.values()]),
    };
  }

  user(user: User): View {
    return {
      __typename: 'User',
      id: user.id,
      name: user.name,
      displayName: user.displayName,
      email: user.email,
      url: this.#urls.user(user),
      app: user.app,
      supportsAgentSessions: user.app,
      isAssignable: true,
      isMentionable: true,
      active: user.active,
      admin: user.admin,
      owner: false,
      guest: user.guest,
      canAccessAnyPublicTeam: !user.guest,
      isMe: user.id === this.#world.appUser.id,
      initials: user.name.slice(0, 1),
      createdAt: iso(user.createdAt),
      updatedAt: iso(user.createdAt),
      organization: () => this.organization(),
      teamMemberships: (page: ListArguments) =>
        connection(this.#world.teamsOfMember(user), page, (team) => this.#membership(user, team)),
      teams: (page: ListArguments) => this.teams(page, this.#world.teamsOfMember(user)),
    };
  }

  users(page: ListArguments, of: readonly User[]): View {
    const users = filtered(of, page.filter, {
      id: (user) => user.id,
      name: (user) => user.name,
      email: (user) => user.email,
    });
    return connection(users, page, (user) => this.user(user));
  }

  #membership(user: User, team: Team): View {
    const at = iso(team.createdAt);
    return {
      __typename: 'TeamMembership',
      ...{ id: `${user.id}:${team.id}`, owner: false, createdAt: at, updatedAt: at },
      team: () => this.team(team),
      user: () => this.user(user),
    };
  }

  teams(page: ListArguments, of: readonly Team[]): View {
    const teams = filtered(of, page.filter, {
      id: (team) => team.id,
      key: (team) => team.key,
      name: (team) => team.name,
    });
    return connection(teams, page, (team) => this.team(team));
  }

  team(team: Team): View {
    const { id, key, name, createdAt } = team;
    return {
      __typename: 'Team',
      ...{ id, key, name, displayName: name, createdAt: iso(createdAt), updatedAt: iso(createdAt) },
      private: team.visibility === 'private',
      visibility: team.visibility,
      organization: () => this.organization(),
      parent: () => {
        const parent = this.#world.teamAndParents(team)[1];
        return parent ? this.team(parent) : null;
      },
      states: (page: ListArguments) => this.#states(team, page),
      labels: (page: ListArguments) => this.#labels(team.labels, page),
    };
  }

  issue(issue: Issue): View {
    const world = this.#world;
    const identifier = world.identifier(issue);
    return {
      __typename: 'Issue',
      id: issue.id,
      identifier,
      number: issue.number,
      title: issue.title,
      description: issue.description,
      url: this.#urls.issue(issue),
      branchName: `${world.person.displayName}/${identifier.toLowerCase()}-${slugOf(issue.title)}`,
      createdAt: iso(issue.createdAt),
      updatedAt: iso(issue.updatedAt),
      startedAt: isoOrNull(issue.startedAt),
      completedAt: isoOrNull(issue.completedAt),
      canceledAt: isoOrNull(issue.canceledAt),
      priorityLabel: 'No priority',
      labelIds: issue.labelIds,
      archivedAt: isoOrNull(issue.archivedAt),
      trashed: issue.trashed || null,
      parent: () => this.#issueOrNull(issue.parentId),
      children: (page: ListArguments) => connection(world.subIssuesOf(issue.id), page, (one) => this.issue(one)),
      relations: (page: ListArguments) =>
        connection(world.relationsOf(issue.id, true), page, (relation) => this.relation(relation)),
      inverseRelations: (page: ListArguments) =>
        connection(world.relationsOf(issue.id, false), page, (relation) => this.relation(relation)),
      project: () => {
        const project = world.projectOf(issue);
        return project && this.project(project);
      },
      state: () => this.#state(world.stateOf(issue), world.teamOf(issue)),
      team: () => this.team(world.teamOf(issue)),
      creator: () => this.#userOrNull(issue.creatorId),
      assignee: () => this.#userOrNull(issue.assigneeId),
      delegate: () => this.#userOrNull(issue.delegateId),
      labels: (page: ListArguments) => this.#labels(world.labelsOf(issue), page),
      attachments: (page: ListArguments) =>
        connection(world.attachmentsOf(issue.id), page, (attachment) => this.attachment(attachment)),
      comments: (page: ListArguments) =>
        connection(world.commentsOf(issue.id), page, (comment) => this.comment(comment)),
      agentSessions: (page: ListArguments) =>
        connection(world.sessionsOf(issue.id), page, (session) => this.session(session)),
    };
  }

  relation({ id, type, issueId, relatedIssueId, createdAt }: Relation): View {
    const at = iso(createdAt);
    return {
      __typename: 'IssueRelation',
      ...{ id, type, createdAt: at, updatedAt: at },
      issue: () => this.issue(this.#world.issue(issueId)),
      relatedIssue: () => this.issue(this.#world.issue(relatedIssueId)),
    };
  }

  comment(comment: Comment): View {
    return {
      __typename: 'Comment',
      id: comment.id,
      body: comment.body,
      bodyData: JSON.stringify(richText(comment.body)),
      url: this.#urls.comment(comment),
      issueId: comment.issueId,
      parentId: comment.parentId,
      createdAt: iso(comment.createdAt),
      updatedAt: iso(comment.createdAt),
      isArtificialAgentSessionRoot: comment.userId === null && comment.outside === undefined,
      user: () => this.#userOrNull(comment.userId),
      externalUser: null,
      botActor: comment.outside ? botActor(comment.outside) : null,
      children: (page: ListArguments) =>
        connection(this.#world.repliesTo(comment.id), page, (reply) => this.comment(reply)),
      issue: () => this.#issueOrNull(comment.issueId),
      parent: () => (comment.parentId === null ? null : this.comment(this.#world.comment(comment.parentId))),
      agentSession: () => {
        const session = this.#world.sessionOfThread(comment.id);
        return session ? this.session(session) : null;
      },
    };
  }

  session(session: AgentSession): View {
    const world = this.#world;
    return {
      __typename: 'AgentSession',
      id: session.id,
      slugId: session.id.slice(0, 8),
      status: sessionStatus(session, this.#clock.now()).status,
      summary: session.summary,
      plan: session.plan,
      url: this.#urls.session(session),
      context: [],
      externalLinks: session.externalUrls,
      externalUrls: session.externalUrls,
      createdAt: iso(session.createdAt),
      updatedAt: iso(session.updatedAt),
      startedAt: isoOrNull(session.startedAt),
      endedAt: isoOrNull(session.endedAt),
      dismissedAt: null,
      sourceMetadata: sourceMetadata(session),
      appUser: () => this.user(world.appUser),
      creator: () => this.#userOrNull(session.creatorId),
      issue: () => this.#issueOrNull(session.issueId),
      comment: () => this.comment(world.comment(session.commentId)),
      sourceComment: () =>
        session.sourceCommentId === null ? null : this.comment(world.comment(session.sourceCommentId)),
      activities: (page: ListArguments) => this.#activities(session, page),
    };
  }

  activity(activity: Activity, session: AgentSession): View {
    const { id, content, ephemeral, signal, signalMetadata, commentId, userId, createdAt } = activity;
    const typename = `AgentActivity${content.type.charAt(0).toUpperCase()}${content.type.slice(1)}Content`;
    return {
      __typename: 'AgentActivity',
      ...{ id, ephemeral, signal, signalMetadata, createdAt: iso(createdAt), updatedAt: iso(createdAt) },
      queued: false,
      content: {
        __typename: typename,
        ...content,
        ...('body' in content && { bodyData: richText(content.body) }),
      },
      user: () => this.user(this.#world.user(userId)),
      agentSession: () => this.session(session),
      sourceComment: () => (commentId === null ? null : this.comment(this.#world.comment(commentId))),
    };
  }

  attachment(attachment: Attachment): View {
    const { id, url, title, createdAt } = attachment;
    return {
      __typename: 'Attachment',
      ...{ id, url, title, createdAt: iso(createdAt), updatedAt: iso(createdAt) },
      creator: () => this.user(this.#world.appUser),
      issue: () => this.issue(this.#world.issue(attachment.issueId)),
    };
  }

  /** Without what has vanished. */
  #activities(session: AgentSession, page: ListArguments): View {
    const visible = session.activities.filter((activity) => !activity.vanished);
    const wanted = filtered(visible, page.filter, {
      id: (activity) => activity.id,
      type: (activity) => activity.content.type,
      createdAt: (activity) => iso(activity.createdAt),
    });
    return connection(wanted, page, (activity) => this.activity(activity, session));
  }

  #states(team: Team, page: ListArguments): View {
    const states = filtered(team.states, page.filter, {
      id: (state) => state.id,
      name: (state) => state.name,
      type: (state) => state.type,
      position: (state) => state.position,
    });
    return connection(states, page, (state) => this.#state(state, team));
  }

  workflowState({ state, team }: { state: WorkflowState; team: Team }): View {
    return this.#state(state, team);
  }

  #state(state: WorkflowState, team: Team): View {
    const at = iso(team.createdAt);
    return {
      __typename: 'WorkflowState',
      ...state,
      ...{ createdAt: at, updatedAt: at },
      team: () => this.team(team),
    };
  }

  #labels(labels: readonly Label[], page: ListArguments): View {
    const wanted = filtered(labels, page.filter, { id: (label) => label.id, name: (label) => label.name });
    return connection(wanted, page, (label) => ({ __typename: 'IssueLabel', ...label, isGroup: false }));
  }

  #issueOrNull(id: string | null): View | null {
    const issue = this.#world.issueOrNull(id);
    return issue && this.issue(issue);
  }

  project(project: Project): View {
    const { id, name, createdAt } = project;
    const at = iso(createdAt);
    return {
      __typename: 'Project',
      ...{ id, name, url: this.#urls.project(project), createdAt: at, updatedAt: at },
      status: {
        __typename: 'ProjectStatus',
        ...{ id, name: 'In Progress', type: 'started', createdAt: at, updatedAt: at },
      },
    };
  }

  #userOrNull(id: string | null): View | null {
    const user = this.#world.userOrNull(id);
    return user && this.user(user);
  }
}

/** The least rich-text document with this text; Linear keeps one beside each Markdown body. */
function richText(body: string): object {
  return { type: 'doc', content: [{ type: 'paragraph', content: [{ type: 'text', text: body }] }] };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

/** The integration that writes for somebody outside of Linear. */
function botActor({ service, name }: NonNullable<Comment['outside']>): View {
  const called = service === 'slack' ? 'Slack' : 'GitHub';
  return { __typename: 'ActorBot', id: null, type: service, name: called, userDisplayName: name, avatarUrl: null };
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time);
}
