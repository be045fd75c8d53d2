import { memo } from 'react';
import type { Entry, Preparation } from '../../outline/model.ts';
import { stepWords as words } from '../../outline/step-words.ts';
import { stepsOf } from '../../outline/steps.ts';
import { clock, duration } from '../../text/format.ts';
import { Fold } from '../fold.tsx';
import { Icon, Spinner } from '../icons.tsx';
import { useServerNow } from '../session-context.ts';
import { ClippedOutput } from './clipped-output.tsx';

/** Preparations: what continues now, and one folded line once all of it is done. */
export const StepsItem = memo(function StepsItem({
  entries,
  running,
}: {
  entries: readonly Preparation[];
  running: boolean;
}) {
  const steps = stepsOf(entries);
  const current = running ? steps.find((step) => !step.done) : undefined;
  const started = entries.findLast((entry) => entry.kind === 'claude-started');
  const total = steps.reduce((sum, step) => sum + (step.durationMs ?? 0), 0);
  const onlySaving = steps.every((step) => step.step === 'save');
  const failed = steps.filter((step) => step.failed);
  const broken = running ? undefined : steps.find((step) => !step.done);
  const title = broken
    ? `${words[broken.step].doing} did not end`
    : onlySaving
      ? 'Saved the work'
      : 'Prepared the sandbox';
  const hasProblem = failed.length > 0 || broken !== undefined;
  return (
    <Fold
      name={`steps ${entries[0]?.seq}`}
      className={hasProblem && !current ? 'steps steps-failed' : 'steps'}
      line={
        <>
          <span className="row-icon">{current ? <Spinner /> : <Icon name={hasProblem ? 'warning' : 'check'} />}</span>
          <span className="row-words">
            {current ? words[current.step].doing : title}
            {current?.detail && <span className="faint"> · {current.detail}</span>}
            {current === undefined && started && <span className="faint"> · {started.model}</span>}
            {current === undefined && failed.length > 0 && (
              <span className="steps-problem">
                {' '}
                · {failed.map(({ detail }) => detail ?? 'the setup failed').join('; ')}
              </span>
            )}
          </span>
          {current ? (
            <Elapsed since={current.startedAt} />
          ) : (
            total > 0 && <span className="row-time">{duration(total)}</span>
          )}
        </>
      }
    >
      {() => (
        <ol className="step-list">
          {steps.map((step) => (
            <li key={step.key} className={step.failed ? 'step-failed' : undefined}>
              <span className="row-icon">
                {step.failed ? (
                  <Icon name="cross" />
                ) : step.done ? (
                  <Icon name="check" />
                ) : step === current ? (
                  <Spinner />
                ) : (
                  <Icon name="square" />
                )}
              </span>
              <span>
                {step.failed ? words[step.step].failed : step.done ? words[step.step].done : words[step.step].doing}
                {step.detail && <span className="faint"> · {step.detail}</span>}
              </span>
              {step.durationMs !== undefined && <span className="row-time">{duration(step.durationMs)}</span>}
            </li>
          ))}
          {started && (
            <li>
              <span className="row-icon">
                <Icon name="check" />
              </span>
              <span>
                Claude Code {started.version}
                <span className="faint">
                  {' '}
                  · {started.model} · {started.tools.length} tools
                  {started.mcpServers.map((server) => ` · ${server.name} ${server.status}`)}
                </span>
              </span>
            </li>
          )}
          <Outputs entries={entries} />
        </ol>
      )}
    </Fold>
  );
});

function Outputs({ entries }: { entries: readonly Preparation[] }) {
  const outputs = entries.filter((entry): entry is Entry<'output'> => entry.kind === 'output');
  return outputs.map((entry) => (
    <li key={entry.seq} className="step-output">
      <ClippedOutput text={entry.text} lines={12} truncatedFrom={entry.truncatedFrom} />
    </li>
  ));
}

function Elapsed({ since }: { since: number | null }) {
  const now = useServerNow(since !== null);
  return since === null ? null : <span className="row-time">{clock(now - since)}</span>;
}
