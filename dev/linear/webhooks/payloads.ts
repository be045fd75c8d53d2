/**
 * Bodies of Linear's webhooks, in the shapes captured from production; the schema of @linear/sdk has them as
 * `…WebhookPayload` types, and a test holds these bodies against those types.
 */
import { randomUUID } from 'node:crypto';
import type { SimulatorClock } from '../clock.ts';
import type { ResourceType } from '../oauth/model.ts';
import type { Activity, AgentSession, Comment, Document, Issue, Team, User } from '../state/model.ts';
import { sessionStatus } from '../state/session-status.ts';
import { placeOf, type World } from '../state/world.ts';
import type { LinearUrls } from '../urls.ts';
import { guidanceFor } from './guidance.ts';
import { promptContext } from './prompt-context.ts';

/** Kinds of webhook that are simulated. To all but `OAuthApp` an application subscribes. */
export type WebhookType =
  | Extract<ResourceType, 'AgentSessionEvent' | 'AppUserNotification' | 'Issue' | 'PermissionChange'>
  | 'OAuthApp';

export interface WebhookPayload {
  type: WebhookType;
  action: string;
  webhookTimestamp: number;
  /** The rest depends on the kind; a test holds it against the schema. */
  [key: string]: unknown;
}

/** The subscription and the app: the same in every event. */
export interface AppIdentity {
  oauthClientId: string;
  webhookId: string;
}

export class PayloadWriter {
  readonly #world: World;
  readonly #clock: SimulatorClock;
  readonly #urls: LinearUrls;
  readonly #identity: () => AppIdentity;

  /** @param identity of the application in the workspace, now */
  constructor(world: World, clock: SimulatorClock, urls: LinearUrls, identity: () => AppIdentity) {
    this.#world = world;
    this.#clock = clock;
    this.#urls = urls;
    this.#identity = identity;
  }

  /** AgentSessionEvent `created`. */
  sessionCreated(session: AgentSession): WebhookPayload {
    return {
      ...this.#envelope('AgentSessionEvent', 'created'),
      ...this.#appFields(),
      agentSession: this.#session(session),
      promptContext: promptContext(this.#world, session),
      previousComments: this.#previousComments(session),
      guidance: this.#guidance(session),
    };
  }

  /** AgentSessionEvent `prompted`. */
  sessionPrompted(session: AgentSession, activity: Activity): WebhookPayload {
    const user = this.#world.user(activity.userId);
    return {
      ...this.#envelope('AgentSessionEvent', 'prompted'),
      ...this.#appFields(),
      agentSession: this.#session(session),
      agentActivity: {
        id: activity.id,
        agentSessionId: session.id,
        content: activity.content,
        signal: activity.signal,
        signalMetadata: activity.signalMetadata,
        sourceCommentId: activity.commentId,
        userId: user.id,
        user: this.#user(user),
        createdAt: iso(activity.createdAt),
        updatedAt: iso(activity.createdAt),
        archivedAt: null,
      },
    };
  }

  /**
   * AppUserNotification: what would show in the agent's inbox.
   * @param kind "issueNewComment" or another of Linear's
   */
  notification(
    kind: string,
    issue: Issue,
    actor: User | null,
    { comment, reactionEmoji }: { comment?: Comment; reactionEmoji?: string } = {},
  ): WebhookPayload {
    return this.#notification(kind, actor, {
      issueId: issue.id,
      issue: this.#issue(issue),
      ...(comment && this.#commentFields(comment)),
      ...(reactionEmoji !== undefined && { reactionEmoji }),
    });
  }

  /** The same about a document. */
  documentNotification(kind: string, { id, title }: Document, actor: User | null, comment: Comment): WebhookPayload {
    const document = { id, title };
    return this.#notification(kind, actor, { documentId: id, document, ...this.#commentFields(comment) });
  }

