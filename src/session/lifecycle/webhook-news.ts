/** What a workspace's webhooks are told of a step: that the session has finished, or needs somebody (pure). */
import type { WebhookNews } from './model/effects.ts';
import type { SessionState } from './model/state.ts';
import type { Step } from './model/transition.ts';

/** Has webhooks told if this event has finished the session, or has it wait for a person. @param before the state before the event */
export function tellWebhooks(step: Step, before: SessionState): void {
  for (const news of newsOf(step, before)) {
    // An event changes the revision once, so this names the news, whatever is done twice.
    const id = `msg_${before.id}_${before.revision + 1}_${news.type === 'session.finished' ? 'f' : 'n'}`;
    step.effect({ kind: 'tell-webhooks', id, at: step.now, turn: step.state.turns, news });
  }
}

function newsOf(step: Step, before: SessionState): WebhookNews[] {
  const { phase } = step.state;
  if (phase.name === 'asking') {
    const { kind } = phase.about;
    const isNew = before.phase.name !== 'asking' || nameOf(before.phase) !== nameOf(phase);
    return isNew ? [{ type: 'session.needs_you', reason: kind === 'permission' ? 'permission' : 'question' }] : [];
  }
  if (phase.name !== 'waiting') return [];
  const ended = step.notes.findLast((one) => one.note === 'entry' && one.body.kind === 'turn-ended');
  // A turn that nobody asked for says nothing about the state of the work.
  if (ended?.note !== 'entry' || ended.body.kind !== 'turn-ended' || ended.threads.length === 0) return [];
  const { outcome } = ended.body;
  const failed: WebhookNews[] = outcome === 'failed' ? [{ type: 'session.needs_you', reason: 'failure' }] : [];
  return [{ type: 'session.finished', outcome }, ...failed];
}

/** Names what is asked; the parts of one call of Claude's are asked one after the other, and are one. */
function nameOf({ about, since }: Extract<SessionState['phase'], { name: 'asking' }>): string {
  return about.kind === 'repository' ? (about.id ?? `repository:${since}`) : about.requestId;
}
