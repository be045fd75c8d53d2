/** What becomes of the issue itself while the session lives: other facts, another state. */
import { type IssueNews, withNews } from './issue-news.ts';
import type { IssueSeen } from './model/effect-results.ts';
import type { EffectOf } from './model/effects.ts';
import type { EventOf } from './model/events.ts';
import { hasTurn } from './model/phases.ts';
import type { Step } from './model/transition.ts';
import { withdrawn } from './turn/stops.ts';

/** Takes in what the issue is now. */
export function issueTold(step: Step, { news }: EventOf<'issue-told'>): void {
  takeNews(step, news);
}

/** Linear says that the state changed, but not to which: it is asked, where there is work that the answer could end. */
export function statusChanged(step: Step, { author, at = step.now }: EventOf<'status-changed'>): void {
  const { issue, phase, queue } = step.state;
  if (!issue || (!hasTurn(phase) && queue.length === 0)) return;
  step.effect({ kind: 'look-at-issue', issueId: issue.id, author, at });
}

/** Linear has told the state of the issue. */
export function issueSeen(step: Step, { author, at }: EffectOf<'look-at-issue'>, { news, why }: IssueSeen): void {
  if (news) takeNews(step, news);
  if (why) withdrawn(step, { type: 'withdrawn', id: step.context.newId(), why, author, teamIds: [], at });
}

function takeNews(step: Step, news: IssueNews): void {
  const { issue, issueAt, access } = withNews(step.state, news);
  if (issue === step.state.issue) return;
  step.set({ issue, ...(issueAt !== undefined && { issueAt }), ...(access && { access }) });
}
