/**
 * agentActivityCreate. The schema takes any JSON as content; what Linear's documentation demands of it is checked here.
 * Source: linear.app/developers/agent-interaction, "Activity content payload" and "Signals".
 */
import { randomUUID } from 'node:crypto';
import { conflict, forbidden, invalidArgument, invalidShape, notFound } from '../errors.ts';
import type { Simulation } from '../simulation.ts';
import {
  type Activity,
  type ActivityContent,
  type AgentSession,
  activityContentSchema,
  type Signal,
  signalMetadataSchemas,
} from '../state/model.ts';
import { placeOf } from '../state/world.ts';
import { clientId } from './client-id.ts';

/** As graphql-js hands it over: checked against the schema, which leaves the JSON parts open. */
export interface ActivityInput {
  agentSessionId: string;
  content: unknown;
  id?: string | null;
  ephemeral?: boolean | null;
  signal?: Signal | null;
  signalMetadata?: unknown;
}

/**
 * Adds an activity of the agent to a session.
 * @throws LinearError when the session is unknown, the id was used before, or a rule is broken; nothing changes then
 */
export function createActivity(simulation: Simulation, input: ActivityInput): Activity {
  const { world, clock } = simulation;
  const session = world.sessions.get(input.agentSessionId);
  if (!session) throw notFound('AgentSession', input.agentSessionId);
  const content = checkedContent(input.content);
  const ephemeral = input.ephemeral ?? false;
  if (ephemeral && content.type !== 'thought' && content.type !== 'action') {
    throw invalidArgument('ephemeral', 'isAllowed', `an activity of type ${content.type} cannot be ephemeral`);
  }
  const signal = input.signal ?? null;
  const signalMetadata = checkedSignal(signal, input.signalMetadata, content.type);
  const id = clientId(input.id);
  if (world.findActivity(id)) throw conflict('AgentActivity', id);

  const now = clock.now();
  const activity: Activity = {
    id,
    content,
    ephemeral,
    vanished: false,
    signal,
    signalMetadata,
    commentId: commentFor(simulation, session, content),
    userId: world.appUser.id,
    createdAt: now,
  };
  world.addActivity(session, activity);
  session.updatedAt = now;
  session.startedAt ??= now;
  session.acknowledgedAt ??= now;
  session.endedAt = content.type === 'response' || content.type === 'error' ? now : null;
  world.changed(placeOf(session));
  return activity;
}

function checkedContent(given: unknown): ActivityContent {
  const parsed = activityContentSchema.safeParse(given);
  if (!parsed.success) throw invalidShape('content', parsed.error);
  if (parsed.data.type === 'prompt') throw forbidden('Agents cannot create activities of type prompt');
  return parsed.data;
}

/** `stop` is for people; `select` and `auth` ask, so they need a question, and say what to choose from or where to go. */
function checkedSignal(
  signal: Signal | null,
  metadata: unknown,
  contentType: ActivityContent['type'],
): Activity['signalMetadata'] {
  if (signal === 'stop') throw invalidArgument('signal', 'isAllowed', 'the signal stop is for people, not for agents');
  if (signal !== 'select' && signal !== 'auth') {
    if (metadata === undefined || metadata === null) return null;
    throw invalidArgument('signalMetadata', 'isAllowed', 'signalMetadata needs the signal select or auth');
  }
  if (contentType !== 'elicitation') {
    throw invalidArgument('signal', 'isAllowed', `the signal ${signal} needs an activity of type elicitation`);
  }
  const parsed = signalMetadataSchemas[signal].safeParse(metadata);
  if (!parsed.success) throw invalidShape('signalMetadata', parsed.error);
  return parsed.data;
}

/** What ends or interrupts the agent's turn also is in the thread as a comment. */
function commentFor(simulation: Simulation, session: AgentSession, content: ActivityContent): string | null {
  if (content.type !== 'response' && content.type !== 'elicitation' && content.type !== 'error') return null;
  const { world, clock } = simulation;
  const id = randomUUID();
  world.addComment({
    id,
    issueId: session.issueId,
    documentId: session.documentId,
    parentId: session.commentId,
    body: content.body,
    userId: world.appUser.id,
    createdAt: clock.now(),
  });
  return id;
}
