/** The workspace as tests and the page read it: whole threads in one piece, with what Linear no longer shows. */
import type { SimulatorClock } from '../clock.ts';
import type {
  Activity,
  AgentSession,
  Attachment,
  Comment,
  Document,
  ExternalUrl,
  Issue,
  Plan,
  User,
} from '../state/model.ts';
import { type SessionStatus, sessionStatus } from '../state/session-status.ts';
import type { World } from '../state/world.ts';
import type { LinearUrls } from '../urls.ts';

export interface IssueSummary {
  id: string;
  /** "ENG-1". */
  identifier: string;
  title: string;
  url: string;
  state: { name: string; type: string; color: string };
  team: string;
  labels: { name: string; color: string }[];
  project: string | null;
  /** Whether the person at the page has it. */
  assigned: boolean;
  /** It is in the trash. */
  removed: boolean;
  /** The agent has it. */
  delegated: boolean;
  /** Of the latest session; null when there is none. */
  session: { id: string; status: SessionStatus; unresponsive: boolean } | null;
  createdAt: string;
  updatedAt: string;
}

export interface Author {
  id: string;
  name: string;
  app: boolean;
}

export interface ActivityView {
  id: string;
  /** thought, action, elicitation, response, error, or prompt (by a person). */
  type: Activity['content']['type'];
  content: Activity['content'];
  ephemeral: boolean;
  /** False: an ephemeral activity that the next one replaced. */
  visible: boolean;
  signal: Activity['signal'];
  signalMetadata: Activity['signalMetadata'];
  commentId: string | null;
  author: Author;
  createdAt: string;
}

export interface SessionView {
  id: string;
  /** Null: it is about a document. */
  issueId: string | null;
  documentId: string | null;
  status: SessionStatus;
  /** More than ten seconds passed before the first sign of life (or still none came). */
  unresponsive: boolean;
  summary: string | null;
  plan: Plan | null;
  externalUrls: ExternalUrl[];
  commentId: string;
  sourceCommentId: string | null;
  creator: Author | null;
  createdAt: string;
  startedAt: string | null;
  endedAt: string | null;
  url: string;
  /** In order, including what is no longer visible. */
  activities: ActivityView[];
}

export interface CommentView {
  id: string;
  parentId: string | null;
  body: string;
  author: Author | null;
  createdAt: string;
  /** Belongs to a session's thread. */
  sessionId: string | null;
}

/** An issue with everything on it; lists are oldest first. */
export interface Thread {
  issue: IssueSummary & { description: string | null };
  attachments: Pick<Attachment, 'id' | 'url' | 'title'>[];
  comments: CommentView[];
  sessions: SessionView[];
}

export interface DocumentSummary {
  id: string;
  title: string;
  url: string;
  /** Of the latest session; null when there is none. */
  session: IssueSummary['session'];
  createdAt: string;
}

/** A document with everything on it; lists are oldest first. */
export interface DocumentThread {
  document: DocumentSummary & { content: string };
  comments: CommentView[];
  sessions: SessionView[];
}

export class ControlViews {
  readonly #world: World;
  readonly #clock: SimulatorClock;
  readonly #urls: LinearUrls;

  constructor(world: World, clock: SimulatorClock, urls: LinearUrls) {
    this.#world = world;
    this.#clock = clock;
    this.#urls = urls;
  }

  summary(issue: Issue): IssueSummary {
    const { name, type, color } = this.#world.stateOf(issue);
    return {
      id: issue.id,
      identifier: this.#world.identifier(issue),
      title: issue.title,
      url: this.#urls.issue(issue),
      state: { name, type, color },
      team: this.#world.teamOf(issue).key,
      labels: this.#world.labelsOf(issue).map((label) => ({ name: label.name, color: label.color })),
      project: this.#world.projectOf(issue)?.name ?? null,
      assigned: issue.assigneeId === this.#world.person.id,
      removed: issue.trashed,
      delegated: issue.delegateId === this.#world.appUser.id,
      session: this.#latestSession(issue.id),
      createdAt: iso(issue.createdAt),
      updatedAt: iso(issue.updatedAt),
    };
  }

  thread(issue: Issue): Thread {
    const attachments = this.#world.attachmentsOf(issue.id);
    return {
      issue: { ...this.summary(issue), description: issue.description },
      attachments: attachments.map(({ id, url, title }) => ({ id, url, title })),
      ...this.#conversation(issue.id),
    };
  }

  documentSummary(document: Document): DocumentSummary {
    const { id, title, createdAt } = document;
    const url = this.#urls.document(document);
    return { id, title, url, session: this.#latestSession(id), createdAt: iso(createdAt) };
  }

  documentThread(document: Document): DocumentThread {
    const { content } = document;
    return { document: { ...this.documentSummary(document), content }, ...this.#conversation(document.id) };
  }

  session(session: AgentSession): SessionView {
    const { id, issueId, documentId, summary, plan, externalUrls, commentId, sourceCommentId } = session;
    const { creatorId, createdAt, startedAt, endedAt } = session;
    return {
      ...{ id, issueId, documentId, summary, plan, externalUrls, commentId, sourceCommentId },
      ...sessionStatus(session, this.#clock.now()),
      creator: this.#author(this.#world.userOrNull(creatorId)),
      createdAt: iso(createdAt),
      startedAt: startedAt === null ? null : iso(startedAt),
      endedAt: endedAt === null ? null : iso(endedAt),
      url: this.#urls.session(session),
      activities: session.activities.map((activity) => this.activity(activity)),
    };
  }

  activity(activity: Activity): ActivityView {
    const { id, content, ephemeral, vanished, signal, signalMetadata, commentId, userId, createdAt } = activity;
    const { name, app } = this.#world.user(userId);
    return {
      ...{ id, type: content.type, content, ephemeral, visible: !vanished, signal, signalMetadata, commentId },
      author: { id: userId, name, app },
      createdAt: iso(createdAt),
    };
  }

  comment(comment: Comment): CommentView {
    const { id, parentId, body, userId, createdAt } = comment;
    const session = this.#world.sessionOfThread(parentId ?? id);
    return {
      ...{ id, parentId, body, createdAt: iso(createdAt) },
      author: this.#author(this.#world.userOrNull(userId)),
      sessionId: session?.id ?? null,
    };
  }

  #conversation(placeId: string): Pick<Thread, 'comments' | 'sessions'> {
    return {
      comments: this.#world.commentsOf(placeId).map((comment) => this.comment(comment)),
      sessions: this.#world.sessionsOf(placeId).map((session) => this.session(session)),
    };
  }

  #latestSession(placeId: string): IssueSummary['session'] {
    const latest = this.#world.sessionsOf(placeId).at(-1);
    return latest ? { id: latest.id, ...sessionStatus(latest, this.#clock.now()) } : null;
  }

  #author(user: User | null): Author | null {
    return user && { id: user.id, name: user.name, app: user.app };
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
