/**
 * A request that the webhook did not hold: somebody mentioned the agent in a reply, and Linear sent only the root of the thread.
 * Linear is asked for it when the webhook comes, for a moment, and again before Claude is given the prompt.
 */
import { fillRequest, unreadIn } from '../claude/prompts.ts';
import { withTimeLimit } from '../limits/time-limit.ts';
import type { CommentText, LinearClient } from '../linear/client.ts';
import { LinearError } from '../linear/errors.ts';
import type { Origin } from '../linear/mention.ts';

/**
 * Asks Linear for the comment that opened a session.
 * @returns what it says; null where Linear has no such comment. @throws LinearError
 */
async function readComment(ref: string, linear: LinearClient): Promise<CommentText | null> {
  const [kind, id = ''] = ref.split(':', 2);
  try {
    return kind === 'comment' ? await linear.comment(id) : await linear.sessionSource(id);
  } catch (error) {
    if (error instanceof LinearError && error.kind === 'refused') return null;
    throw error;
  }
}

/** A prompt with its request in it, wherever that has to be had from. @throws LinearError */
export async function withRequest(prompt: string, linear: LinearClient): Promise<string> {
  const ref = unreadIn(prompt);
  if (ref === null) return prompt;
  const comment = await readComment(ref, linear);
  return fillRequest(prompt, comment && { author: comment.by.name, text: comment.body });
}

/**
 * What a session was opened by, with the comment where Linear gives it in time. Never rejects.
 * @param limitMs how long Linear may take
 */
export async function read(
  origin: Extract<Origin, { kind: 'unread' }>,
  agentSessionId: string,
  linear: LinearClient,
  limitMs: number,
): Promise<Origin> {
  const ref = origin.commentId === null ? `session:${agentSessionId}` : `comment:${origin.commentId}`;
  const comment = await within(limitMs, readComment(ref, linear));
  if (!comment) return origin;
  const { id, body, by } = comment;
  // Who wrote it is who asks; a comment that names nobody is answered for by the session's creator.
  return { kind: 'mention', commentId: id, body, by: by.id === null ? origin.by : by };
}

/** What `work` brings; null where it fails or takes longer than so many ms. */
async function within<Value>(ms: number, work: Promise<Value>): Promise<Value | null> {
  try {
    return await withTimeLimit(ms, (signal) => {
      const late = new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null)));
      return Promise.race([work, late]);
    });
  } catch {
    // Asked again before Claude is given the prompt.
    return null;
  }
}
