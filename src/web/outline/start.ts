/** The start of a turn, step by step, from the request to the first thing that Claude does. Pure; times in ms since the epoch. */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { SandboxStep } from '../../protocol/sandbox/events.ts';
import type { SessionView } from '../../protocol/viewer.ts';
import type { Preparation, Section } from './model.ts';
import { stepWords } from './step-words.ts';
import { type Step, stepsOf } from './steps.ts';

export type StartStep = {
  readonly key: string;
  readonly name: string;
  readonly state: 'done' | 'running' | 'failed' | 'next';
  /** When it began; null if it did not begin, or nobody said when. */
  readonly since: number | null;
  /** How long it took, in ms; null while it runs. */
  readonly tookMs: number | null;
  readonly detail?: string;
};

type View = Pick<SessionView, 'phase' | 'phaseSince' | 'reason'>;

/** Steps that every new sandbox takes. */
const ALWAYS: readonly SandboxStep[] = ['mirror', 'worktree'];
/** Longest line of a log that is shown, in UTF-16 code units. */
const MAX_LINE = 200;

/** Whether a turn has begun of which nothing of Claude's is there yet. */
export function isStarting({ turn, ended, hasSpoken }: Section): boolean {
  return turn > 0 && ended === null && !hasSpoken;
}

/** The steps of a turn that is starting, in their order: done, running and still to come. */
export function startSteps(section: Section, view: View): StartStep[] {
  const { entries, prompt } = section;
  const begun = entries.find((entry) => entry.kind === 'turn-started');
  const steps = stepsOf(entries.filter(isPreparation)).filter(({ step }) => step !== 'save' && step !== 'claude');
  const started = entries.find((entry) => entry.kind === 'claude-started');
  const slot = slotOf(entries, view);
  const asked: StartStep[] =
    prompt === null
      ? []
      : [done('asked', `Asked${prompt.author === null ? '' : ` by ${prompt.author}`}`, prompt.at, null)];
  const sandboxFrom = slot?.freeAt ?? begun?.at ?? section.startedAt;
  const first = steps[0];
  const isUp = first !== undefined || started !== undefined;
  const sandbox: StartStep = isUp
    ? done('sandbox', 'Sandbox started', sandboxFrom, Math.max(0, (first?.startedAt ?? sandboxFrom) - sandboxFrom))
    : view.phase === 'queued'
      ? next('sandbox', 'Start a sandbox')
      : running('sandbox', 'Starting the sandbox', sandboxFrom, reasonBeside(view, 'Starting the sandbox'));
  const isPrepared = isUp && steps.every((step) => step.done);
  const missing = ALWAYS.filter((name) => started === undefined && !steps.some(({ step }) => step === name));
  return [
    ...asked,
    ...(slot === null ? [] : [slotStep(slot, view)]),
    sandbox,
    ...steps.map((step) => preparation(step, view)),
    ...missing.map((name) => next(name, stepWords[name].doing)),
    ...claudeSteps(started?.at ?? null, isPrepared && missing.length === 0 ? lastEnd(steps) : null),
  ];
}

/** The newest line that the setup printed; null if it printed nothing. */
export function lastLogLine({ entries }: Section): string | null {
  const output = entries.findLast((entry) => entry.kind === 'output');
  const line = output?.text.trimEnd().split('\n').at(-1)?.trim();
  return line ? line.slice(0, MAX_LINE) : null;
}

function isPreparation(entry: JournalEntry): entry is Preparation {
  return entry.kind === 'step' || entry.kind === 'output' || entry.kind === 'claude-started';
}

type Slot = { awaitedAt: number; freeAt: number | null };

function slotOf(entries: readonly JournalEntry[], { phase, phaseSince }: View): Slot | null {
  const noted = entries.find((entry) => entry.kind === 'notice' && entry.slot === 'awaited')?.at;
  const awaitedAt = noted ?? (phase === 'queued' ? phaseSince : null);
  if (awaitedAt === null) return null;
  const free = entries.findLast((entry) => entry.kind === 'notice' && entry.slot === 'free');
  return { awaitedAt, freeAt: phase === 'queued' ? null : (free?.at ?? null) };
}

function slotStep({ awaitedAt, freeAt }: Slot, view: View): StartStep {
  if (view.phase === 'queued') return running('slot', 'Waiting for a slot', awaitedAt, view.reason);
  return done('slot', 'Waited for a slot', awaitedAt, freeAt === null ? null : freeAt - awaitedAt);
}

function preparation(step: Step, view: View): StartStep {
  const words = stepWords[step.step];
  const { startedAt: since, durationMs: tookMs = null } = step;
  const detail = step.detail ?? (step.done ? undefined : reasonBeside(view, words.doing));
  const state = step.failed ? 'failed' : step.done ? 'done' : 'running';
  const name = step.failed ? words.failed : step.done ? words.done : words.doing;
  return { key: String(step.key), name, state, since, tookMs, ...(detail !== undefined && { detail }) };
}

/** @param startedAt when Claude's process said that it runs @param from when all before it was done; null: it is not */
function claudeSteps(startedAt: number | null, from: number | null): StartStep[] {
  if (startedAt === null) {
    const claude = from === null ? next('claude', 'Start Claude') : running('claude', stepWords.claude.doing, from);
    return [claude, next('first', 'First thought')];
  }
  const took = from === null ? null : Math.max(0, startedAt - from);
  return [done('claude', stepWords.claude.done, from ?? startedAt, took), running('first', 'First thought', startedAt)];
}

function lastEnd(steps: readonly Step[]): number | null {
  const last = steps.at(-1);
  return last?.startedAt == null ? null : last.startedAt + (last.durationMs ?? 0);
}

/** Why it takes its time, where the session says more than what is done. */
function reasonBeside({ phase, reason }: View, words: string): string | undefined {
  return phase === 'starting' && reason !== '' && !reason.startsWith(words) ? reason : undefined;
}

function done(key: string, name: string, since: number, tookMs: number | null): StartStep {
  return { key, name, state: 'done', since, tookMs };
}

function running(key: string, name: string, since: number, detail?: string): StartStep {
  return { key, name, state: 'running', since, tookMs: null, ...(detail !== undefined && { detail }) };
}

function next(key: string, name: string): StartStep {
  return { key, name, state: 'next', since: null, tookMs: null };
}
