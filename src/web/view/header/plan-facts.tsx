import type { PlanStep } from '../../../protocol/viewer.ts';
import { Icon, type IconName } from '../icons.tsx';

type Plan = readonly PlanStep[] | undefined;

/** Claude's plan as a list of what is done, under way and still to come. */
export function PlanFacts({ plan }: { plan: Plan }) {
  if (plan === undefined || plan.length === 0) return null;
  const { done, all } = counted(plan);
  return (
    <section aria-labelledby="plan" className="plan">
      <h2 id="plan">
        Plan <span className="plan-count">{planProgress(plan)}</span>
      </h2>
      <progress className="plan-bar" value={done} max={Math.max(1, all)} aria-labelledby="plan" />
      <ol>
        {plan.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps have no name of their own, and keep their order
          <li key={index} className={`plan-${step.status}`}>
            <Icon name={MARKS[step.status]} />
            <span dir="auto">
              <span className="visually-hidden">{WORDS[step.status]}: </span>
              {step.content}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** "2 of 5 done"; empty if there is no plan. What was dropped is not counted. Pure. */
export function planProgress(plan: Plan): string {
  if (plan === undefined || plan.length === 0) return '';
  const { done, all } = counted(plan);
  return `${done} of ${all} done`;
}

function counted(plan: readonly PlanStep[]): { done: number; all: number } {
  const all = plan.filter(({ status }) => status !== 'canceled');
  return { done: all.filter(({ status }) => status === 'completed').length, all: all.length };
}

const MARKS: Record<PlanStep['status'], IconName> = {
  pending: 'circle',
  inProgress: 'right',
  completed: 'check',
  canceled: 'cross',
};
const WORDS: Record<PlanStep['status'], string> = {
  pending: 'To do',
  inProgress: 'Under way',
  completed: 'Done',
  canceled: 'Dropped',
};
