/** What a webhook means to an issue session (pure): which session it belongs to, and what it asks. */
import { followUpPrompt, issuePrompt } from '../claude/prompts.ts';
import { contentKey, promptText, type Webhook } from '../linear/webhook.ts';

/** A prompt or a stop, ready for the session. */
export interface SessionRequest {
  /** Name of the Durable Object: one for each workspace and issue; an agent session without an issue has its own. */
  sessionName: string;
  contentKey: string;
  about: {
    workspaceId: string;
    issue: { id: string; identifier: string; title: string; url: string } | null;
    fallbackName: string;
  };
  event:
    | {
        type: 'prompted';
        promptId: string;
        agentSessionId: string;
        author: string | null;
        source: 'delegation' | 'mention' | 'comment';
        text: string;
      }
    | { type: 'stop-requested'; id: string; agentSessionId: string; author: string | null; source: 'comment' };
  promptText?: { followUp: string; first: string };
}

/** @returns the request; null for a prompt without a word in it */
export function toRequest(webhook: Webhook): SessionRequest | null {
  const { agentSession, organizationId } = webhook;
  const issue = agentSession.issue ?? null;
  const common = {
    sessionName: issue ? `${organizationId}:issue:${issue.id}` : `${organizationId}:agent-session:${agentSession.id}`,
    contentKey: contentKey(webhook),
    about: {
      workspaceId: organizationId,
      issue: issue ? { id: issue.id, identifier: issue.identifier, title: issue.title, url: issue.url } : null,
      fallbackName: agentSession.id.slice(0, 8),
    },
  };
  const introduction = {
    identifier: issue?.identifier ?? null,
    title: issue?.title ?? 'a conversation without an issue',
    url: issue?.url ?? null,
    description: issue?.description ?? null,
  };
  if (webhook.action === 'created') {
    const author = agentSession.creator?.name ?? null;
    // A delegation brings a placeholder that nobody wrote; a mention brings the comment of a person.
    const comment = agentSession.comment?.userId ? agentSession.comment.body : null;
    const { promptContext, guidance } = webhook;
    const whole = issuePrompt({
      ...introduction,
      promptContext: promptContext ?? null,
      guidance: guidance?.map((rule) => rule.body).join('\n\n') ?? null,
      comment,
      author,
    });
    const text = comment ?? ([issue?.title, issue?.description].filter(Boolean).join('\n\n') || 'Work on this.');
    return {
      ...common,
      event: {
        type: 'prompted',
        promptId: agentSession.id,
        agentSessionId: agentSession.id,
        author,
        source: comment === null ? 'delegation' : 'mention',
        text,
      },
      promptText: { followUp: whole, first: whole },
    };
  }
  const { agentActivity } = webhook;
  const author = agentActivity.user?.name ?? null;
  if (agentActivity.signal === 'stop') {
    return {
      ...common,
      event: {
        type: 'stop-requested',
        id: agentActivity.id,
        agentSessionId: agentSession.id,
        author,
        source: 'comment',
      },
    };
  }
  const text = promptText(webhook).trim();
  if (text === '') return null;
  return {
    ...common,
    event: {
      type: 'prompted',
      promptId: agentActivity.id,
      agentSessionId: agentSession.id,
      author,
      source: 'comment',
      text,
    },
    promptText: {
      followUp: followUpPrompt({ author, text }),
      // A prompt can overtake the event that began its session; then it has to introduce the issue.
      first: issuePrompt({ ...introduction, promptContext: null, guidance: null, comment: text, author }),
    },
  };
}
