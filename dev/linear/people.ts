/**
 * What people do with issues: create and change them, give them to the agent and take them back, comment, mention, stop. Each does
 * what Linear would then do: change the issue, open a session or prompt one, and send the webhooks.
 */
import { randomUUID } from 'node:crypto';
import {
  addComment,
  mentionsAgent,
  mustBeAllowed,
  onIssue,
  prompt,
  reply,
  seesTeam,
  startSession,
  withMention,
} from './conversation.ts';
import { changeIssue, type IssueChanges } from './issue-changes.ts';
import { RefusedError } from './refused.ts';
import { emit, type Simulation } from './simulation.ts';
import type { Activity, AgentSession, Comment, Issue, Relation, Team, User } from './state/model.ts';
import { newIssue, newLabel, newTeam } from './state/seed.ts';

export interface NewIssue {
  title: string;
  description?: string | null;
  /** Key of the team; by default ENG, or the first there is. */
  team?: string;
  /** By name; one the team does not have yet is made. */
  labels?: string[];
  /** By name; made if there is none. */
  project?: string;
  /** The issue it is a part of. */
  parent?: string;
}

/** What can be changed of an issue; what is not given stays. */
export interface IssueEdit {
  title?: string | undefined;
  description?: string | null | undefined;
  /** All of them, by name. */
  labels?: string[] | undefined;
  /** By name; null: none. */
  project?: string | null | undefined;
  /** Whether the person at the page has it. */
  assigned?: boolean | undefined;
}

export interface CommentPlace {
  /** `agent`: in the thread of the agent's session, which makes it a prompt; `issue`: beside it. Default: agent, if there is one. */
  thread?: 'agent' | 'issue';
  /** Which session's thread; default: the latest. */
  sessionId?: string;
  /** A comment of the issue to reply to, instead. */
  parentId?: string;
}

