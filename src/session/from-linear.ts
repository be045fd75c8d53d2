/** What a webhook means to an issue session (pure): which session it belongs to, and what it asks or tells. */
import { contextPrompt, followUpPrompt, issuePrompt } from '../claude/prompts.ts';
import { rankGuidance } from '../linear/guidance.ts';
import {
  type AgentSessionWebhook,
  contentKey,
  type IssueWebhook,
  type NotificationWebhook,
  occurredAt,
  promptText,
} from '../linear/webhook.ts';
import type { Person } from './arrangement.ts';
import type { SessionEvent, Withdrawal } from './events.ts';
import type { Issue } from './state.ts';

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
}

type LinearIssue = NonNullable<AgentSessionWebhook['agentSession']['issue']>;

/** Name of the session of an issue. */
export function issueSessionName(workspaceId: string, issueId: string): string {
  return `${workspaceId}:issue:${issueId}`;
}

/** @returns the request; null for a prompt without a word in it */
export function fromAgentSession(webhook: AgentSessionWebhook): SessionRequest | null {
  const { agentSession, organizationId } = webhook;
  const issue = agentSession.issue ?? null;
  const issueId = issue?.id ?? agentSession.issueId;
  const common = {
    sessionName: issueId
      ? issueSessionName(organizationId, issueId)
      : `${organizationId}:agent-session:${agentSession.id}`,
    contentKey: contentKey(webhook),
    about: {
      workspaceId: organizationId,
      issue: issue && toIssue(issue),
      fallbackName: agentSession.id.slice(0, 8),
    },
  };
  const agentSessionId = agentSession.id;
  const at = occurredAt(webhook);
  if (webhook.action === 'created') {
    const author = agentSession.creator?.name ?? null;
    const person = toPerson(agentSession.creator, agentSession.creatorId);
    // A delegation brings a placeholder that nobody wrote; a mention brings the comment of a person.
    const comment = agentSession.comment?.userId ? agentSession.comment.body : null;
    // Linear's own context holds them; it is not promised that there is one.
    const previous = webhook.previousComments?.map(({ body }) => body).join('\n\n');
    const promptContext = webhook.promptContext || previous || null;
    const guidance = rankGuidance(webhook.guidance, issue?.teamId ?? issue?.team?.id ?? null);
    const whole = issuePrompt({ ...introduction(issue), promptContext, guidance, comment, author });
    const source = comment === null ? 'delegation' : 'mention';
    const text = comment ?? requestOf(issue);
    return {
      ...common,
      event: { type: 'prompted', promptId: agentSessionId, agentSessionId, author, person, source, text, at },
      promptText: { followUp: whole, first: whole },
    };
  }
  const { agentActivity } = webhook;
  const { id } = agentActivity;
  const author = agentActivity.user?.name ?? null;
  const person = toPerson(agentActivity.user, agentActivity.userId);
  if (agentActivity.signal === 'stop') {
    return { ...common, event: { type: 'stop-requested', id, agentSessionId, author, source: 'comment', at } };
  }
  const text = promptText(webhook).trim();
  if (text === '') return null;
  return {
    ...common,
    event: { type: 'prompted', promptId: id, agentSessionId, author, person, source: 'comment', text, at },
    promptText: {
      followUp: followUpPrompt({ author, text }),
      // A prompt can overtake the event that began its session; then it has to introduce the issue.
      first: issuePrompt({ ...introduction(issue), promptContext: null, guidance: [], comment: text, author }),
    },
  };
}

