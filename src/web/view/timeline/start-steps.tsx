import { isStarting, lastLogLine, type StartStep, startSteps } from '../../outline/start.ts';
import { clock, duration } from '../../text/format.ts';
import { Icon, type IconName, Spinner } from '../icons.tsx';
import { useServerNow, useSession } from '../session-context.ts';

const icons: Record<Exclude<StartStep['state'], 'running'>, IconName> = { done: 'check', failed: 'cross', next: 'dot' };
const words: Record<StartStep['state'], string> = {
  done: 'done',
  failed: 'failed',
  next: 'to come',
  running: 'running',
};

/** The start of the turn as a list of steps with their times, until Claude says, thinks or calls something. */
export function StartSteps() {
  const session = useSession((state) => state.session);
  const section = useSession((state) => state.outline.sections.at(-1));
  const now = useServerNow(true);
  if (session === null || section === undefined || !isStarting(section)) return null;
  const steps = startSteps(section, session);
  const line = lastLogLine(section);
  return (
    <section className="start appear-late" aria-label={`Start of turn ${section.turn}`}>
      <ol className="step-list">
        {steps.map((step) => (
          <li key={step.key} className={`start-${step.state}`}>
            <span className="row-icon">
              {step.state === 'running' ? <Spinner /> : <Icon name={icons[step.state]} />}
            </span>
            <span className="start-words" dir="auto">
              {step.name}
              <span className="visually-hidden">, {words[step.state]}</span>
              {step.detail !== undefined && <span className="faint"> · {step.detail}</span>}
            </span>
            <span className="row-time">{timeOf(step, now)}</span>
          </li>
        ))}
      </ol>
      {line !== null && (
        <p className="start-log" dir="auto">
          {line}
        </p>
      )}
    </section>
  );
}

function timeOf({ state, since, tookMs }: StartStep, now: number): string {
  if (tookMs !== null) return duration(tookMs);
  return state === 'running' && since !== null ? clock(now - since) : '';
}
