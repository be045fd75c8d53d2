/** The pull request that the end of a turn waits for, so that the closing answer can name it. */
import type { JournalBody } from '../../../protocol/journal.ts';
import type { PullSummary } from '../../../protocol/pull-request.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';
import type { Failed } from '../effects/definition.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import type { EffectResults } from '../model/effect-results.ts';
import type { EffectOf } from '../model/effects.ts';
import { currentTurn, type PhaseOf, type SavingPhase, threadsOf } from '../model/phases.ts';
import type { Proposal } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { follow } from '../pull-request/news.ts';
import { isAtClaude } from '../requests.ts';
import { endTurn } from './end.ts';

type OpenPullRequest = EffectOf<'open-pull-request'>;
type Saved = Extract<JournalBody, { kind: 'saved' }>;

/** Longest part of Claude's answer that goes into a pull request, in UTF-16 code units. */
const MAX_SUMMARY = 30_000;
const NO_PROPOSAL: Proposal = { head: null, pullRequest: null, linked: [] };

/**
 * Asks for a pull request where Claude is done and the branch has something that was not proposed before. Work that was
 * stopped or failed is pushed, but not proposed: the next turn that completes does that. `template`: the repository's own for pull
 * requests; left out: it has none.
 * @returns whether that decides how the turn goes on; otherwise it is over
 */
export const propose = byPhase<[saved: Saved, template?: string], boolean>({ saving: proposeSaved }, () => false);

function proposeSaved(step: Step, phase: SavingPhase, saved: Saved, template?: string): boolean {
  const { proposal = NO_PROPOSAL } = step.state;
  if (phase.proposes) {
    if (phase.early === null) return true;
    // The next turn is over too.
    waitNoLonger(step, phase);
    return propose(step, saved, template);
  }
  if (phase.ending.outcome !== 'completed' || !saved.pushed) return false;
  if (saved.commits.length === 0 || saved.head === proposal.head) return false;
  const proposing = { ...phase, since: step.now, proposes: true as const };
  step.enter(proposing);
  step.effect({
    kind: 'open-pull-request',
    turn: phase.turn.number,
    head: saved.head,
    subject: saved.commits.at(-1)?.subject ?? '',
    summary: cutWhole(phase.ending.text, MAX_SUMMARY),
    threads: threadsOf(phase.turn),
    ...(template !== undefined && { template }),
  });
  // Claude is at work on the next turn already.
  if (phase.begun || phase.halt || step.state.queue.some(isAtClaude)) waitNoLonger(step, proposing);
  return true;
}

/** What came of it: told, linked, and the turn that waited ends. */
export function proposed(step: Step, effect: OpenPullRequest, result: EffectResults['open-pull-request']): void {
  const before = step.state.proposal ?? NO_PROPOSAL;
  step.set({ proposal: { ...before, head: effect.head } });
  if (result?.kind === 'pull-request') {
    const { kind: _kind, hears, ...pullRequest } = result;
    follow(step, pullRequest.number, hears, pullRequest.state === 'opened');
    step.record({ kind: 'pull-request', ...pullRequest });
    // Also where no turn runs any more: the next answer names it.
    step.cue({ kind: 'proposed', proposed: { kind: 'pull-request', ...pullRequest } });
    link(step, effect, pullRequest);
  }
  if (result?.kind === 'branch' && result.url !== null)
    step.record({ kind: 'branch-link', branch: step.state.branch, url: result.url });
  finish(step, effect.turn);
}

/** It was given up: the work is on the branch all the same, and the answer says what to do. */
export function notProposed(step: Step, { effect, error, hint }: Failed<'open-pull-request'>): void {
  const problem = [error, hint].flatMap((text) => (text ? [text.replace(/\.?$/, '.')] : [])).join(' ');
  const { number = null, url = null, draft = false } = openPullRequestOf(step) ?? {};
  step.record({ kind: 'pull-request', state: 'failed', number, url, draft, problem });
  step.set({ failedEffects: step.state.failedEffects + 1 });
  finish(step, effect.turn);
}

/** GitHub tells the state of the pull request. */
export function notePullRequest(step: Step, { number, state }: { number: number; state: string }): void {
  const { proposal } = step.state;
  if (!proposal?.pullRequest || proposal.pullRequest.number !== number || state === 'open') return;
  const { checks = 'unknown', review = 'unknown' } = proposal.pullRequest.seen ?? {};
  const seen: PullSummary = { state: state === 'merged' ? 'merged' : 'closed', checks, review };
  step.set({ proposal: { ...proposal, pullRequest: { ...proposal.pullRequest, isOver: true, seen } } });
  step.record({ kind: 'notice', level: 'info', text: `Pull request #${number} was ${state}; Claude will be told.` });
}

/** The one that was opened before, which is not said not to be there; null if none is known to be open. */
function openPullRequestOf(step: Step): Proposal['pullRequest'] {
  const known = step.state.proposal?.pullRequest ?? null;
  return known?.isOver ? null : known;
}

/** The answer goes out without it; once it is there, it is linked. */
export function waitNoLonger(step: Step, phase: PhaseOf<'saving'>): void {
  if (!phase.proposes) return;
  const { number = null, url = null, draft = false } = openPullRequestOf(step) ?? {};
  step.record({ kind: 'pull-request', state: 'pending', number, url, draft });
  endTurn(step, phase.ending, phase.early);
}

/** The turn of this number waits for its pull request no longer. */
const finish = onlyIn<[turn: number]>({
  saving: (step, phase, turn) => {
    if (phase.proposes && phase.turn.number === turn) endTurn(step, phase.ending, phase.early);
  },
});

/** Linked once in each thread that asked, and once on the issue. */
function link(step: Step, effect: OpenPullRequest, pullRequest: NonNullable<Proposal['pullRequest']>): void {
  const { proposal = NO_PROPOSAL, issue, isMuted } = step.state;
  const { number, url, draft } = pullRequest;
  const isKnown = proposal.pullRequest?.url === url;
  const linked = isKnown ? proposal.linked : [];
  const threads = threadsToLink(step, effect).filter((thread) => !linked.includes(thread));
  step.set({ proposal: { ...proposal, pullRequest: { number, url, draft }, linked: [...linked, ...threads] } });
  for (const thread of threads) step.show(thread, { urls: [{ label: `Pull request #${number}`, url }] });
  if (isKnown || !issue || isMuted) return;
  step.effect({ kind: 'attach-pull-request', id: step.context.newId(), issueId: issue.id, number, url });
}

/** The threads of the turn; those that joined while it was waited for are among them. */
function threadsToLink(step: Step, effect: OpenPullRequest): string[] {
  const turn = currentTurn(step.state);
  return [...new Set([...effect.threads, ...(turn?.number === effect.turn ? threadsOf(turn) : [])])];
}
