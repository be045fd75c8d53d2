/**
 * What an agent session was opened by (pure): the issue was delegated, or a comment mentions the agent.
 *
 * `agentSession.comment` is the ROOT of the session's thread. It is the request only where it is itself the comment that mentions
 * the agent; of a mention in a reply it is what somebody else said before. The mention is named by `sourceCommentId`, at the session
 * or in its metadata (docs: `AgentSessionWebhookPayload` of @linear/sdk 98).
 */

import type { CreatedWebhook } from './webhook.ts';
import type { CommentShape, PersonShape } from './webhook-shapes.ts';

/** Somebody who said something, as far as it is known. `outside`: no member of the workspace. */
export interface Speaker {
  id: string | null;
  name: string | null;
  email: string | null;
  outside: boolean;
}

export type Origin =
  | { kind: 'delegation'; by: Speaker }
  | { kind: 'mention'; by: Speaker; commentId: string | null; body: string }
  /** A comment that the webhook does not hold. `commentId` null: not even its id; the session itself knows it. */
  | { kind: 'unread'; by: Speaker; commentId: string | null };

/** What Linear puts at the head of a thread that it opens for a session; nobody wrote it. */
const PLACEHOLDER = /^\s*this thread is for an? (?:agent|coding) session\b/i;

/** What a session was opened by, and by whom. */
export function originOf({ agentSession, previousComments }: CreatedWebhook): Origin {
  const { comment: root, sourceMetadata } = agentSession;
  const creator = speakerOf(agentSession.creator, agentSession.creatorId);
  const rootId = root?.id ?? agentSession.commentId ?? null;
  const sourceId =
    agentSession.sourceCommentId ??
    sourceMetadata?.agentSessionMetadata?.sourceCommentId ??
    sourceMetadata?.sourceCommentId ??
    null;
  const isGenerated = !root?.body || PLACEHOLDER.test(root.body);
  const isReply = (previousComments ?? []).length > 0;
  if (sourceId !== null) {
    if (sourceId === rootId) {
      if (root?.body) return isGenerated ? { kind: 'delegation', by: creator } : mention(root, creator);
      return { kind: 'unread', by: creator, commentId: sourceId };
    }
    const found = previousComments?.find((comment) => comment.id === sourceId);
    return found?.body ? mention(found, creator) : { kind: 'unread', by: creator, commentId: sourceId };
  }
  const isByComment = sourceMetadata?.type?.toLowerCase() === 'comment';
  // Whose the mention is cannot be told from the root: it is a reply to it, or the thread is another one.
  if (isReply || (isByComment && isGenerated)) return { kind: 'unread', by: creator, commentId: null };
  if (isGenerated) return { kind: 'delegation', by: creator };
  const author = authorOf(root);
  if (author.id !== null && (creator.id === null || author.id === creator.id)) return mention(root, creator);
  if (author.id !== null) return { kind: 'unread', by: creator, commentId: null };
  // No member wrote the root: another tool's thread, or one that Linear opened. It is a mention only where Linear says so.
  if (!isByComment) return { kind: 'delegation', by: creator };
  return creator.id === null ? mention(root, creator) : { kind: 'unread', by: creator, commentId: null };
}

/** The comment is the request of the one who wrote it; the session's creator answers for one that names nobody. */
function mention(comment: CommentShape, creator: Speaker): Origin {
  const author = authorOf(comment);
  const isCreators = author.id === null || author.id === creator.id;
  return {
    kind: 'mention',
    by: isCreators ? creator : author,
    commentId: comment.id ?? null,
    body: comment.body ?? '',
  };
}

function authorOf({ user, userId, externalUserId }: CommentShape): Speaker {
  if (user?.id || userId) return speakerOf(user, userId);
  return { id: externalUserId ?? null, name: null, email: null, outside: Boolean(externalUserId) };
}

/** A person of a webhook. @param id where only that is given */
export function speakerOf(person: PersonShape, id: string | null | undefined): Speaker {
  const name = person?.name || person?.displayName || null;
  return { id: person?.id ?? id ?? null, name, email: person?.email || null, outside: false };
}
