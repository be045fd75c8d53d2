import type { SandboxStep } from '../../protocol/sandbox/events.ts';
import type { Entry, Preparation } from './model.ts';

/** A step of the preparations: begun, and perhaps done. Times in ms. */
export type Step = {
  step: SandboxStep;
  key: number;
  startedAt: number | null;
  done: boolean;
  /** It is done and did not succeed; the work went on all the same. */
  failed: boolean;
  detail?: string;
  durationMs?: number;
};

/** A step is started and done: two entries, one line. A step that is begun again (a retry) is a line of its own. */
export function stepsOf(entries: readonly Preparation[]): Step[] {
  const steps: Step[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'step') continue;
    const { step, detail, durationMs } = entry;
    const open = steps.findLast((candidate) => candidate.step === step && !candidate.done);
    if (entry.status === 'started' || open === undefined) {
      const done = entry.status === 'done';
      const failed = done && isFailed(entry);
      steps.push({ step, key: entry.seq, startedAt: done ? null : entry.at, done, failed, detail, durationMs });
    } else {
      open.done = true;
      open.failed = isFailed(entry);
      open.detail = detail ?? open.detail;
      open.durationMs = durationMs ?? (open.startedAt === null ? undefined : entry.at - open.startedAt);
    }
  }
  return steps;
}

/** How an earlier sandbox server, which marked nothing, told that a setup script had failed. */
const FAILED_SETUP = / (?:failed with (?:exit code|signal) |was ended: it took longer than |could not be run: )/;

function isFailed({ step, failed, detail }: Pick<Entry<'step'>, 'step' | 'failed' | 'detail'>): boolean {
  return failed === true || (step === 'setup' && FAILED_SETUP.test(detail ?? ''));
}
