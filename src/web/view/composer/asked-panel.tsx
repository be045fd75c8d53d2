import { useId, useState } from 'react';
import type { Asked } from '../../../protocol/viewer.ts';
import { diffLines } from '../../text/diff-lines.ts';
import { clock } from '../../text/format.ts';
import { useServerNow, useSession, useStore } from '../session-context.ts';

type Choice = NonNullable<Asked['choices']>[number];

/** A diff as text, its lines told apart by colour as well. */
function DiffLines({ text }: { text: string }) {
  return diffLines(text).map(({ line, kind, at }) => (
    <span key={at} className={`asked-line ${kind === 'file' ? 'asked-file' : `diff-${kind}`}`}>
      {line === '' ? '\n' : line}
    </span>
  ));
}

/**
 * The open question, above the field for the answer: what would be run, and the options to choose from.
 * @param mayAnswer otherwise it shows what is asked, without the choices
 */
export function AskedPanel({ asked, mayAnswer = true }: { asked: Asked; mayAnswer?: boolean }) {
  const store = useStore();
  const answer = useSession((state) => state.answer);
  const heading = useId();
  const isBusy = (answer.at === 'sending' || answer.at === 'taken') && answer.question === asked.id;
  // A server of an earlier version knows its options by their labels.
  const choices = asked.choices ?? asked.options.map((label) => ({ id: label, label }));
  const choose = (chosen: readonly Choice[]) => {
    const text = chosen.map(({ label }) => label).join(', ');
    void store.answer({ question: asked.id, options: chosen.map(({ id }) => id), text });
  };
  return (
    <section className="asked" aria-labelledby={heading}>
      <p className="asked-text" id={heading} dir="auto">
        {asked.text}
      </p>
      {asked.call !== null && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard
        <pre className="plain asked-call" tabIndex={0} dir="ltr">
          {asked.isDiff ? <DiffLines text={asked.call} /> : asked.call}
        </pre>
      )}
      {mayAnswer &&
        choices.length > 0 &&
        (asked.multiSelect ? (
          <SeveralChoices choices={choices} isBusy={isBusy} onChoose={choose} labelledBy={heading} />
        ) : (
          <OneChoice choices={choices} isBusy={isBusy} onChoose={choose} />
        ))}
      {(asked.note !== '' || asked.until !== null) && (
        <p className="asked-note" dir="auto">
          {asked.note} {asked.until !== null && <TimeLeft until={asked.until} />}
        </p>
      )}
    </section>
  );
}

type ChoicesProps = { choices: readonly Choice[]; isBusy: boolean; onChoose: (chosen: readonly Choice[]) => void };

/** A button for each option; those that say what they mean stand one below the other. */
function OneChoice({ choices, isBusy, onChoose }: ChoicesProps) {
  const isDescribed = choices.some(({ description }) => description);
  return (
    <div className={isDescribed ? 'asked-options asked-described' : 'asked-options'}>
      {choices.map((choice) => (
        <button key={choice.id} type="button" className="button" disabled={isBusy} onClick={() => onChoose([choice])}>
          <span dir="auto">{choice.label}</span>
          {choice.description && (
            <span className="asked-meaning" dir="auto">
              {choice.description}
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

/** A box to tick for each option, and one button that sends what is ticked. */
function SeveralChoices({ choices, isBusy, onChoose, labelledBy }: ChoicesProps & { labelledBy: string }) {
  const [ticked, setTicked] = useState<readonly string[]>([]);
  const chosen = choices.filter(({ id }) => ticked.includes(id));
  const toggle = (id: string) =>
    setTicked((before) => (before.includes(id) ? before.filter((one) => one !== id) : [...before, id]));
  return (
    <fieldset className="asked-several" aria-labelledby={labelledBy} disabled={isBusy}>
      {choices.map(({ id, label, description }) => (
        <label key={id} className="asked-tick">
          <input type="checkbox" checked={ticked.includes(id)} onChange={() => toggle(id)} />
          <span>
            <span dir="auto">{label}</span>
            {description && (
              <span className="asked-meaning" dir="auto">
                {description}
              </span>
            )}
          </span>
        </label>
      ))}
      <button
        type="button"
        className="button button-primary"
        disabled={chosen.length === 0}
        onClick={() => onChoose(chosen)}
      >
        {chosen.length === 0 ? 'Answer' : `Answer with ${chosen.length} chosen`}
      </button>
    </fieldset>
  );
}

function TimeLeft({ until }: { until: number }) {
  const now = useServerNow(true);
  return <span>Without an answer it is denied in {clock(Math.max(0, until - now))}.</span>;
}
