/** How soon Cyrus shows life: Linear gives an agent ten seconds, Cyrus takes a fraction of one. */
import { LinearThread } from './linear-thread.ts';
import { holds, type Run } from './run.ts';
import type { Stage } from './stage.ts';

const ISSUES = 20;
const MEDIAN_LIMIT_MS = 500;

/** Assigns issues one after another, stopping each once it has shown life. @returns the median, in milliseconds */
export async function firstActivity(run: Run, stage: Stage): Promise<{ firstActivityMedianMs: number }> {
  const { linear } = stage.stack;
  return run.promise(`The first activity comes within ${MEDIAN_LIMIT_MS} ms (median of ${ISSUES} issues)`, async () => {
    const times: number[] = [];
    for (let number = 1; number <= ISSUES; number++) {
      const issue = LinearThread.assign(linear, `Look around, ${number}`, '[script: no-change]');
      const first = await issue.firstActivity();
      const { at } = await issue.webhook('created');
      times.push(Date.parse(first.createdAt) - at);
      linear.stop(issue.issue);
      await issue.closing();
    }
    const median = times.toSorted((one, other) => one - other)[ISSUES / 2] ?? Number.POSITIVE_INFINITY;
    holds('The median', median <= MEDIAN_LIMIT_MS, `at most ${MEDIAN_LIMIT_MS} ms`, times);
    return { firstActivityMedianMs: median };
  });
}