/** @returns the request; null for a notification about something that is no issue */
export function fromNotification(webhook: NotificationWebhook): SessionRequest | null {
  const { organizationId, notification, action } = webhook;
  const issue = notification.issue ?? null;
  if (!issue) return null;
  const { id } = notification;
  const at = occurredAt(webhook);
  const author = notification.actor?.name ?? null;
  const common = { sessionName: issueSessionName(organizationId, issue.id), contentKey: contentKey(webhook) };
  switch (action) {
    case 'issueUnassignedFromYou':
      return { ...common, about: null, event: { type: 'withdrawn', id, why: 'unassigned', author, teamIds: [], at } };
    case 'issueNewComment': {
      const text = notification.comment?.body.trim();
      if (!text) return null;
      const told = contextPrompt(`${author ?? 'Someone'} commented on the issue`, text);
      return { ...common, about: null, event: { type: 'context-arrived', id, text: told, urgent: false } };
    }
    case 'issueAssignedToYou':
    case 'issueCommentMention': {
      const comment = action === 'issueCommentMention' ? (notification.comment ?? null) : null;
      const ask = { promptContext: null, guidance: [], comment: comment?.body ?? null, author };
      const whole = issuePrompt({ ...introduction(issue), ...ask });
      const text = comment?.body ?? requestOf(issue);
      const person = toPerson(notification.actor, notification.actorId) ?? outsider(notification.externalUserActorId);
      return {
        ...common,
        about: { workspaceId: organizationId, issue: toIssue(issue), fallbackName: issue.identifier },
        event: {
          type: 'thread-expected',
          promptId: id,
          commentId: comment?.id ?? null,
          author,
          person,
          text,
          at,
        },
        promptText: { followUp: whole, first: whole },
      };
    }
    default:
      return null;
  }
}

/** @returns the request; null for a change that does not matter to work on the issue */
export function fromIssueChange(webhook: IssueWebhook, appUserId: string | null, id: string): SessionRequest | null {
  const { organizationId, data, action, actor } = webhook;
  const author = actor?.name ?? null;
  const common = {
    sessionName: issueSessionName(organizationId, data.id),
    contentKey: contentKey(webhook),
    about: null,
  };
  const isRemoved = action === 'remove' || ('trashed' in (webhook.updatedFrom ?? {}) && data.trashed === true);
  const why = isRemoved ? 'removed' : withdrawalOf(webhook, appUserId);
  if (why) return { ...common, event: { type: 'withdrawn', id, why, author, teamIds: [], at: occurredAt(webhook) } };
  const changed = webhook.updatedFrom ?? {};
  if (!('title' in changed) && !('description' in changed)) return null;
  const now = `Title: ${data.title}\n\n${data.description?.trim() || '(no description)'}`;
  const text = contextPrompt(`${author ?? 'Someone'} changed the issue while you work. It now reads`, now);
  return { ...common, event: { type: 'context-arrived', id, text, urgent: true } };
}

function withdrawalOf({ data, updatedFrom }: IssueWebhook, appUserId: string | null): Withdrawal | null {
  const changed = updatedFrom ?? {};
  const wasOurs = appUserId !== null && changed.delegateId === appUserId && data.delegateId !== appUserId;
  if (wasOurs) return 'unassigned';
  if (!('stateId' in changed)) return null;
  switch (data.state?.type) {
    case 'completed':
      return 'completed';
    case 'canceled':
    case 'duplicate':
      return 'canceled';
    default:
      return null;
  }
}

function introduction(issue: LinearIssue | null) {
  return {
    identifier: issue?.identifier ?? null,
    title: issue?.title ?? 'a conversation without an issue',
    url: issue?.url ?? null,
    description: issue?.description ?? null,
  };
}

function requestOf(issue: LinearIssue | null): string {
  return [issue?.title, issue?.description].filter(Boolean).join('\n\n') || 'Work on this.';
}

function toIssue({ id, identifier, title, url, teamId, team }: LinearIssue): Issue {
  return { id, identifier, title, url, teamId: teamId ?? team?.id ?? null };
}

type Maybe<T> = T | null | undefined;

/** @returns null where Linear names nobody */
function toPerson(user: Maybe<{ id: string; email?: string | null }>, id: Maybe<string>): Person | null {
  if (user) return { id: user.id, email: user.email ?? null };
  return id ? { id, email: null } : null;
}

function outsider(id: Maybe<string>): Person | null {
  return id ? { id, email: null, outside: true } : null;
}
