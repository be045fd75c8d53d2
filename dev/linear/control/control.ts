/**
 * Everything a test, a script or the page can do in a workspace of the simulator, as methods. The HTTP control API (./routes.ts) is
 * the same over the wire. Issues are named by identifier ("ENG-1") or id.
 */
import { prompt, reply } from '../conversation.ts';
import { Documents, type NewDocument } from '../documents.ts';
import { type CommentPlace, type IssueEdit, type NewIssue, People } from '../people.ts';
import { RefusedError } from '../refused.ts';
import { type AgentSession, type Guidance, type Relation, signalMetadataSchemas } from '../state/model.ts';
import { type ControlParts, MachineryControl } from './machinery-control.ts';
import type {
  ActivityView,
  CommentView,
  ControlViews,
  DocumentSummary,
  DocumentThread,
  IssueSummary,
  SessionView,
  Thread,
} from './views.ts';

/** What is not about one issue. */
export interface SimulatorState {
  workspace: { id: string; name: string; urlKey: string };
  appUser: { id: string; name: string; displayName: string };
  person: { id: string; name: string; isAdmin: boolean };
  /** The application in this workspace; null: there is none, and nothing is sent. */
  installed: { clientId: string; name: string; scopes: string[] } | null;
  teams: { key: string; name: string; states: { name: string; type: string }[] }[];
  clock: { now: string; speed: number };
  webhookUrl: string | null;
  issueCount: number;
}

export class Control extends MachineryControl {
  readonly #people: People;
  readonly #documents: Documents;
  readonly #views: ControlViews;

  constructor(parts: ControlParts) {
    super(parts);
    this.#people = new People(parts.simulation);
    this.#documents = new Documents(parts.simulation);
    this.#views = parts.views;
  }

  state(): SimulatorState {
    const { world, clock } = this.parts.simulation;
    const here = this.parts.simulation.installed();
    const { id, name, urlKey } = world.workspace;
    const { appUser, person } = world;
    return {
      workspace: { id, name, urlKey },
      appUser: { id: appUser.id, name: appUser.name, displayName: appUser.displayName },
      person: { id: person.id, name: person.name, isAdmin: person.admin },
      installed: here && {
        clientId: here.application.clientId,
        name: here.application.name,
        scopes: here.installation.scopes,
      },
      teams: [...world.teams.values()].map((team) => ({
        key: team.key,
        name: team.name,
        states: team.states.map((state) => ({ name: state.name, type: state.type })),
      })),
      clock: { now: clock.iso(), speed: clock.speed },
      webhookUrl: this.application().webhook.url,
      issueCount: world.issues.size,
    };
  }

