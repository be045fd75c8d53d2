/**
 * agentSessionUpdate, and the sessions an agent opens itself.
 * Source: linear.app/developers/agent-interaction, "Agent plans" and "External URLs".
 */
import { z } from 'zod';
import { onIssue, openSession } from '../conversation.ts';
import { forbidden, invalidArgument, invalidShape, notFound, notSimulated } from '../errors.ts';
import { emit, type Simulation } from '../simulation.ts';
import { type AgentSession, type ExternalUrl, externalUrlSchema, type Plan, planSchema } from '../state/model.ts';
import { placeOf } from '../state/world.ts';

/** As graphql-js hands it over; `plan` is open JSON in the schema. */
export interface SessionUpdateInput {
  plan?: unknown;
  summary?: string | null;
  externalUrls?: ExternalUrl[] | null;
  addedExternalUrls?: ExternalUrl[] | null;
  removedExternalUrls?: string[] | null;
  externalLink?: string | null;
  dismissedAt?: unknown;
  userState?: unknown;
}

const summarySchema = z
  .string()
  .min(1, 'must not be empty')
  .max(255, 'must have at most 255 characters')
  .regex(/^[^\r\n]*$/, 'must not contain line breaks');
const urlsSchema = z.array(externalUrlSchema);

/**
 * Changes a session.
 * @throws LinearError when the session is unknown or a value is wrong; nothing changes then
 */
export function updateSession({ world, clock }: Simulation, id: string, input: SessionUpdateInput): AgentSession {
  const session = world.sessions.get(id);
  if (!session) throw notFound('AgentSession', id);
  if (input.externalLink !== undefined) {
    throw invalidArgument('externalLink', 'isDeprecated', 'externalLink is deprecated: use externalUrls');
  }
  if (input.dismissedAt !== undefined || input.userState !== undefined) {
    throw forbidden('dismissedAt and userState are internal to Linear');
  }
  const plan = input.plan === undefined ? session.plan : checkedPlan(input.plan);
  const summary = input.summary === undefined ? session.summary : checkedSummary(input.summary);
  const externalUrls = changedUrls(session.externalUrls, input);

  const now = clock.now();
  Object.assign(session, { plan, summary, externalUrls, updatedAt: now });
  // Setting a URL shows that the agent is alive; a summary does not.
  if (externalUrls.length > 0) session.acknowledgedAt ??= now;
  world.changed(placeOf(session));
  return session;
}

/** agentSessionCreateOnIssue. Linear tells the agent of it too, as of every other session. */
export function createSessionOnIssue(
  simulation: Simulation,
  input: { issueId: string; externalUrls?: ExternalUrl[] | null },
): AgentSession {
  const issue = simulation.world.findIssue(input.issueId);
  if (!issue) throw notFound('Issue', input.issueId);
  const externalUrls = checkedUrls('externalUrls', input.externalUrls ?? []);
  return opened(simulation, openSession(simulation, onIssue(issue), { creatorId: null, source: null }), externalUrls);
}

/** agentSessionCreateOnComment; the comment must start a thread. */
export function createSessionOnComment(
  simulation: Simulation,
  input: { commentId: string; externalUrls?: ExternalUrl[] | null },
): AgentSession {
  const comment = simulation.world.comments.get(input.commentId);
  if (!comment) throw notFound('Comment', input.commentId);
  if (comment.parentId !== null) {
    throw invalidArgument(
      'commentId',
      'isRootComment',
      'a session can only be created on the root comment of a thread',
    );
  }
  const externalUrls = checkedUrls('externalUrls', input.externalUrls ?? []);
  const issue = simulation.world.issueOrNull(comment.issueId);
  if (!issue) throw notSimulated('a session on a comment of a document');
  return opened(
    simulation,
    openSession(simulation, onIssue(issue), { creatorId: null, source: comment }),
    externalUrls,
  );
}

function opened(simulation: Simulation, session: AgentSession, externalUrls: ExternalUrl[]): AgentSession {
  const { world, clock, payloads } = simulation;
  session.externalUrls = externalUrls;
  if (externalUrls.length > 0) session.acknowledgedAt = clock.now();
  world.changed(placeOf(session));
  emit(simulation, payloads.sessionCreated(session));
  return session;
}

/** The whole plan is sent each time; there is no changing a single step. */
function checkedPlan(given: unknown): Plan | null {
  if (given === null) return null;
  const parsed = planSchema.safeParse(given);
  if (!parsed.success) throw invalidShape('plan', parsed.error);
  return parsed.data;
}

function checkedSummary(given: string | null): string | null {
  if (given === null) return null;
  const parsed = summarySchema.safeParse(given);
  if (!parsed.success) throw invalidShape('summary', parsed.error);
  return parsed.data;
}

/** `externalUrls` replaces all; then additions, of which one with a known address changes its label; then removals. */
function changedUrls(current: readonly ExternalUrl[], input: SessionUpdateInput): ExternalUrl[] {
  const start = input.externalUrls ? checkedUrls('externalUrls', input.externalUrls) : current;
  const byUrl = new Map(start.map((external) => [external.url, external]));
  for (const external of checkedUrls('addedExternalUrls', input.addedExternalUrls ?? [])) {
    byUrl.set(external.url, external);
  }
  for (const url of input.removedExternalUrls ?? []) byUrl.delete(url);
  return [...byUrl.values()];
}

function checkedUrls(property: string, given: readonly ExternalUrl[]): ExternalUrl[] {
  const parsed = urlsSchema.safeParse(given);
  if (!parsed.success) throw invalidShape(property, parsed.error);
  return parsed.data;
}