  #notification(kind: string, actor: User | null, about: object): WebhookPayload {
    const at = this.#clock.iso();
    return {
      ...this.#envelope('AppUserNotification', kind),
      ...this.#appFields(),
      notification: {
        id: randomUUID(),
        type: kind,
        createdAt: at,
        updatedAt: at,
        archivedAt: null,
        userId: this.#world.appUser.id,
        actorId: actor?.id ?? null,
        actor: actor && this.#user(actor),
        externalUserActorId: null,
        ...about,
      },
    };
  }

  #commentFields(comment: Comment) {
    const parent = comment.parentId === null ? null : this.#world.comment(comment.parentId);
    return {
      commentId: comment.id,
      comment: this.#comment(comment),
      ...(parent && { parentCommentId: parent.id, parentComment: this.#comment(parent) }),
    };
  }

  /** PermissionChange `teamAccessChanged`. @param change ids of teams */
  teamAccessChanged(change: { added: string[]; removed: string[]; all: boolean }): WebhookPayload {
    return {
      ...this.#envelope('PermissionChange', 'teamAccessChanged'),
      ...this.#appFields(),
      canAccessAllPublicTeams: change.all,
      addedTeamIds: change.added,
      removedTeamIds: change.removed,
    };
  }

  /** OAuthApp `revoked`: the application was removed from the workspace. */
  appRevoked(): WebhookPayload {
    return { ...this.#envelope('OAuthApp', 'revoked'), ...this.#identity() };
  }

  /** Issue `create`. */
  issueCreated(issue: Issue, actor: User | null): WebhookPayload {
    return this.#issueEvent('create', issue, actor);
  }

  /** Issue `update`; `updatedFrom` has the former values of what changed. */
  issueUpdated(issue: Issue, actor: User | null, updatedFrom: Record<string, unknown>): WebhookPayload {
    return { ...this.#issueEvent('update', issue, actor), updatedFrom };
  }

  /** Issue `remove`: it is in the trash. */
  issueRemoved(issue: Issue, actor: User | null): WebhookPayload {
    return this.#issueEvent('remove', issue, actor);
  }

  #issueEvent(action: 'create' | 'update' | 'remove', issue: Issue, actor: User | null): WebhookPayload {
    return {
      ...this.#envelope('Issue', action),
      actor: actor && this.#actor(actor),
      data: this.#issueData(issue),
      url: this.#urls.issue(issue),
      webhookId: this.#identity().webhookId,
    };
  }

  #envelope(type: WebhookType, action: string) {
    const now = this.#clock.now();
    const { id: organizationId } = this.#world.workspace;
    return { type, action, createdAt: iso(now), organizationId, webhookTimestamp: now };
  }

  #appFields() {
    return { ...this.#identity(), appUserId: this.#world.appUser.id };
  }

  #session(session: AgentSession) {
    const creator = this.#world.userOrNull(session.creatorId);
    const issue = this.#world.issueOrNull(session.issueId);
    return {
      id: session.id,
      type: 'commentThread',
      status: sessionStatus(session, this.#clock.now()).status,
      appUserId: this.#world.appUser.id,
      organizationId: this.#world.workspace.id,
      createdAt: iso(session.createdAt),
      updatedAt: iso(session.updatedAt),
      archivedAt: null,
      startedAt: isoOrNull(session.startedAt),
      endedAt: isoOrNull(session.endedAt),
      dismissedAt: null,
      dismissedById: null,
      creatorId: creator?.id ?? null,
      creator: creator && this.#user(creator),
      issueId: session.issueId,
      // Left out when the agent was mentioned elsewhere than on an issue.
      ...(issue && { issue: this.#issue(issue) }),
      commentId: session.commentId,
      comment: this.#comment(this.#world.comment(session.commentId)),
      sourceCommentId: session.sourceCommentId,
      sourceMetadata: sourceMetadata(session),
      summary: session.summary,
      plan: session.plan,
      externalUrls: session.externalUrls,
      url: this.#urls.session(session),
    };
  }

  /** Set when the agent was mentioned in a reply of a thread: what was said there before. */
  #previousComments(session: AgentSession) {
    if (session.sourceCommentId === null) return null;
    const source = this.#world.comment(session.sourceCommentId);
    if (source.parentId === null) return null;
    return this.#world
      .commentsOf(placeOf(source))
      .filter((comment) => comment.id !== source.id)
      .filter((comment) => comment.id === source.parentId || comment.parentId === source.parentId)
      .map((comment) => this.#comment(comment));
  }

  #guidance(session: AgentSession) {
    const rules = guidanceFor(this.#world, session);
    if (rules.length === 0) return null;
    return rules.map(({ body, team }) => ({
      body,
      origin: team
        ? { type: 'Team', team: { ...teamChild(team), displayName: team.name, parentId: team.parentId } }
        : { type: 'Organization' },
    }));
  }

  #issue(issue: Issue) {
    const team = this.#world.teamOf(issue);
    return {
      id: issue.id,
      identifier: this.#world.identifier(issue),
      title: issue.title,
      description: issue.description,
      url: this.#urls.issue(issue),
      teamId: team.id,
      team: teamChild(team),
    };
  }

  #issueData(issue: Issue) {
    const state = this.#world.stateOf(issue);
    const project = this.#world.projectOf(issue);
    const person = (id: string | null) => {
      const user = this.#world.userOrNull(id);
      return user && this.#user(user);
    };
    return {
      ...this.#issue(issue),
      number: issue.number,
      createdAt: iso(issue.createdAt),
      updatedAt: iso(issue.updatedAt),
      archivedAt: isoOrNull(issue.archivedAt),
      startedAt: isoOrNull(issue.startedAt),
      completedAt: isoOrNull(issue.completedAt),
      canceledAt: isoOrNull(issue.canceledAt),
      stateId: state.id,
      state: { id: state.id, name: state.name, color: state.color, type: state.type },
      assigneeId: issue.assigneeId,
      assignee: person(issue.assigneeId),
      delegateId: issue.delegateId,
      delegate: person(issue.delegateId),
      creatorId: issue.creatorId,
      creator: person(issue.creatorId),
      labelIds: issue.labelIds,
      labels: this.#world.labelsOf(issue).map(({ id, name, color }) => ({ id, name, color, parentId: null })),
      projectId: issue.projectId,
      ...(project && { project: { id: project.id, name: project.name, url: this.#urls.project(project) } }),
      parentId: issue.parentId,
      priority: 0,
      priorityLabel: 'No priority',
      prioritySortOrder: 0,
      sortOrder: issue.number,
      previousIdentifiers: [],
      reactionData: [],
      releases: [],
      subscriberIds: issue.creatorId === null ? [] : [issue.creatorId],
      trashed: issue.trashed || null,
    };
  }

  #comment(comment: Comment) {
    const { id, body, issueId, documentId, userId } = comment;
    const place = issueId === null ? { documentContentId: documentId } : { issueId };
    return { id, body, ...place, ...(userId !== null && { userId }) };
  }

  #user(user: User) {
    return { id: user.id, name: user.name, email: user.email, url: this.#urls.user(user), avatarUrl: null };
  }

  /** What the app does is done by its OAuth client. */
  #actor(user: User) {
    if (user.app) return { id: this.#identity().oauthClientId, name: user.name, type: 'oauthClient' };
    return { ...this.#user(user), type: 'user' };
  }
}

/** Where a session came from: null for a delegation. */
export function sourceMetadata({ sourceCommentId }: AgentSession): object | null {
  return sourceCommentId === null ? null : { type: 'comment', agentSessionMetadata: { sourceCommentId } };
}

function teamChild(team: Team) {
  return { id: team.id, key: team.key, name: team.name };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time);
}
