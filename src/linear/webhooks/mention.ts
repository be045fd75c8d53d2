/**
 * What an agent session was opened by (pure): the issue was delegated, or a comment mentions the agent.
 *
 * `agentSession.comment` is the ROOT of the session's thread. It is the request only where it is itself the comment that mentions
 * the agent; of a mention in a reply it is what somebody else said before. The mention is named by `sourceCommentId`, at the session
 * or in its metadata (docs: `AgentSessionWebhookPayload` of @linear/sdk 98).
 */
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import type { CommentShape, PersonShape } from './shapes.ts';
import { type CreatedWebhook, type PromptedWebhook, promptText } from './webhook.ts';

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
  // The webhook names nobody as the root's author: it is another tool's thread, or who wrote it was left out. It is a mention
  // where Linear says so; where it only looks like one, Linear is asked.
  if (!isByComment) {
    const mayMention = /(?:^|[\s(>*_])@[\p{L}\p{N}]|<user\b|\/profiles\//u.test(root?.body ?? '');
    if (!mayMention) return { kind: 'delegation', by: creator };
    // If nobody is known to have opened the session either, no one can be taken for another.
    return creator.id === null ? mention(root, creator) : { kind: 'unread', by: creator, commentId: null };
  }
  return creator.id === null ? mention(root, creator) : { kind: 'unread', by: creator, commentId: null };
}

/** True for the head of a thread that Linear opened itself. */
export function isPlaceholder(body: string): boolean {
  return PLACEHOLDER.test(body);
}

const DIRECTIVE = /<primary-directive-thread\b[^>]*>([\s\S]*?)<\/primary-directive-thread>/g;
const CONTEXT_COMMENT = /<comment\b([^>]*)>([\s\S]*?)<\/comment>/g;

/**
 * The request as Linear's own context of the session tells it: the last comment of the thread that the agent was mentioned in,
 * where the one who opened the session wrote it. For the case that Linear does not show the comment itself. The context is text that
 * others wrote, so nothing is read from one that could be understood in two ways.
 */
export function directiveIn(promptContext: string | null | undefined, creator: Speaker): string | null {
  const threads = [...(promptContext ?? '').matchAll(DIRECTIVE)];
  if (threads.length !== 1 || creator.name === null) return null;
  if ((promptContext ?? '').split('<primary-directive-thread').length !== 2) return null;
  const last = [...(threads[0]?.[1] ?? '').matchAll(CONTEXT_COMMENT)].at(-1);
  const author = /\bauthor="([^"]*)"/.exec(last?.[1] ?? '')?.[1];
  if (!last || author === undefined || plain(author) !== creator.name) return null;
  return plain((last[2] ?? '').replace(/<user\b[^>]*>([^<]*)<\/user>/g, '@$1')).trim() || null;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", amp: '&' };

function plain(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|#39|amp);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}

/** A prompt without a word of its own, but with the comment that it came from; null for any other. */
export function sourceOfPrompt(webhook: PromptedWebhook): Extract<Origin, { kind: 'unread' }> | null {
  const { sourceCommentId, user, userId, signal } = webhook.agentActivity;
  if (!sourceCommentId || signal === 'stop' || promptText(webhook) !== '') return null;
  return { kind: 'unread', by: speakerOf(user, userId), commentId: sourceCommentId };
}

/** The comment is the request of the one who wrote it; the session's creator answers for one that names nobody. */
function mention(comment: CommentShape, creator: Speaker): Origin {
  const author = authorOf(comment);
  // An integration writes for a member too; who opened the session is named then.
  const isCreators = author.id === null ? creator.id !== null || !author.outside : author.id === creator.id;
  return {
    kind: 'mention',
    by: isCreators ? creator : author,
    commentId: comment.id ?? null,
    body: comment.body ?? '',
  };
}

/** Who wrote a comment, as far as it says: a member, somebody outside, or an integration. */
export function authorOf({ user, userId, externalUserId, externalUser, botActor }: CommentShape): Speaker {
  if (user?.id || userId) return speakerOf(user, userId);
  const id = externalUser?.id ?? externalUserId ?? null;
  const name = externalUser?.name || externalUser?.displayName || botActor?.userDisplayName || botActor?.name || null;
  const known = name === null ? null : cutWhole(name, LONGEST_NAME);
  return { id, name: known, email: null, outside: id !== null || Boolean(botActor?.userDisplayName) };
}

/** Longest name of a person that is kept, and longest address, in UTF-16 code units. */
const LONGEST_NAME = 320;

/** A person of a webhook. @param id where only that is given */
export function speakerOf(person: PersonShape, id: string | null | undefined): Speaker {
  const name = person?.name || person?.displayName || null;
  const email = person?.email || null;
  return {
    id: person?.id ?? id ?? null,
    name: name === null ? null : cutWhole(name, LONGEST_NAME),
    // One that is longer is nobody's address (RFC 5321, section 4.5.3.1).
    email: email !== null && email.length > LONGEST_NAME ? null : email,
    outside: false,
  };
}