  /** Newest first. @param limit at most this many */
  issues(limit = Number.POSITIVE_INFINITY): IssueSummary[] {
    const newestFirst = [...this.parts.simulation.world.issues.values()].filter((issue) => !issue.trashed).reverse();
    return newestFirst.slice(0, limit).map((issue) => this.#views.summary(issue));
  }

  createIssue(issue: NewIssue): IssueSummary {
    return this.#views.summary(this.#people.createIssue(issue));
  }

  /** Changes what people change of an issue; the app is told with the former values. */
  editIssue(issue: string, edit: IssueEdit): IssueSummary {
    return this.#views.summary(this.#people.editIssue(issue, edit));
  }

  /** Says that the issue blocks another one, is its duplicate, or has to do with it. */
  relate(issue: string, type: Relation['type'], other: string): void {
    this.#people.relate(issue, type, other);
  }

  /** Moves the issue to the trash. */
  removeIssue(issue: string): IssueSummary {
    return this.#views.summary(this.#people.removeIssue(issue));
  }

  /** Archives the issue, or takes it back. */
  archiveIssue(issue: string, isArchived = true): IssueSummary {
    return this.#views.summary(this.#people.archiveIssue(issue, isArchived));
  }

  /** Somebody who is no member comments in a thread that is synced with Slack or GitHub. */
  commentFromOutside(
    issue: string,
    body: string,
    from: { service: 'slack' | 'github'; name: string },
    parentId?: string,
  ): CommentView {
    return this.#views.comment(this.#people.commentFromOutside(issue, body, from, parentId));
  }

  /** @param parentKey of the team it is a part of */
  createTeam(key: string, name: string, parentKey?: string, members?: string[]): void {
    this.#people.createTeam(key, name, parentKey, members);
  }

  /** Changes what somebody may do in the workspace; `active: false` suspends them. @throws RefusedError 404 */
  changePerson(displayName: string, changes: Parameters<People['changePerson']>[1]): void {
    this.#people.changePerson(displayName, changes);
  }

  /** Replaces the members of a team, by their display names. @throws RefusedError 404 */
  setMembers(teamKey: string, members: string[]): void {
    this.#people.setMembers(teamKey, members);
  }

  /** @throws RefusedError 404 for an unknown issue, as all methods that take one */
  thread(issue: string): Thread {
    return this.#views.thread(this.#people.issue(issue));
  }

  session(sessionId: string): SessionView {
    return this.#views.session(this.#session(sessionId));
  }

  /** Assigns the issue to the agent. Returns the session this opens. */
  delegate(issue: string, by?: 'person' | 'automation'): SessionView {
    return this.#views.session(this.#people.delegate(issue, by));
  }

  /** Takes the issue away from the agent. */
  undelegate(issue: string): IssueSummary {
    return this.#views.summary(this.#people.undelegate(issue));
  }

  /** @param state name ("In Review") or type ("canceled") */
  moveIssue(issue: string, state: string): IssueSummary {
    return this.#views.summary(this.#people.moveIssue(issue, state));
  }

  /** Comments; in the thread of the issue's latest session if there is one, which prompts it. */
  comment(issue: string, body: string, place?: CommentPlace): CommentView {
    return this.#views.comment(this.#people.comment(issue, body, place));
  }

  /** Comments on the issue, mentioning the agent. */
  mention(issue: string, body: string): CommentView {
    return this.#views.comment(this.#people.mention(issue, body));
  }

  /** Presses stop; returns the prompt with the signal. */
  stop(issue: string, sessionId?: string): ActivityView {
    return this.#views.activity(this.#people.stop(issue, sessionId));
  }

  /** Reacts to the issue, or to a comment on it, with an emoji by its name ("thumbsup"). */
  react(issue: string, emoji: string, commentId?: string): void {
    this.#people.react(issue, emoji, commentId);
  }

  /** Notifies the agent of something else about an issue ("issueDue"). */
  notify(issue: string, kind: string): void {
    this.#people.notify(issue, kind);
  }

  /** Newest first. */
  documents(): DocumentSummary[] {
    const documents = [...this.parts.simulation.world.documents.values()].reverse();
    return documents.map((document) => this.#views.documentSummary(document));
  }

  createDocument(document: NewDocument): DocumentSummary {
    return this.#views.documentSummary(this.#documents.create(document));
  }

  documentThread(documentId: string): DocumentThread {
    return this.#views.documentThread(this.#documents.find(documentId));
  }

  /** Mentions the agent in a comment on a document. Returns the session this opens; it has no issue. */
  mentionInDocument(documentId: string, body: string): SessionView {
    return this.#views.session(this.#documents.mention(documentId, body));
  }

  /** Answers in a session's thread, wherever it is. */
  replyToSession(sessionId: string, body: string): CommentView {
    return this.#views.comment(reply(this.parts.simulation, this.#session(sessionId), body));
  }

  /** Presses stop in a session, wherever it is. */
  stopSession(sessionId: string): ActivityView {
    const said = { body: 'stop', commentId: null, signal: 'stop' as const };
    return this.#views.activity(prompt(this.parts.simulation, this.#session(sessionId), said));
  }

  /**
   * Answers the question a session waits with, by pressing one of its options.
   * @param option its label or its value
   * @throws RefusedError 409 when it does not wait with such an option
   */
  choose(sessionId: string, option: string): CommentView {
    const session = this.session(sessionId);
    const question = session.status === 'awaitingInput' ? session.activities.at(-1) : undefined;
    const options = question?.signal === 'select' ? optionsOf(question.signalMetadata) : [];
    const chosen = options.find(({ label, value }) => label === option || value === option);
    if (chosen) return this.replyToSession(sessionId, chosen.value);
    const known = options.map(({ label, value }) => label ?? value).join(', ') || 'none';
    throw new RefusedError(409, `the session waits with no option "${option}"; it has: ${known}`);
  }

  /** What people told agents about working here; goes into new sessions. */
  setGuidance(guidance: Guidance): void {
    this.parts.simulation.world.guidance = guidance;
  }

  #session(sessionId: string): AgentSession {
    const session = this.parts.simulation.world.sessions.get(sessionId);
    if (!session) throw new RefusedError(404, `there is no agent session ${sessionId}`);
    return session;
  }
}

function optionsOf(metadata: ActivityView['signalMetadata']): { label?: string | undefined; value: string }[] {
  return signalMetadataSchemas.select.parse(metadata).options;
}
