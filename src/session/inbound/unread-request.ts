/**
 * A request that the webhook did not hold: somebody mentioned the agent in a reply, and Linear sent only the root of the thread.
 * Linear is asked for it when the webhook comes, for a moment, and again before Claude is given the prompt.
 */
import { fillRequest, unreadIn } from '../../claude/prompts.ts';
import { settledWithin } from '../../lib/timeout.ts';
import type { LinearClient } from '../../linear/api/client.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { directiveIn, type Origin, type Speaker } from '../../linear/webhooks/mention.ts';
import type { SessionSource } from '../../linear/webhooks/session-source.ts';
import type { PromptWithoutActivity } from '../../linear/webhooks/webhook.ts';

/**
 * Asks Linear for the comment that opened a session, or that a prompt came from.
 * @returns `unclear` where Linear has no such comment, or does not tell which it is. @throws LinearError
 */
async function readSource(ref: string, linear: LinearClient): Promise<Exclude<SessionSource, { kind: 'elsewhere' }>> {
  const [kind, id = ''] = ref.split(':', 2);
  try {
    const source: SessionSource =
      kind === 'comment' ? { kind: 'elsewhere', commentId: id } : await linear.sessionSource(id);
    if (source.kind !== 'elsewhere') return source;
    return { kind: 'comment', comment: await linear.comment(source.commentId) };
  } catch (error) {
    if (error instanceof LinearError && error.kind === 'refused') return { kind: 'unclear' };
    throw error;
  }
}

/** A prompt with its request in it, wherever that has to be had from. @throws LinearError */
export async function withRequest(prompt: string, linear: LinearClient): Promise<string> {
  return (await requestWithAuthor(prompt, linear)).prompt;
}

/** The same; `by`: who wrote the request, where Linear had to be asked for it and says so. @throws LinearError */
export async function requestWithAuthor(
  prompt: string,
  linear: LinearClient,
): Promise<{ prompt: string; by: Speaker | null }> {
  const ref = unreadIn(prompt);
  if (ref === null) return { prompt, by: null };
  const source = await readSource(ref, linear);
  const comment = source.kind === 'comment' ? source.comment : null;
  const filled = fillRequest(prompt, comment && { author: comment.by.name, text: comment.body });
  return { prompt: filled, by: comment?.by ?? null };
}

/**
 * What a session was opened by, with the comment where Linear gives it in time. Never rejects.
 * @param promptContext of the webhook: what it says counts where Linear knows of no such comment
 * @param limitMs how long Linear may take
 */
export async function read(
  origin: Extract<Origin, { kind: 'unread' }>,
  { agentSessionId, promptContext }: { agentSessionId: string; promptContext: string | null },
  linear: LinearClient,
  limitMs: number,
): Promise<Origin> {
  const ref = origin.commentId === null ? `session:${agentSessionId}` : `comment:${origin.commentId}`;
  const source = await inTime(limitMs, readSource(ref, linear));
  if (source?.kind === 'delegation') return { kind: 'delegation', by: origin.by };
  if (source?.kind === 'unclear') {
    const body = directiveIn(promptContext, origin.by);
    return body === null ? origin : { kind: 'mention', commentId: origin.commentId, body, by: origin.by };
  }
  if (!source) return origin;
  const { id, body, by } = source.comment;
  // Who wrote it is who asks; a comment that names nobody is answered for by the session's creator.
  const isCreators = by.id === null && (origin.by.id !== null || !by.outside);
  return { kind: 'mention', commentId: id, body, by: isCreators ? origin.by : by };
}

/**
 * Who wrote a mention of which the webhook names nobody: a member, or somebody in a thread of Slack or GitHub, whom other rules hold for
 * than for an automation. Never rejects.
 * @param limitMs how long Linear may take
 */
export async function withAuthor(
  origin: Extract<Origin, { kind: 'mention' }>,
  linear: LinearClient,
  limitMs: number,
): Promise<Origin> {
  const { by, commentId } = origin;
  if (by.id !== null || by.outside || commentId === null) return origin;
  const comment = await inTime(limitMs, linear.comment(commentId));
  return comment ? { ...origin, by: comment.by } : origin;
}

/** The issue that a session is on, where Linear tells it in time; else null. Never rejects. @param limitMs how long it may take */
export async function issueOfSession(
  agentSessionId: string,
  linear: LinearClient,
  limitMs: number,
): Promise<string | null> {
  return inTime(limitMs, linear.sessionIssue(agentSessionId));
}

/** What is said and the webhook that tells of it differ by less, in ms. */
const SAID_BEFORE_MS = 60_000;
const CLOCKS_APART_MS = 5_000;

/**
 * The body of a prompt's webhook with the activity that Linear left out, where Linear tells it in time; else null. Never rejects.
 * @param limitMs how long it may take
 */
export async function withActivity(
  prompt: PromptWithoutActivity,
  linear: LinearClient,
  limitMs: number,
): Promise<string | null> {
  const { agentSessionId, at } = prompt;
  const asked = linear.promptAt(agentSessionId, at, { before: SAID_BEFORE_MS, after: CLOCKS_APART_MS });
  const activity = await inTime(limitMs, asked);
  return activity && prompt.with(activity);
}

/** What `work` brings; null if it fails or takes longer than so many ms. */
async function inTime<Value>(ms: number, work: Promise<Value>): Promise<Value | null> {
  // What is still to be read is asked for again before Claude is given the prompt.
  const found = await settledWithin(ms, work).catch(() => null);
  return found === 'late' ? null : found;
}
