/** What an agent session was opened by, as Linear's API tells it (pure): the webhook does not always hold the comment. */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { isPlaceholder, type Speaker } from './mention.ts';

/** A comment and who wrote it. */
export interface CommentText {
  id: string;
  body: string;
  by: Speaker;
}

const commentSchema = z.object({
  id: z.string(),
  body: z.string(),
  createdAt: z.string().nullish(),
  user: z.object({ id: z.string(), name: z.string(), email: z.string().nullish() }).nullish(),
  externalUser: z.object({ id: z.string(), name: z.string().nullish() }).nullish(),
  botActor: z
    .object({ id: z.string().nullish(), name: z.string().nullish(), userDisplayName: z.string().nullish() })
    .nullish(),
});
type CommentShape = z.infer<typeof commentSchema>;

export const commentAnswerSchema = z.object({ comment: commentSchema });

/** A `JSON` of Linear's schema comes as text. */
const metadataSchema = z
  .preprocess(
    (value) => (typeof value === 'string' ? parseJson(value) : value),
    z.object({
      type: z.string().nullish().catch(null),
      sourceCommentId: z.string().nullish().catch(null),
      agentSessionMetadata: z
        .object({ sourceCommentId: z.string().nullish().catch(null) })
        .nullish()
        .catch(null),
    }),
  )
  .nullish()
  .catch(null);

export const sessionSourceAnswerSchema = z.object({
  agentSession: z.object({
    createdAt: z.string().nullish(),
    sourceMetadata: metadataSchema,
    creator: z.object({ id: z.string() }).nullish(),
    sourceComment: commentSchema.nullish(),
    comment: commentSchema.extend({ children: z.object({ nodes: z.array(commentSchema) }).nullish() }).nullish(),
  }),
});
type SessionShape = z.infer<typeof sessionSourceAnswerSchema>['agentSession'];

/** `elsewhere`: the id of a comment that has to be asked for. `delegation`: no comment opened it. `unclear`: one did, but which is not told. */
export type SessionSource =
  | { kind: 'comment'; comment: CommentText }
  | { kind: 'elsewhere'; commentId: string }
  | { kind: 'delegation' }
  | { kind: 'unclear' };

/** A session is opened right after the comment that mentions the agent. */
const CLOCKS_APART_MS = 5_000;

/**
 * The comment that opened a session: the one that Linear names; else, of the session's own thread, the last that the session's
 * creator wrote before it was opened. The root of a thread that somebody else began is never taken for it.
 */
export function sourceOf(session: SessionShape): SessionSource {
  const { sourceComment, sourceMetadata, comment: root, creator } = session;
  if (sourceComment) return { kind: 'comment', comment: toCommentText(sourceComment) };
  const thread = root ? [root, ...(root.children?.nodes ?? [])].toSorted((a, b) => timeOf(a) - timeOf(b)) : [];
  const named = sourceMetadata?.agentSessionMetadata?.sourceCommentId ?? sourceMetadata?.sourceCommentId ?? null;
  if (named !== null) {
    const found = thread.find(({ id }) => id === named);
    return found ? { kind: 'comment', comment: toCommentText(found) } : { kind: 'elsewhere', commentId: named };
  }
  const openedAt = Date.parse(session.createdAt ?? '');
  const before = thread.filter((one) => !(timeOf(one) > openedAt + CLOCKS_APART_MS) && !isPlaceholder(one.body));
  const byCreator = before.findLast(({ user }) => user && (!creator || user.id === creator.id));
  if (byCreator) return { kind: 'comment', comment: toCommentText(byCreator) };
  const isByComment = sourceMetadata?.type?.toLowerCase() === 'comment';
  if (!root || isPlaceholder(root.body)) return { kind: isByComment ? 'unclear' : 'delegation' };
  if (root.user) return { kind: 'unclear' };
  // No member wrote the root, and none of the thread's comments is the creator's: another tool's thread.
  if (!isByComment) return { kind: 'delegation' };
  return creator ? { kind: 'unclear' } : { kind: 'comment', comment: toCommentText(root) };
}

/** ms since the epoch; 0 if it is not told. */
function timeOf({ createdAt }: CommentShape): number {
  return Date.parse(createdAt ?? '') || 0;
}

export function toCommentText({ id, body, user, externalUser, botActor }: CommentShape): CommentText {
  const nobody = { id: null, name: null, email: null, outside: false };
  if (user) return { id, body, by: { id: user.id, name: user.name, email: user.email ?? null, outside: false } };
  if (externalUser)
    return { id, body, by: { ...nobody, id: externalUser.id, name: externalUser.name ?? null, outside: true } };
  const name = botActor?.userDisplayName || botActor?.name || null;
  return { id, body, by: { ...nobody, name, outside: Boolean(botActor?.userDisplayName) } };
}
