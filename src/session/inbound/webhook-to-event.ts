/** What a webhook means to an issue session (pure): which session it belongs to, and what it asks or tells. */
import * as z from 'zod';
import { contextPrompt, followUpPrompt, issuePrompt } from '../../claude/prompts.ts';
import { rankGuidance } from '../../linear/guidance.ts';
import { authorOf, type Origin, originOf, type Speaker, speakerOf } from '../../linear/webhooks/mention.ts';
import type { IssueShape } from '../../linear/webhooks/shapes.ts';
import {
  type AgentSessionWebhook,
  contentKey,
  type IssueWebhook,
  type NotificationWebhook,
  occurredAt,
  promptText,
} from '../../linear/webhooks/webhook.ts';
import { type Edit, saidBy } from '../lifecycle/issue-context.ts';
import type { Withdrawal } from '../lifecycle/issue-news.ts';
import { type IssueNews, issueOf } from '../lifecycle/issue-news.ts';
import type { Person } from '../lifecycle/model/directives.ts';
import type { SessionEvent } from '../lifecycle/model/events.ts';
import type { Issue } from '../lifecycle/model/state.ts';
import type { WishEdit } from '../lifecycle/start/wish-edits.ts';
import { wishesIn } from '../lifecycle/start/wishes.ts';
import { relatedPlace } from './related-issues-text.ts';

/** Something for one session. */
export interface SessionRequest {
  /** Name of the Durable Object: one for each workspace and issue; an agent session without an issue has its own. */
  sessionName: string;
  contentKey: string;
  /** What a session that begins with this is about; null for what only a session that exists wants to know. */
  about: { workspaceId: string; issue: Issue | null; fallbackName: string } | null;
  event: Exclude<
    SessionEvent,
    { type: 'sandbox-reported' | 'effect-done' | 'effect-failed' | 'effect-delayed' | 'deadline' }
  >;
  promptText?: { followUp: string; first: string };
  /** What it shows of the issue beside, for a session that knows an older state of it. */
  issueNews?: IssueNews;
}