export class People {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** A description that mentions the agent starts it. @throws RefusedError when the title is empty or the team unknown */
  createIssue({ title, description = null, team: teamKey, labels = [], project, parent }: NewIssue): Issue {
    const { world, clock, payloads } = this.#simulation;
    if (title.trim() === '') throw new RefusedError(400, 'an issue needs a title');
    const team = this.#team(teamKey);
    const labelIds = this.#labelIds(team, labels);
    const projectId = project === undefined ? null : this.#projectId(project);
    const parentId = parent === undefined ? null : this.issue(parent).id;
    const creatorId = world.person.id;
    const issue = newIssue(team, clock.now(), { title, description, creatorId, labelIds, projectId, parentId });
    world.addIssue(issue);
    world.changed(issue.id);
    emit(this.#simulation, payloads.issueCreated(issue, world.person));
    if (mentionsAgent(this.#simulation, description)) this.#mentionInDescription(issue);
    return issue;
  }

  /** Changes title, description, labels, project or assignee. A mention that is new in the description starts the agent. */
  editIssue(reference: string, edit: IssueEdit): Issue {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    if (edit.title?.trim() === '') throw new RefusedError(400, 'an issue needs a title');
    const mentionedBefore = mentionsAgent(this.#simulation, issue.description);
    const { title, description, labels, project, assigned } = edit;
    const changes: IssueChanges = {
      ...(title !== undefined && { title }),
      ...(description !== undefined && { description }),
      ...(labels && { labelIds: this.#labelIds(world.teamOf(issue), labels) }),
      ...(project !== undefined && { projectId: project === null ? null : this.#projectId(project) }),
      ...(assigned !== undefined && { assigneeId: assigned ? world.person.id : null }),
    };
    changeIssue(this.#simulation, issue, changes, world.person);
    if (!mentionedBefore && mentionsAgent(this.#simulation, issue.description)) this.#mentionInDescription(issue);
    return issue;
  }

  /** Says how an issue is to another one. */
  relate(reference: string, type: Relation['type'], other: string): Relation {
    const { world, clock } = this.#simulation;
    const [issueId, relatedIssueId] = [this.issue(reference).id, this.issue(other).id];
    if (issueId === relatedIssueId) throw new RefusedError(400, 'an issue has no relation to itself');
    const relation = { id: randomUUID(), type, issueId, relatedIssueId, createdAt: clock.now() };
    world.relations.set(relation.id, relation);
    world.changed(issueId);
    return relation;
  }

  /** Moves an issue to the trash. The API still has it, marked as such. */
  removeIssue(reference: string): Issue {
    const { world, clock, payloads } = this.#simulation;
    const issue = this.issue(reference);
    if (issue.trashed) throw new RefusedError(409, `${world.identifier(issue)} is removed already`);
    issue.trashed = true;
    issue.updatedAt = clock.now();
    world.changed(issue.id);
    emit(this.#simulation, payloads.issueRemoved(issue, world.person));
    return issue;
  }

  /** Archives an issue, as Linear does by itself after a while, or takes it back. */
  archiveIssue(reference: string, isArchived: boolean): Issue {
    const { world, clock, payloads } = this.#simulation;
    const issue = this.issue(reference);
    if ((issue.archivedAt !== null) === isArchived) return issue;
    const at = (time: number | null) => (time === null ? null : new Date(time).toISOString());
    const updatedFrom = { archivedAt: at(issue.archivedAt), updatedAt: at(issue.updatedAt) };
    issue.archivedAt = isArchived ? clock.now() : null;
    issue.updatedAt = clock.now();
    world.changed(issue.id);
    emit(this.#simulation, payloads.issueUpdated(issue, world.person, updatedFrom));
    return issue;
  }

  /**
   * @param parentKey of the team it is a part of
   * @param members display names of those who alone see it, which makes it private; left out: it is public
   */
  createTeam(key: string, name: string, parentKey?: string, members?: string[]): Team {
    const { world, clock } = this.#simulation;
    if ([...world.teams.values()].some((team) => team.key === key)) {
      throw new RefusedError(409, `there is a team ${key} already`);
    }
    const parentId = parentKey === undefined ? null : this.#team(parentKey).id;
    const memberIds = members?.map((displayName) => this.person(displayName).id) ?? null;
    const team = newTeam(key, name, clock.now(), parentId, memberIds);
    world.teams.set(team.id, team);
    return team;
  }

  /** A person of the workspace. @throws RefusedError 404 */
  person(displayName: string): User {
    const user = this.#simulation.world.people().find((one) => one.displayName === displayName);
    if (!user) throw new RefusedError(404, `there is nobody called ${displayName}`);
    return user;
  }

  /** Changes what somebody may do in the workspace, as an admin does in Linear's settings; what is left out stays. */
  changePerson(displayName: string, changes: Partial<Pick<User, 'admin' | 'guest' | 'active' | 'name'>>): User {
    const user = Object.assign(this.person(displayName), changes);
    this.#simulation.world.changed(null);
    return user;
  }

  /** Replaces the members of a team. @param members display names. @throws RefusedError 404 */
  setMembers(teamKey: string, members: string[]): Team {
    const team = this.#team(teamKey);
    team.memberIds = members.map((displayName) => this.person(displayName).id);
    this.#simulation.world.changed(null);
    return team;
  }

  /**
   * Gives an issue to the agent, which opens a new session.
   * @param by `automation`: no person is behind it, as with triage rules; the session then has no creator
   */
  delegate(reference: string, by: 'person' | 'automation' = 'person'): AgentSession {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    mustBeAllowed(this.#simulation, 'app:assignable', 'be given issues');
    if (!seesTeam(this.#simulation, issue.teamId)) {
      throw new RefusedError(409, `${world.appUser.name} has no access to the team ${world.teamOf(issue).key}`);
    }
    if (issue.delegateId === world.appUser.id) {
      throw new RefusedError(409, `${world.identifier(issue)} is assigned to ${world.appUser.name} already`);
    }
    const actor = by === 'person' ? world.person : null;
    const session = startSession(this.#simulation, onIssue(issue), { creatorId: actor?.id ?? null, source: null });
    // Who gives an issue to an agent answers for it: they become its assignee if there is none.
    const assigneeId = issue.assigneeId ?? actor?.id ?? null;
    changeIssue(this.#simulation, issue, { delegateId: world.appUser.id, assigneeId }, actor);
    return session;
  }

  /** Takes an issue away from the agent. */
  undelegate(reference: string): Issue {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    if (issue.delegateId !== world.appUser.id) {
      throw new RefusedError(409, `${world.identifier(issue)} is not assigned to ${world.appUser.name}`);
    }
    changeIssue(this.#simulation, issue, { delegateId: null }, world.person);
    return issue;
  }

  /** Moves an issue to the state of that name ("In Review") or, failing that, the first of that type ("canceled"). */
  moveIssue(reference: string, stateName: string): Issue {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    const { states, key } = world.teamOf(issue);
    const wanted = stateName.toLowerCase();
    const state = states.find((one) => one.name.toLowerCase() === wanted) ?? states.find((one) => one.type === wanted);
    if (!state) {
      const names = states.map((one) => one.name).join(', ');
      throw new RefusedError(400, `team ${key} has no state "${stateName}"; it has ${names}`);
    }
    changeIssue(this.#simulation, issue, { stateId: state.id }, world.person);
    return issue;
  }

  /** Writes a comment. In the agent's thread it prompts the session; elsewhere it does if it mentions the agent. */
  comment(reference: string, body: string, { thread, sessionId, parentId }: CommentPlace = {}): Comment {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    if (parentId !== undefined) return this.#replyTo(issue, parentId, body);
    const session = sessionId === undefined ? world.sessionsOf(issue.id).at(-1) : this.#session(issue, sessionId);
    if (thread === 'agent' && !session) {
      throw new RefusedError(409, `${world.identifier(issue)} has no agent session to reply to`);
    }
    if (session && thread !== 'issue') return reply(this.#simulation, session, body);
    return this.#commentOnIssue(issue, body, null);
  }

  /** Writes a comment on the issue that mentions the agent (`@cyrus` is put in front if the text lacks it). */
  mention(reference: string, body: string): Comment {
    return this.comment(reference, withMention(this.#simulation, body), { thread: 'issue' });
  }

  /**
   * A comment that somebody wrote in Slack or on GitHub, in a thread that is synced with the issue: no member is its author, and of
   * a session that it opens nobody is the creator.
   */
  commentFromOutside(
    reference: string,
    body: string,
    outside: NonNullable<Comment['outside']>,
    parentId: string | null = null,
  ): Comment {
    const issue = this.issue(reference);
    const rootId = parentId === null ? null : (this.#comment(issue, parentId).parentId ?? parentId);
    const { world, payloads } = this.#simulation;
    const comment = addComment(this.#simulation, onIssue(issue), body, rootId, outside);
    if (!seesTeam(this.#simulation, issue.teamId)) return comment;
    if (mentionsAgent(this.#simulation, body))
      startSession(this.#simulation, onIssue(issue), { creatorId: null, source: comment });
    else if (issue.delegateId === world.appUser.id)
      emit(this.#simulation, payloads.notification('issueNewComment', issue, null, { comment }));
    return comment;
  }

  /** Reacts to an issue, or to a comment on it, with an emoji by its name ("thumbsup"). */
  react(reference: string, reactionEmoji: string, commentId?: string): void {
    const { world, payloads } = this.#simulation;
    const issue = this.issue(reference);
    if (commentId === undefined) {
      const extra = { reactionEmoji };
      emit(this.#simulation, payloads.notification('issueEmojiReaction', issue, world.person, extra));
    } else {
      const extra = { reactionEmoji, comment: this.#comment(issue, commentId) };
      emit(this.#simulation, payloads.notification('issueCommentReaction', issue, world.person, extra));
    }
  }

  /** Notifies the agent of something else about an issue; Linear has about 90 kinds ("issueDue", "issueThreadResolved"). */
  notify(reference: string, kind: string): void {
    const { world, payloads } = this.#simulation;
    emit(this.#simulation, payloads.notification(kind, this.issue(reference), world.person));
  }

  /** Presses stop on a session (the issue's latest by default). */
  stop(reference: string, sessionId?: string): Activity {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    const session = sessionId === undefined ? world.sessionsOf(issue.id).at(-1) : this.#session(issue, sessionId);
    if (!session) throw new RefusedError(409, `${world.identifier(issue)} has no agent session to stop`);
    return prompt(this.#simulation, session, { body: 'stop', commentId: null, signal: 'stop' });
  }

  /** @throws RefusedError 404 */
  issue(reference: string): Issue {
    const issue = this.#simulation.world.findIssue(reference);
    if (!issue) throw new RefusedError(404, `there is no issue ${reference}`);
    return issue;
  }

  #replyTo(issue: Issue, commentId: string, body: string): Comment {
    const comment = this.#comment(issue, commentId);
    const rootId = comment.parentId ?? comment.id;
    const session = this.#simulation.world.sessionOfThread(rootId);
    return session ? reply(this.#simulation, session, body) : this.#commentOnIssue(issue, body, rootId);
  }

  #commentOnIssue(issue: Issue, body: string, parentId: string | null): Comment {
    const { world, payloads } = this.#simulation;
    const comment = addComment(this.#simulation, onIssue(issue), body, parentId);
    if (!seesTeam(this.#simulation, issue.teamId)) return comment;
    if (mentionsAgent(this.#simulation, body)) {
      // A later mention continues the latest session, working or completed (since 2026-09-24).
      const latest = world.sessionsOf(issue.id).at(-1);
      if (latest) prompt(this.#simulation, latest, { body, commentId: comment.id, signal: null });
      else startSession(this.#simulation, onIssue(issue), { creatorId: world.person.id, source: comment });
      emit(this.#simulation, payloads.notification('issueCommentMention', issue, world.person, { comment }));
    } else if (issue.delegateId === world.appUser.id) {
      emit(this.#simulation, payloads.notification('issueNewComment', issue, world.person, { comment }));
    }
    return comment;
  }

  /** Like delegation: the session's thread begins with a placeholder, and the task is in the issue. */
  #mentionInDescription(issue: Issue): void {
    const { world, payloads } = this.#simulation;
    if (!seesTeam(this.#simulation, issue.teamId)) return;
    if (world.sessionsOf(issue.id).length === 0) {
      startSession(this.#simulation, onIssue(issue), { creatorId: world.person.id, source: null });
    }
    emit(this.#simulation, payloads.notification('issueMention', issue, world.person));
  }

  #comment(issue: Issue, commentId: string): Comment {
    const { world } = this.#simulation;
    const comment = world.comments.get(commentId);
    if (comment?.issueId === issue.id) return comment;
    throw new RefusedError(404, `${world.identifier(issue)} has no comment ${commentId}`);
  }

  #session(issue: Issue, sessionId: string): AgentSession {
    const session = this.#simulation.world.sessions.get(sessionId);
    if (session?.issueId === issue.id) return session;
    throw new RefusedError(404, `${this.#simulation.world.identifier(issue)} has no agent session ${sessionId}`);
  }

  #labelIds(team: Team, names: readonly string[]): string[] {
    return names.map((name) => {
      const existing = team.labels.find((label) => label.name.toLowerCase() === name.toLowerCase());
      if (existing) return existing.id;
      const label = newLabel(name);
      team.labels.push(label);
      return label.id;
    });
  }

  #projectId(name: string): string {
    const { world, clock } = this.#simulation;
    const existing = [...world.projects.values()].find((project) => project.name.toLowerCase() === name.toLowerCase());
    if (existing) return existing.id;
    const project = { id: randomUUID(), name, createdAt: clock.now() };
    world.projects.set(project.id, project);
    return project.id;
  }

  #team(key: string | undefined): Team {
    const teams = [...this.#simulation.world.teams.values()];
    const team = key === undefined ? teams[0] : teams.find((candidate) => candidate.key === key);
    if (team) return team;
    throw new RefusedError(404, `there is no team ${key}; there is ${teams.map((one) => one.key).join(', ')}`);
  }
}
