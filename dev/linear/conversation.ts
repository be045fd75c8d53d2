/** What conversations with the agent are made of, on issues and in documents alike: threads, sessions, prompts. */
import { randomUUID } from 'node:crypto';
import type { Scope } from './oauth/model.ts';
import { RefusedError } from './refused.ts';
import { emit, type Simulation } from './simulation.ts';
import type { Activity, AgentSession, Comment, Issue, Signal } from './state/model.ts';
import { placeOf } from './state/world.ts';
import { mentionOf } from './webhooks/prompt-context.ts';

/** What something is under: an issue, or else a document. */
export type Place = Pick<Comment, 'issueId' | 'documentId'>;

export function onIssue({ id }: Issue): Place {
  return { issueId: id, documentId: null };
}

/**
 * Opens a session, with the thread it lives in. Tells nobody: that depends on who opens it.
 * @param origin who is behind it, and the comment that starts it, if one does
 */
export function openSession(
  { world, clock }: Simulation,
  { issueId, documentId }: Place,
  origin: { creatorId: string | null; source: Comment | null },
): AgentSession {
  const now = clock.now();
  let thread = origin.source;
  if (!thread) {
    const body = `This thread is for an agent session with ${world.appUser.displayName}.`;
    thread = { id: randomUUID(), issueId, documentId, parentId: null, body, userId: null, createdAt: now };
    world.addComment(thread);
  }
  const session: AgentSession = {
    id: randomUUID(),
    issueId,
    documentId,
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
  world.changed(placeOf(session));
  return session;
}

/** Opens a session and tells the agent. */
export function startSession(
  simulation: Simulation,
  place: Place,
  origin: { creatorId: string | null; source: Comment | null },
): AgentSession {
  const session = openSession(simulation, place, origin);
  emit(simulation, simulation.payloads.sessionCreated(session));
  return session;
}

/** Says something to the agent in a session, or presses stop there. */
export function prompt(
  simulation: Simulation,
  session: AgentSession,
  said: { body: string; commentId: string | null; signal: Signal | null },
): Activity {
  const { world, clock, payloads } = simulation;
  const now = clock.now();
  const activity: Activity = {
    id: randomUUID(),
    content: { type: 'prompt', body: said.body },
    ephemeral: false,
    vanished: false,
    signal: said.signal,
    signalMetadata: null,
    commentId: said.commentId,
    userId: world.person.id,
    createdAt: now,
  };
  world.addActivity(session, activity);
  session.updatedAt = now;
  session.endedAt = null;
  world.changed(placeOf(session));
  emit(simulation, payloads.sessionPrompted(session, activity));
  return activity;
}

/** Answers in the thread of a session, which prompts it. */
export function reply(simulation: Simulation, session: AgentSession, body: string): Comment {
  const { world, payloads } = simulation;
  const comment = addComment(simulation, session, body, session.commentId);
  prompt(simulation, session, { body, commentId: comment.id, signal: null });
  const issue = world.issueOrNull(session.issueId);
  if (issue) emit(simulation, payloads.notification('issueNewComment', issue, world.person, { comment }));
  return comment;
}

/** Writes a comment of the person at the page, or of somebody outside; what it means is up to the caller. */
export function addComment(
  { world, clock }: Simulation,
  { issueId, documentId }: Place,
  body: string,
  parentId: string | null,
  outside?: Comment['outside'],
): Comment {
  if (body.trim() === '') throw new RefusedError(400, 'a comment needs text');
  const author = outside ? { userId: null, outside } : { userId: world.person.id };
  const comment = { id: randomUUID(), issueId, documentId, parentId, body, ...author, createdAt: clock.now() };
  world.addComment(comment);
  world.changed(placeOf(comment));
  return comment;
}

/** Whether a text speaks to the agent, and the agent is one that can be spoken to. */
export function mentionsAgent(simulation: Simulation, text: string | null): boolean {
  if (text === null || !isAllowed(simulation, 'app:mentionable')) return false;
  return mentionOf(simulation.world.appUser.displayName).test(text);
}

/** @returns the text, with the mention in front where it lacks one. @throws RefusedError 409 when the agent cannot be mentioned */
export function withMention(simulation: Simulation, text: string): string {
  mustBeAllowed(simulation, 'app:mentionable', 'be mentioned');
  return mentionsAgent(simulation, text) ? text : `@${simulation.world.appUser.displayName} ${text}`;
}

/** Whether the application may see the team of an issue. */
export function seesTeam({ installed }: Simulation, teamId: string): boolean {
  return installed()?.installation.teamIds?.includes(teamId) ?? true;
}

/** @param what in words, for the message. @throws RefusedError 409 */
export function mustBeAllowed(simulation: Simulation, scope: Scope, what: string): void {
  if (isAllowed(simulation, scope)) return;
  const { world, installed } = simulation;
  const reason = installed() ? `the scope ${scope} was not granted` : 'it is not installed';
  throw new RefusedError(409, `${world.appUser.name} cannot ${what} in ${world.workspace.name}: ${reason}`);
}

function isAllowed({ installed }: Simulation, scope: Scope): boolean {
  return installed()?.installation.scopes.includes(scope) ?? false;
}
