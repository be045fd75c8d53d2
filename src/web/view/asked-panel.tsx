import { useEffect, useId, useState } from 'react';
import type { Asked } from '../../protocol/viewer.ts';
import { clock } from '../text/format.ts';
import { useServerNow, useStore } from './session-context.ts';

/** After this long a question that is still there may be answered again. */
const STAYS_MS = 5_000;

/** The question that stands, above the field for the answer: what would be run, and the options as buttons. */
export function AskedPanel({ asked }: { asked: Asked }) {
  const store = useStore();
  const [chosen, setChosen] = useState<string | null>(null);
  const heading = useId();
  useEffect(() => {
    if (chosen === null) return;
    // The question goes once it is answered; one that stays did not take the answer.
    const timer = setTimeout(() => setChosen(null), STAYS_MS);
    return () => clearTimeout(timer);
  }, [chosen]);
  const choose = (option: string) => {
    setChosen(option);
    store.prompt(option);
  };
  return (
    <section className="asked" aria-labelledby={heading}>
      <p className="asked-text" id={heading}>
        {asked.text}
      </p>
      {asked.call !== null && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard
        <pre className="plain asked-call" tabIndex={0}>
          {asked.call}
        </pre>
      )}
      {asked.options.length > 0 && (
        <div className="asked-options">
          {asked.options.map((option) => (
            <button
              key={option}
              type="button"
              className="button"
              disabled={chosen !== null}
              onClick={() => choose(option)}
            >
              {option}
            </button>
          ))}
        </div>
      )}
      {(asked.note !== '' || asked.until !== null) && (
        <p className="asked-note">
          {asked.note} {asked.until !== null && <TimeLeft until={asked.until} />}
        </p>
      )}
    </section>
  );
}

function TimeLeft({ until }: { until: number }) {
  const now = useServerNow(true);
  return <span>Without an answer it is denied in {clock(Math.max(0, until - now))}.</span>;
}
