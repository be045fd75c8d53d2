/** Everything in the simulated workspace, with the indexes that keep a lookup cheap when there are thousands of issues. */
import type {
  Activity,
  AgentSession,
  Attachment,
  Comment,
  Document,
  Guidance,
  Issue,
  Project,
  Relation,
  Team,
  User,
  Workspace,
} from './model.ts';

/** What is saved and restored. */
export interface WorldData {
  workspace: Workspace;
  users: User[];
  teams: Team[];
  projects: Project[];
  documents: Document[];
  issues: Issue[];
  relations: Relation[];
  comments: Comment[];
  sessions: AgentSession[];
  attachments: Attachment[];
  guidance: Guidance;
}

export class World {
  readonly workspace: Workspace;
  readonly users = new Map<string, User>();
  readonly teams = new Map<string, Team>();
  readonly projects = new Map<string, Project>();
  readonly documents = new Map<string, Document>();
  readonly issues = new Map<string, Issue>();
  readonly relations = new Map<string, Relation>();
  readonly comments = new Map<string, Comment>();
  readonly sessions = new Map<string, AgentSession>();
  readonly attachments = new Map<string, Attachment>();
  guidance: Guidance;
  /** What Linear would suggest, whatever the issue; null: see `suggestRepositories`. Not kept across restarts. */
  suggestedRepositories: { repositoryFullName: string; hostname: string; confidence: number }[] | null = null;
  /** The agent's user, and the person at the page. */
  readonly appUser: User;
  readonly person: User;

  readonly #issueByIdentifier = new Map<string, Issue>();
  readonly #commentsByPlace = new Map<string, Comment[]>();
  readonly #sessionsByPlace = new Map<string, AgentSession[]>();
  readonly #attachmentsByIssue = new Map<string, Attachment[]>();
  readonly #sessionByComment = new Map<string, AgentSession>();
  readonly #activities = new Map<string, { activity: Activity; session: AgentSession }>();
  readonly #listeners = new Set<(placeId: string | null) => void>();
  #syncId = 0;

  constructor(data: WorldData) {
    this.workspace = data.workspace;
    this.guidance = data.guidance;
    for (const user of data.users) this.users.set(user.id, user);
    for (const team of data.teams) this.teams.set(team.id, team);
    for (const project of data.projects) this.projects.set(project.id, project);
    for (const document of data.documents) this.documents.set(document.id, document);
    for (const issue of data.issues) this.addIssue(issue);
    for (const relation of data.relations) this.relations.set(relation.id, relation);
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
      projects: [...this.projects.values()],
      documents: [...this.documents.values()],
      issues: [...this.issues.values()],
      relations: [...this.relations.values()],
      comments: [...this.comments.values()],
      sessions: [...this.sessions.values()],
      attachments: [...this.attachments.values()],
      guidance: this.guidance,
    };
  }

  /** Called with the id of an issue or document after each change to it or to what hangs on it; null: to something else. */
  onChange(listener: (placeId: string | null) => void): void {
    this.#listeners.add(listener);
  }

  /** Announces a change, and counts it: Linear's `lastSyncId`. */
  changed(placeId: string | null): number {
    this.#syncId += 1;
    for (const listener of this.#listeners) listener(placeId);
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
    listOf(this.#commentsByPlace, placeOf(comment)).push(comment);
  }

  addSession(session: AgentSession): void {
    this.sessions.set(session.id, session);
    this.#sessionByComment.set(session.commentId, session);
    listOf(this.#sessionsByPlace, placeOf(session)).push(session);
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

  /** The issues that are a part of one; oldest first. */
  subIssuesOf(issueId: string): readonly Issue[] {
    return [...this.issues.values()].filter(({ parentId }) => parentId === issueId);
  }

  /** Relations of an issue; `from`: those that begin at it, else those that lead to it. Oldest first. */
  relationsOf(issueId: string, from: boolean): readonly Relation[] {
    return [...this.relations.values()].filter((one) => (from ? one.issueId : one.relatedIssueId) === issueId);
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

  /** Of an issue or document; oldest first, as all the lists here. */
  commentsOf(placeId: string): readonly Comment[] {
    return this.#commentsByPlace.get(placeId) ?? [];
  }

  /** The replies in the thread that a comment began; oldest first. */
  repliesTo(commentId: string): readonly Comment[] {
    return this.commentsOf(placeOf(this.comment(commentId))).filter(({ parentId }) => parentId === commentId);
  }

  sessionsOf(placeId: string): readonly AgentSession[] {
    return this.#sessionsByPlace.get(placeId) ?? [];
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

  findState(id: string): { state: Team['states'][number]; team: Team } | undefined {
    for (const team of this.teams.values()) {
      const state = team.states.find((candidate) => candidate.id === id);
      if (state) return { state, team };
    }
    return undefined;
  }

  stateOf(issue: Issue): Team['states'][number] {
    const state = this.teamOf(issue).states.find((candidate) => candidate.id === issue.stateId);
    return known(state, 'workflow state', issue.stateId);
  }

  labelsOf(issue: Issue): Team['labels'] {
    return this.teamOf(issue).labels.filter((label) => issue.labelIds.includes(label.id));
  }

  projectOf(issue: Issue): Project | null {
    return issue.projectId === null ? null : known(this.projects.get(issue.projectId), 'project', issue.projectId);
  }

  /** The team itself and those it is a part of, the nearest first. */
  teamAndParents(team: Team): Team[] {
    const parent = team.parentId === null ? undefined : this.teams.get(team.parentId);
    return parent ? [team, ...this.teamAndParents(parent)] : [team];
  }

  /** The teams that a person is a member of. */
  teamsOfMember({ id, guest }: User): Team[] {
    return [...this.teams.values()].filter(({ memberIds }) => memberIds?.includes(id) ?? !guest);
  }

  /** The teams whose issues a person sees: their own, and the public ones unless they are a guest. */
  teamsSeenBy(user: User): Team[] {
    const own = this.teamsOfMember(user);
    return [...this.teams.values()].filter(
      (team) => own.includes(team) || (!user.guest && team.visibility === 'public'),
    );
  }

  /** People, the one at the page first. */
  people(): User[] {
    return [...this.users.values()].filter(({ app }) => !app);
  }

  issue(issueId: string): Issue {
    return known(this.issues.get(issueId), 'issue', issueId);
  }

  /** Like `issue`, for ids that may be null. */
  issueOrNull(issueId: string | null): Issue | null {
    return issueId === null ? null : this.issue(issueId);
  }

  /** The document of something that is not about an issue. */
  document(documentId: string | null): Document {
    return known(this.documents.get(documentId ?? ''), 'document', String(documentId));
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

/** The id of the issue, or else the document, that something belongs to. */
export function placeOf({ issueId, documentId }: Pick<Comment, 'issueId' | 'documentId'>): string {
  return known(issueId ?? documentId ?? undefined, 'place', 'none');
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