/** Name of the session of an issue. */
export function issueSessionName(workspaceId: string, issueId: string): string {
  return `${workspaceId}:issue:${issueId}`;
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i;

/** What the journal shows of a request that Linear has yet to be asked for. */
const UNREAD_TEXT = '(A comment in Linear; Cyrus reads it before Claude begins.)';

/**
 * @param id for what Linear gave no id, or none that is a UUID
 * @param origin where Linear was asked for the comment that this is: as it answered. Else `originOf` says of a session that was
 *   created, and of a prompt its own text
 * @param knownIssueId of the session's issue, where the webhook does not name it and Linear was asked
 * @returns the request; null for a prompt without a word in it
 */
export function fromAgentSession(
  webhook: AgentSessionWebhook,
  id: string,
  origin?: Origin,
  knownIssueId: string | null = null,
): SessionRequest | null {
  const { agentSession, organizationId } = webhook;
  const issue = agentSession.issue ?? null;
  const issueId = issueIdOf(webhook) ?? knownIssueId;
  const at = occurredAt(webhook);
  const common = {
    sessionName: issueId
      ? issueSessionName(organizationId, issueId)
      : `${organizationId}:agent-session:${agentSession.id}`,
    contentKey: contentKey(webhook),
    about: {
      workspaceId: organizationId,
      issue: issueId ? issueOf(newsOf(issue ?? { id: issueId }, webhook.webhookTimestamp)) : null,
      fallbackName: nameFor(agentSession.id),
    },
    ...(issue && { issueNews: newsOf(issue, webhook.webhookTimestamp) }),
  };
  const agentSessionId = agentSession.id;
  if (webhook.action === 'created') {
    const asked = origin ?? originOf(webhook);
    const { name: author } = asked.by;
    const links = (agentSession.externalUrls ?? []).flatMap(({ url }) => url ?? []);
    // Linear's own context holds them; it is not promised that there is one.
    const previous = webhook.previousComments?.map(({ body }) => body ?? '').join('\n\n');
    const promptContext = webhook.promptContext || previous || null;
    const guidance = rankGuidance(webhook.guidance, issue?.teamId ?? issue?.team?.id ?? null);
    const whole = issuePrompt({
      ...introduction(issue),
      related: issueId ? relatedPlace(issueId) : null,
      promptContext,
      guidance,
      comment: commentOf(asked, agentSessionId),
      author,
    });
    return {
      ...common,
      event: {
        type: 'prompted',
        // The sandbox and the CLI take UUIDs alone, which Linear's ids are today.
        promptId: UUID.test(agentSessionId) ? agentSessionId : id,
        agentSessionId,
        author,
        person: toPerson(asked.by),
        source: asked.kind === 'delegation' ? 'delegation' : 'mention',
        text: asked.kind === 'mention' ? asked.body : asked.kind === 'unread' ? UNREAD_TEXT : requestOf(issue),
        at,
        ...(asked.kind !== 'delegation' && asked.commentId !== null && { commentId: asked.commentId }),
        ...(links.length > 0 && { links }),
      },
      promptText: { followUp: whole, first: whole },
    };
  }
  const { agentActivity } = webhook;
  const promptId = agentActivity.id ?? id;
  const sayer = speakerOf(agentActivity.user, agentActivity.userId);
  const by = sayer.id === null && origin?.kind === 'mention' ? origin.by : sayer;
  const { name: author } = by;
  if (agentActivity.signal === 'stop') {
    return {
      ...common,
      event: { type: 'stop-requested', id: promptId, agentSessionId, author, source: 'comment', at },
    };
  }
  const { sourceCommentId } = agentActivity;
  const said = (origin?.kind === 'mention' && origin.body) || promptText(webhook);
  // The comment that it came from says the same: it is asked for before Claude is given the prompt.
  if (said === '' && !sourceCommentId) return null;
  const text = said || UNREAD_TEXT;
  const comment = said || { unread: `comment:${sourceCommentId}` };
  return {
    ...common,
    event: {
      type: 'prompted',
      promptId,
      agentSessionId,
      author,
      person: toPerson(by),
      source: 'comment',
      text,
      at,
      ...(sourceCommentId && { commentId: sourceCommentId }),
    },
    promptText: {
      followUp: followUpPrompt({ author, text: comment }),
      // A prompt can overtake the event that began its session; then it has to introduce the issue.
      first: issuePrompt({
        ...introduction(issue),
        related: issueId ? relatedPlace(issueId) : null,
        promptContext: null,
        guidance: [],
        comment,
        author,
      }),
    },
  };
}

/** The issue that an agent session is on; null if the webhook does not name it, or there is none. */
export function issueIdOf({ agentSession }: AgentSessionWebhook): string | null {
  return agentSession.issueId ?? agentSession.comment?.issueId ?? null;
}

/** @returns where the request is to be read, for one that the webhook does not hold */
function commentOf(origin: Origin, agentSessionId: string): string | { unread: string } | null {
  switch (origin.kind) {
    case 'delegation':
      return null;
    case 'mention':
      return origin.body;
    case 'unread':
      return { unread: origin.commentId === null ? `session:${agentSessionId}` : `comment:${origin.commentId}` };
  }
}

/**
 * @param id for what Linear gave no id, or none that is a UUID
 * @returns the request; null for a notification about something that is no issue
 */
export function fromNotification(webhook: NotificationWebhook, id: string): SessionRequest | null {
  const { organizationId, notification, action } = webhook;
  const { comment } = notification;
  const issueId = notification.issue?.id ?? notification.issueId ?? comment?.issueId;
  if (!issueId) return null;
  const issue = notification.issue ?? null;
  const eventId = notification.id ?? id;
  const at = occurredAt(webhook);
  const by = actorOf(webhook);
  const { name: author } = by;
  const common = {
    sessionName: issueSessionName(organizationId, issueId),
    contentKey: contentKey(webhook),
    about: null,
    ...(issue && { issueNews: newsOf(issue, webhook.webhookTimestamp) }),
  };
  switch (action) {
    case 'issueUnassignedFromYou':
      return { ...common, event: { type: 'withdrawn', id: eventId, why: 'unassigned', author, teamIds: [], at } };
    case 'issueStatusChanged':
      return { ...common, event: { type: 'status-changed', id: eventId, author, at } };
    case 'issueNewComment': {
      const text = comment?.body?.trim();
      if (!text) return null;
      const told = contextPrompt(`${author ?? 'Someone'} commented on the issue`, text);
      const comments = [comment?.id, notification.commentId].filter((known) => typeof known === 'string');
      const item = { text: told, comments, said: saidBy(by.id, text) };
      return { ...common, event: { type: 'context-arrived', id: eventId, item } };
    }
    case 'issueAssignedToYou':
    case 'issueCommentMention': {
      const isMention = action === 'issueCommentMention';
      const body = (isMention && comment?.body) || null;
      const ask = { related: relatedPlace(issueId), promptContext: null, guidance: [], comment: body, author };
      const whole = issuePrompt({ ...introduction(issue), ...ask });
      const news = newsOf(issue ?? { id: issueId }, webhook.webhookTimestamp);
      return {
        ...common,
        about: { workspaceId: organizationId, issue: issueOf(news), fallbackName: nameFor(issueId) },
        event: {
          type: 'thread-expected',
          promptId: eventId,
          commentId: isMention ? (comment?.id ?? notification.commentId ?? null) : null,
          author,
          person: toPerson(by),
          text: body ?? requestOf(issue),
          at,
        },
        promptText: { followUp: whole, first: whole },
      };
    }
    default:
      return null;
  }
}

/** Who a notification tells of. Where it names nobody, its comment may. */
function actorOf({ notification }: NotificationWebhook): Speaker {
  const { actor, actorId, externalUserActorId, comment } = notification;
  const known = speakerOf(actor, actorId);
  if (known.id !== null) return known;
  if (externalUserActorId) return { ...known, id: externalUserActorId, outside: true };
  return comment ? authorOf(comment) : known;
}

/** @returns the request; null for a change that does not matter to work on the issue */
export function fromIssueChange(webhook: IssueWebhook, appUserId: string | null, id: string): SessionRequest | null {
  const { organizationId, data, actor } = webhook;
  const by = speakerOf(actor, null);
  const { name: author } = by;
  const issueNews = newsOf(data, webhook.webhookTimestamp);
  const common = {
    sessionName: issueSessionName(organizationId, data.id),
    contentKey: contentKey(webhook),
    about: null,
    issueNews,
  };
  const why = withdrawalOf(webhook, appUserId);
  if (why) return { ...common, event: { type: 'withdrawn', id, why, author, teamIds: [], at: occurredAt(webhook) } };
  const changed = webhook.updatedFrom ?? {};
  const at = occurredAt(webhook);
  if ('stateId' in changed && stateTypeOf(data) === null)
    return { ...common, event: { type: 'status-changed', id, author, at } };
  const edit: Edit = {
    author,
    ...('title' in changed && data.title && { title: data.title }),
    ...('description' in changed && { description: data.description ?? null }),
  };
  if ('title' in edit || 'description' in edit) {
    const wishes = wishEditOf(webhook, toPerson(by));
    return {
      ...common,
      event: { type: 'context-arrived', id, item: { edit }, urgent: true, ...(wishes && { wishes }) },
    };
  }
  return { ...common, event: { type: 'issue-told', news: issueNews } };
}

/** Whose a change of the description's wishes is; null if it changes none, or Linear does not say what they were, or whose it is. */
function wishEditOf({ data, updatedFrom }: IssueWebhook, by: Person | null): WishEdit | null {
  const before = updatedFrom?.description ?? null;
  if (!updatedFrom || !('description' in updatedFrom) || by === null) return null;
  if (before !== null && typeof before !== 'string') return null;
  const was = wishesIn(before ?? '');
  return was === wishesIn(data.description ?? '') ? null : { by, was };
}

/** The ground for work that a change takes away; null if it takes none. */
function withdrawalOf({ action, data, updatedFrom }: IssueWebhook, appUserId: string | null): Withdrawal | null {
  const was = (key: string) => !updatedFrom || key in updatedFrom;
  if (action === 'remove' || (was('trashed') && data.trashed === true)) return 'removed';
  if (was('archivedAt') && data.archivedAt) return 'archived';
  const wasOurs = appUserId !== null && delegateIn(updatedFrom ?? {}) === appUserId && data.delegateId !== appUserId;
  if (wasOurs) return 'unassigned';
  return STATE_KEYS.some(was) ? withdrawalByState(stateTypeOf(data)) : null;
}

const STATE_KEYS = ['stateId', 'state', 'completedAt', 'canceledAt'];

/** The type of an issue's state, also where only the times tell of it; null: Linear has to be asked. */
function stateTypeOf({ state, completedAt, canceledAt }: IssueWebhook['data']): string | null {
  return state?.type ?? (canceledAt ? 'canceled' : completedAt ? 'completed' : null);
}

/** One of the two in a shape that is not known must not hide the other. */
const delegateSchema = z.object({
  delegateId: z.string().nullish().catch(null),
  delegate: z.object({ id: z.string() }).nullish().catch(null),
});

/** Whose the issue was before. */
function delegateIn(updatedFrom: Record<string, unknown>): string | null {
  const { data } = delegateSchema.safeParse(updatedFrom);
  return data?.delegateId ?? data?.delegate?.id ?? null;
}

/** @param type of a workflow state: triage, backlog, unstarted, started, completed, canceled, duplicate */
export function withdrawalByState(type: string | null): Withdrawal | null {
  switch (type) {
    case 'completed':
      return 'completed';
    case 'canceled':
    case 'duplicate':
      return 'canceled';
    default:
      return null;
  }
}

/** What a webhook shows of an issue. */
export function newsOf(issue: Partial<IssueShape> & { id: string }, at: number): IssueNews {
  const { id, identifier, title, url, team, labels } = issue;
  const teamId = team?.id ?? issue.teamId ?? null;
  return {
    id,
    at,
    ...(identifier && { identifier }),
    ...(title && { title }),
    ...(url && { url }),
    ...(teamId !== null && { teamId, team: team ? { id: team.id, key: team.key ?? '', name: team.name ?? '' } : null }),
    ...(labels && { labels }),
  };
}

function introduction(issue: IssueShape | null) {
  return {
    identifier: issue?.identifier || null,
    title: issue?.title || (issue ? 'An issue in Linear' : 'a conversation without an issue'),
    url: issue?.url || null,
    description: issue?.description ?? null,
  };
}

function requestOf(issue: IssueShape | null): string {
  return [issue?.title, issue?.description].filter(Boolean).join('\n\n') || 'Work on this.';
}

/** What a session is called, and its branch, where its issue has no identifier. */
function nameFor(id: string): string {
  return id.slice(0, 8);
}

/** @returns null if Linear names nobody: an automation; of somebody outside it may know no more than that */
export function toPerson({ id, email, name, outside }: Speaker): Person | null {
  if (id === null) return outside ? { id: 'outside', email: null, outside: true } : null;
  return { id, email, ...(name !== null && { name }), ...(outside && { outside: true as const }) };
}
