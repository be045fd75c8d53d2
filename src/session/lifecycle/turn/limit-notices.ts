/** What a session tells of Claude's limits and of trouble with the account (pure). */
import { limitName } from '../../../claude/words.ts';
import { type Window, windowName } from '../../../claude-quota/windows.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import type { SessionView } from '../../../protocol/viewer.ts';
import { onlyIn } from '../model/by-phase.ts';
import type { Started } from '../model/effect-results.ts';
import { currentTurn, type Ending, threadsOf } from '../model/phases.ts';
import type { SessionState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';

/** A cheaper model was taken: said once for each turn, in one line. To be called before the turn counts as started. */
export function tellFallback(step: Step, { fellBack, windows }: Started): void {
  if (windows && windows.length > 0) step.set({ windows });
  if (fellBack) tellCheaper(step, fellBack);
}

const tellCheaper = onlyIn<[fellBack: NonNullable<Started['fellBack']>]>({
  starting: (step, { turn }, { left, from, to }) => {
    if (turn.startedAs === turn.number) return;
    const percent = Math.round(left * 100);
    const text = `${percent} % of Claude's limit is left, so this turn uses ${to} instead of ${from}.`;
    step.record({ kind: 'notice', level: 'info', text });
    step.think(threadsOf(turn), text);
  },
});

/** A request was served beyond the plan, for money: said once, in the log of the session and in the threads. */
export function tellBeyondPlan(step: Step, { beyondPlan, limit }: Extract<JournalBody, { kind: 'rate-limit' }>): void {
  if (!beyondPlan || step.state.limit?.beyondPlan) return;
  const text = `Claude's ${limitName(limit)} is used up, and the last request was served beyond the plan, which is charged as usage credits. At most the amount that the deployment allows is spent this way (\`CLAUDE_OVERAGE_USD\`); after that the work waits until the limit resets.`;
  step.record({ kind: 'notice', level: 'warning', text });
  const turn = currentTurn(step.state);
  step.think(turn ? threadsOf(turn) : [], text);
}

/** What Claude Code tells of the windows, in the order of their names. */
export function takeWindows(step: Step, { windows }: Extract<JournalBody, { kind: 'rate-limit' }>): void {
  if (!windows || windows.length === 0) return;
  const told: Window[] = windows.map(({ name, ...window }) => ({ ...window, name: windowName(name) }));
  const others = (step.state.windows ?? []).filter((known) => !told.some(({ name }) => name === known.name));
  step.set({ windows: [...others, ...told].toSorted((a, b) => a.name.localeCompare(b.name)) });
}

/** Trouble that ends every turn until an admin of Cyrus does something. */
const ACCOUNT_TROUBLE = new Set(['authentication_failed', 'oauth_org_not_allowed', 'account_on_hold', 'billing_error']);

/** A page shows trouble with the account until a turn has gone well. */
export function noteTrouble(step: Step, { reason, outcome, text }: Ending): void {
  if (ACCOUNT_TROUBLE.has(reason)) step.set({ alert: text });
  else if (outcome === 'completed' && step.state.alert != null) step.set({ alert: null });
}

/** What the page shows of it. */
export function limitsView({ windows, alert }: SessionState): Pick<SessionView, 'windows' | 'alert'> {
  return {
    ...(windows &&
      windows.length > 0 && {
        windows: windows.map(({ name, utilization, resetsAt }) => ({ name, utilization, resetsAt })),
      }),
    ...(alert != null && { alert }),
  };
}
