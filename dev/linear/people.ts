/**
 * What people do in the workspace: create issues, give them to the agent and take them back, comment, mention, stop. Each does what
 * Linear would then do: change the issue, open a session or prompt one, and send the webhooks.
 */
import { randomUUID } from 'node:crypto';
import { changeIssue } from './issue-changes.ts';
import type { Scope } from './oauth/model.ts';
import { RefusedError } from './refused.ts';
import { emit, type Simulation } from './simulation.ts';
import type { Activity, AgentSession, Comment, Issue, Signal, Team } from './state/model.ts';
import { newIssue, newLabel, newTeam } from './state/seed.ts';
import { mentionOf } from './webhooks/prompt-context.ts';

export interface NewIssue {
  title: string;
  description?: string | null;
  /** Key of the team; by default ENG, or the first there is. */
  team?: string;
  /** By name; one the team does not have yet is made. */
  labels?: string[];
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

  /** @throws RefusedError when the title is empty or the team unknown */
  createIssue({ title, description = null, team: teamKey, labels = [] }: NewIssue): Issue {
    const { world, clock, payloads } = this.#simulation;
    if (title.trim() === '') throw new RefusedError(400, 'an issue needs a title');
    const team = this.#team(teamKey);
    const labelIds = labels.map((name) => {
      const existing = team.labels.find((label) => label.name.toLowerCase() === name.toLowerCase());
      if (existing) return existing.id;
      const label = newLabel(name);
      team.labels.push(label);
      return label.id;
    });
    const issue = newIssue(team, clock.now(), { title, description, creatorId: world.person.id, labelIds });
    world.addIssue(issue);
    world.changed(issue.id);
    emit(this.#simulation, payloads.issueCreated(issue, world.person));
    return issue;
  }

  createTeam(key: string, name: string): Team {
    const { world, clock } = this.#simulation;
    if ([...world.teams.values()].some((team) => team.key === key)) {
      throw new RefusedError(409, `there is a team ${key} already`);
    }
    const team = newTeam(key, name, clock.now());
    world.teams.set(team.id, team);
    return team;
  }

  /**
   * Gives an issue to the agent, which opens a new session.
   * @param by `automation`: no person stands behind it, as with triage rules; the session then has no creator
   */
  delegate(reference: string, by: 'person' | 'automation' = 'person'): AgentSession {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    this.#mustBeAbleTo('app:assignable', 'be given issues');
    if (issue.delegateId === world.appUser.id) {
      throw new RefusedError(409, `${world.identifier(issue)} is assigned to ${world.appUser.name} already`);
    }
    const actor = by === 'person' ? world.person : null;
    const session = this.#openSession(issue, { creatorId: actor?.id ?? null, source: null });
    changeIssue(this.#simulation, issue, { delegateId: world.appUser.id }, actor);
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
    if (body.trim() === '') throw new RefusedError(400, 'a comment needs text');
    if (parentId !== undefined) return this.#replyTo(issue, parentId, body);
    const session = sessionId === undefined ? world.sessionsOf(issue.id).at(-1) : this.#session(issue, sessionId);
    if (thread === 'agent' && !session) {
      throw new RefusedError(409, `${world.identifier(issue)} has no agent session to reply to`);
    }
    if (session && thread !== 'issue') return this.#reply(session, body);
    return this.#commentOnIssue(issue, body, null);
  }

  /** Writes a comment on the issue that mentions the agent (`@cyrus` is put in front if the text lacks it). */
  mention(reference: string, body: string): Comment {
    const { displayName } = this.#simulation.world.appUser;
    this.#mustBeAbleTo('app:mentionable', 'be mentioned');
    const text = this.#mentionsAgent(body) ? body : `@${displayName} ${body}`;
    return this.comment(reference, text, { thread: 'issue' });
  }

  /** Presses stop on a session (the issue's latest by default). */
  stop(reference: string, sessionId?: string): Activity {
    const { world } = this.#simulation;
    const issue = this.issue(reference);
    const session = sessionId === undefined ? world.sessionsOf(issue.id).at(-1) : this.#session(issue, sessionId);
    if (!session) throw new RefusedError(409, `${world.identifier(issue)} has no agent session to stop`);
    return this.#prompt(session, 'stop', null, 'stop');
  }

  /** @throws RefusedError 404 */
  issue(reference: string): Issue {
    const issue = this.#simulation.world.findIssue(reference);
    if (!issue) throw new RefusedError(404, `there is no issue ${reference}`);
    return issue;
  }

  #reply(session: AgentSession, body: string): Comment {
    const { world, payloads } = this.#simulation;
    const comment = this.#addComment(session.issueId, body, session.commentId);
    const issue = world.issue(session.issueId);
    this.#prompt(session, body, comment.id, null);
    emit(this.#simulation, payloads.notification('issueNewComment', issue, world.person, comment));
    return comment;
  }

  #replyTo(issue: Issue, commentId: string, body: string): Comment {
    const { world } = this.#simulation;
    const comment = world.comments.get(commentId);
    if (comment?.issueId !== issue.id) {
      throw new RefusedError(404, `${world.identifier(issue)} has no comment ${commentId}`);
    }
    const rootId = comment.parentId ?? comment.id;
    const session = world.sessionOfThread(rootId);
    return session ? this.#reply(session, body) : this.#commentOnIssue(issue, body, rootId);
  }

  #commentOnIssue(issue: Issue, body: string, parentId: string | null): Comment {
    const { world, payloads } = this.#simulation;
    const comment = this.#addComment(issue.id, body, parentId);
    if (this.#mentionsAgent(body)) {
      // A later mention continues the latest session, working or completed (since 2026-09-24).
      const latest = world.sessionsOf(issue.id).at(-1);
      if (latest) this.#prompt(latest, body, comment.id, null);
      else this.#openSession(issue, { creatorId: world.person.id, source: comment });
      emit(this.#simulation, payloads.notification('issueCommentMention', issue, world.person, comment));
    } else if (issue.delegateId === world.appUser.id) {
      emit(this.#simulation, payloads.notification('issueNewComment', issue, world.person, comment));
    }
    return comment;
  }

  #openSession(issue: Issue, origin: { creatorId: string | null; source: Comment | null }): AgentSession {
    const session = openSession(this.#simulation, issue, origin);
    emit(this.#simulation, this.#simulation.payloads.sessionCreated(session));
    return session;
  }

  #prompt(session: AgentSession, body: string, commentId: string | null, signal: Signal | null): Activity {
    const { world, clock, payloads } = this.#simulation;
    const now = clock.now();
    const activity: Activity = {
      id: randomUUID(),
      content: { type: 'prompt', body },
      ephemeral: false,
      vanished: false,
      signal,
      signalMetadata: null,
      commentId,
      userId: world.person.id,
      createdAt: now,
    };
    world.addActivity(session, activity);
    session.updatedAt = now;
    session.endedAt = null;
    world.changed(session.issueId);
    emit(this.#simulation, payloads.sessionPrompted(session, activity));
    return activity;
  }

  #addComment(issueId: string, body: string, parentId: string | null): Comment {
    const { world, clock } = this.#simulation;
    const userId = world.person.id;
    const comment = { id: randomUUID(), issueId, parentId, body, userId, createdAt: clock.now() };
    world.addComment(comment);
    world.changed(issueId);
    return comment;
  }

  #can(scope: Scope): boolean {
    return this.#simulation.installed()?.installation.scopes.includes(scope) ?? false;
  }

  /** @throws RefusedError 409 */
  #mustBeAbleTo(scope: Scope, what: string): void {
    if (this.#can(scope)) return;
    const { world, installed } = this.#simulation;
    const agent = world.appUser.name;
    const reason = installed() ? `the scope ${scope} was not granted` : 'it is not installed';
    throw new RefusedError(409, `${agent} cannot ${what} in ${world.workspace.name}: ${reason}`);
  }

  #mentionsAgent(body: string): boolean {
    if (!this.#can('app:mentionable')) return false;
    return mentionOf(this.#simulation.world.appUser.displayName).test(body);
  }

  #session(issue: Issue, sessionId: string): AgentSession {
    const session = this.#simulation.world.sessions.get(sessionId);
    if (session?.issueId === issue.id) return session;
    throw new RefusedError(404, `${this.#simulation.world.identifier(issue)} has no agent session ${sessionId}`);
  }

  #team(key: string | undefined): Team {
    const teams = [...this.#simulation.world.teams.values()];
    const team = key === undefined ? teams[0] : teams.find((candidate) => candidate.key === key);
    if (team) return team;
    throw new RefusedError(404, `there is no team ${key}; there is ${teams.map((one) => one.key).join(', ')}`);
  }
}

/**
 * Opens a session on an issue, with the thread it lives in. Tells nobody: that depends on who opens it.
 * @param origin who is behind it, and the comment that starts it, if one does
 */
export function openSession(
  { world, clock }: Simulation,
  issue: Issue,
  origin: { creatorId: string | null; source: Comment | null },
): AgentSession {
  const now = clock.now();
  let thread = origin.source;
  if (!thread) {
    const body = `This thread is for an agent session with ${world.appUser.displayName}.`;
    thread = { id: randomUUID(), issueId: issue.id, parentId: null, body, userId: null, createdAt: now };
    world.addComment(thread);
  }
  const session: AgentSession = {
    id: randomUUID(),
    issueId: issue.id,
    commentId: thread.parentId ?? thread.id,
    sourceCommentId: origin.source?.id ?? null,
    creatorId: origin.creatorId,
    createdAt: now,
    updatedAt: now,
    startedAt: null,
    endedAt: null,
    acknowledgedAt: null,
    summary: null,
    plan: null,
    externalUrls: [],
    activities: [],
  };
  world.addSession(session);
  world.changed(issue.id);
  return session;
}
