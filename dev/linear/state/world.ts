/** Everything in the simulated workspace, with the indexes that keep a lookup cheap when there are thousands of issues. */
import type { Activity, AgentSession, Attachment, Comment, Guidance, Issue, Team, User, Workspace } from './model.ts';

/** What is saved and restored. */
export interface WorldData {
  workspace: Workspace;
  users: User[];
  teams: Team[];
  issues: Issue[];
  comments: Comment[];
  sessions: AgentSession[];
  attachments: Attachment[];
  guidance: Guidance;
}

export class World {
  readonly workspace: Workspace;
  readonly users = new Map<string, User>();
  readonly teams = new Map<string, Team>();
  readonly issues = new Map<string, Issue>();
  readonly comments = new Map<string, Comment>();
  readonly sessions = new Map<string, AgentSession>();
  readonly attachments = new Map<string, Attachment>();
  guidance: Guidance;
  /** The agent's user, and the person at the page. */
  readonly appUser: User;
  readonly person: User;

  readonly #issueByIdentifier = new Map<string, Issue>();
  readonly #commentsByIssue = new Map<string, Comment[]>();
  readonly #sessionsByIssue = new Map<string, AgentSession[]>();
  readonly #attachmentsByIssue = new Map<string, Attachment[]>();
  readonly #sessionByComment = new Map<string, AgentSession>();
  readonly #activities = new Map<string, { activity: Activity; session: AgentSession }>();
  readonly #listeners = new Set<(issueId: string | null) => void>();
  #syncId = 0;

  constructor(data: WorldData) {
    this.workspace = data.workspace;
    this.guidance = data.guidance;
    for (const user of data.users) this.users.set(user.id, user);
    for (const team of data.teams) this.teams.set(team.id, team);
    for (const issue of data.issues) this.addIssue(issue);
    for (const comment of data.comments) this.addComment(comment);
    for (const session of data.sessions) this.addSession(session);
    for (const attachment of data.attachments) this.addAttachment(attachment);
    this.appUser = one(data.users, (user) => user.app, 'app user');
    this.person = one(data.users, (user) => !user.app, 'person');
  }

  /** A copy by reference, for saving. */
  data(): WorldData {
    return {
      workspace: this.workspace,
      users: [...this.users.values()],
      teams: [...this.teams.values()],
      issues: [...this.issues.values()],
      comments: [...this.comments.values()],
      sessions: [...this.sessions.values()],
      attachments: [...this.attachments.values()],
      guidance: this.guidance,
    };
  }

  /** Called with the issue's id after each change to it or to what hangs on it; null: to something else. */
  onChange(listener: (issueId: string | null) => void): void {
    this.#listeners.add(listener);
  }

  /** Announces a change, and counts it: Linear's `lastSyncId`. */
  changed(issueId: string | null): number {
    this.#syncId += 1;
    for (const listener of this.#listeners) listener(issueId);
    return this.#syncId;
  }

  get lastSyncId(): number {
    return this.#syncId;
  }

  addIssue(issue: Issue): void {
    this.issues.set(issue.id, issue);
    this.#issueByIdentifier.set(this.identifier(issue), issue);
  }

  addComment(comment: Comment): void {
    this.comments.set(comment.id, comment);
    listOf(this.#commentsByIssue, comment.issueId).push(comment);
  }

  addSession(session: AgentSession): void {
    this.sessions.set(session.id, session);
    this.#sessionByComment.set(session.commentId, session);
    listOf(this.#sessionsByIssue, session.issueId).push(session);
    for (const activity of session.activities) this.#activities.set(activity.id, { activity, session });
  }

  /** Appends an activity; ephemeral ones before it vanish. */
  addActivity(session: AgentSession, activity: Activity): void {
    const last = session.activities.at(-1);
    if (last?.ephemeral) last.vanished = true;
    session.activities.push(activity);
    this.#activities.set(activity.id, { activity, session });
  }

  addAttachment(attachment: Attachment): void {
    this.attachments.set(attachment.id, attachment);
    listOf(this.#attachmentsByIssue, attachment.issueId).push(attachment);
  }

  /** By UUID or by identifier ("ENG-1", in any case). */
  findIssue(reference: string): Issue | undefined {
    return this.issues.get(reference) ?? this.#issueByIdentifier.get(reference.toUpperCase());
  }

  findActivity(activityId: string): { activity: Activity; session: AgentSession } | undefined {
    return this.#activities.get(activityId);
  }

  /** The session whose thread this comment starts. */
  sessionOfThread(commentId: string): AgentSession | undefined {
    return this.#sessionByComment.get(commentId);
  }

  /** Oldest first, as all the lists here. */
  commentsOf(issueId: string): readonly Comment[] {
    return this.#commentsByIssue.get(issueId) ?? [];
  }

  sessionsOf(issueId: string): readonly AgentSession[] {
    return this.#sessionsByIssue.get(issueId) ?? [];
  }

  attachmentsOf(issueId: string): readonly Attachment[] {
    return this.#attachmentsByIssue.get(issueId) ?? [];
  }

  /** "ENG-1". */
  identifier(issue: Issue): string {
    return `${this.teamOf(issue).key}-${issue.number}`;
  }

  teamOf(issue: Issue): Team {
    return known(this.teams.get(issue.teamId), 'team', issue.teamId);
  }

  stateOf(issue: Issue): Team['states'][number] {
    const state = this.teamOf(issue).states.find((candidate) => candidate.id === issue.stateId);
    return known(state, 'workflow state', issue.stateId);
  }

  labelsOf(issue: Issue): Team['labels'] {
    return this.teamOf(issue).labels.filter((label) => issue.labelIds.includes(label.id));
  }

  issue(issueId: string): Issue {
    return known(this.issues.get(issueId), 'issue', issueId);
  }

  comment(commentId: string): Comment {
    return known(this.comments.get(commentId), 'comment', commentId);
  }

  user(userId: string): User {
    return known(this.users.get(userId), 'user', userId);
  }

  /** Like `user`, for ids that may be null. */
  userOrNull(userId: string | null): User | null {
    return userId === null ? null : this.user(userId);
  }
}

function listOf<Item>(map: Map<string, Item[]>, key: string): Item[] {
  let list = map.get(key);
  if (!list) {
    list = [];
    map.set(key, list);
  }
  return list;
}

function known<Item>(item: Item | undefined, what: string, id: string): Item {
  if (item === undefined) throw new Error(`the simulator's state refers to a ${what} it does not have: ${id}`);
  return item;
}

function one<Item>(items: Item[], matches: (item: Item) => boolean, what: string): Item {
  const found = items.find(matches);
  if (!found) throw new Error(`the simulator's state has no ${what}`);
  return found;
}
