/** Checks of the pull request's present commit that fail: said, or repaired in the same session, so often and no more. */
import { checkPrompt } from '../../../claude/check-prompt.ts';
import type { CheckFailure } from '../../../github/check-failures.ts';
import { contextText } from '../issue-context.ts';
import type { PullRequestSeen } from '../model/effect-results.ts';
import { hasTurn, isUnderWay } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { safeText } from '../narration/safe-text.ts';
import { askByItself } from '../prompts.ts';
import { type Following, type KnownChecks, noChecks } from './following.ts';

/** A commit's failures are taken up so often: its checks may be run again. */
export const ROUNDS_A_HEAD = 3;
/** And those of a pull request so often in all. */
export const ROUNDS_IN_ALL = 10;
/** While a turn is under way its end is waited for: asked again after so long, in ms. */
const AFTER_TURN_MS = 5 * 60_000;
/** And where the turn itself waits, for people or for a limit, after so long. */
const AFTER_WAIT_MS = 3_600_000;
/** What is remembered of each kind; of more the newest. */
const MOST_KEPT = 50;
const MOST_NAMED = 10;

type Read = NonNullable<PullRequestSeen['checks']>;

/** The checks of the pull request of this number, as GitHub says now. */
export function checksRead(step: Step, number: number, read: Read): void {
  const { following } = step.state;
  if (following?.number !== number) return;
  const before = following.checks ?? noChecks;
  const ofHead: KnownChecks =
    before.head === read.head ? before : { ...before, head: read.head, rounds: 0, failed: [], taken: [] };
  const known = noteFlaky(step, ofHead, read.passed);
  const fresh = read.failures.filter(({ id }) => !known.taken.includes(id));
  // What is not done yet may fail as well: Claude gets all of it at once.
  if (read.isRunning || fresh.length === 0) {
    keep(step, following, known);
    return;
  }
  const taken: KnownChecks = {
    ...known,
    taken: [...known.taken, ...fresh.map(({ id }) => id)].slice(-MOST_KEPT),
    failed: [...new Set([...known.failed, ...fresh.map(({ name }) => name)])].slice(-MOST_KEPT),
  };
  const own = fresh.filter(({ isOnBase }) => !isOnBase);
  if (own.length === 0) {
    keep(step, following, taken);
    say(step, `${failing(number, fresh)}. They fail on the base branch too, so Claude does not repair them here.`);
    return;
  }
  if (read.mode === 'report') {
    keep(step, following, taken);
    say(step, `${failing(number, own)}. Comment to have Claude repair that.`);
    return;
  }
  if (step.state.phase.name !== 'waiting') {
    // The commit will be another one, or the same checks are looked at once the turn is over.
    const again = isUnderWay(step.state.phase) ? AFTER_TURN_MS : AFTER_WAIT_MS;
    keep(step, { ...following, lookAt: step.now + again }, known);
    return;
  }
  const reason = reasonToLeave(step, taken, own);
  if (reason !== null) {
    keep(step, following, taken);
    say(step, `${failing(number, own)}. ${reason}`);
    return;
  }
  repair(step, number, following, taken, own);
}

/** Why what fails is left to people, as a message; null: it is repaired. */
function reasonToLeave(
  step: Step,
  { rounds, total, flaky, tried }: KnownChecks,
  failures: readonly CheckFailure[],
): string | null {
  const { overAt, lastOutcome, isMuted } = step.state;
  if (overAt != null || isMuted)
    return 'The issue is closed, so Claude does not repair that. Comment to have it repaired.';
  if (lastOutcome === 'stopped')
    return 'The work was stopped, so Claude does not repair that. Comment to have it repaired.';
  if (failures.every(({ name }) => flaky.includes(name))) {
    return 'They failed and passed on the same commit before, so this may be chance: run them again, or comment to have Claude look.';
  }
  if (rounds < ROUNDS_A_HEAD && total < ROUNDS_IN_ALL) return null;
  const what = tried.map((one) => `- ${safeText(one)}`).join('\n');
  return `Claude tried ${total} times and stops here. Comment to have it try again. What it worked on:\n\n${what}`;
}

function repair(
  step: Step,
  number: number,
  following: Following,
  known: KnownChecks,
  failures: readonly CheckFailure[],
): void {
  const names = named(failures);
  const tried = [...known.tried, `${names} at ${known.head.slice(0, 10)}`].slice(-ROUNDS_IN_ALL);
  keep(step, following, { ...known, rounds: known.rounds + 1, total: known.total + 1, tried });
  const promptId = step.context.newId();
  const context = step.state.context.map(contextText);
  step.keepPrompt(promptId, [...context, checkPrompt(number, known.head, failures, known.flaky)].join('\n\n'));
  step.set({ context: [], editDue: null });
  say(step, `${failing(number, failures)}. Claude repairs that.`, true);
  askByItself(step, promptId, `Checks of pull request #${number} fail: ${names}`);
}

/** A check that failed and passes on the same commit fails by chance. */
function noteFlaky(step: Step, known: KnownChecks, passed: readonly string[]): KnownChecks {
  const flaky = known.failed.filter((name) => passed.includes(name) && !known.flaky.includes(name));
  if (flaky.length === 0) return known;
  const text = `Failed and then passed on the same commit, so probably by chance: ${flaky.slice(0, MOST_NAMED).join(', ')}.`;
  step.record({ kind: 'notice', level: 'info', text });
  return { ...known, flaky: [...known.flaky, ...flaky].slice(-MOST_KEPT) };
}

function keep(step: Step, following: Following, checks: KnownChecks): void {
  step.set({ following: { ...following, checks } });
}

function named(failures: readonly CheckFailure[]): string {
  const names = failures.slice(0, MOST_NAMED).map(({ name }) => name.replace(/\s+/g, ' ').slice(0, 100));
  const more = failures.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function failing(number: number, failures: readonly CheckFailure[]): string {
  return `Checks of pull request #${number} fail: ${safeText(named(failures))}`;
}

/**
 * On the page, and in the thread that is the latest. If no turn is under way it is a closing word: after a thought Linear would wait for
 * more, and call the thread stale.
 * @param goesOn a turn follows that closes the thread
 */
function say(step: Step, text: string, goesOn = false): void {
  step.record({ kind: 'notice', level: 'warning', text });
  const thread = Object.keys(step.state.agentSessions).at(-1);
  if (thread === undefined) return;
  if (goesOn || hasTurn(step.state.phase)) step.announce(thread, text);
  else step.say(thread, { type: 'response', body: text });
}
