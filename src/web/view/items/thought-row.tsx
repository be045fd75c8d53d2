import { memo } from 'react';
import { shownText } from '../../../protocol/text/clean-text.ts';
import { Fold } from '../fold.tsx';
import { Icon, Spinner } from '../icons.tsx';
import { Prose } from '../prose.tsx';

/** What Claude thought, folded to the beginning of it. */
export const ThoughtRow = memo(function ThoughtRow({ text, name }: { text: string; name?: string }) {
  const line = (
    <>
      <span className="row-icon">
        <Icon name="thought" />
      </span>
      <span className="tool-label">Thought</span>
      <span className="tool-subject faint">{firstSentence(shownText(text))}</span>
    </>
  );
  if (text.trim() === '') return <div className="row row-plain">{line}</div>; // Claude may keep its thinking to itself.
  return (
    <Fold name={name} className="row" line={line}>
      {() => (
        <div className="prose thought" dir="auto">
          <Prose text={text} />
        </div>
      )}
    </Fold>
  );
});

/** Thinking that continues: its newest words on one line, all of them on demand. */
export function ThinkingRow({ text }: { text: string }) {
  return (
    <Fold
      className="row"
      line={
        <>
          <span className="row-icon">
            <Spinner />
          </span>
          <span className="tool-label">Thinking</span>
          <span className="tool-subject faint">{lastSentence(text)}</span>
        </>
      }
    >
      {() => <p className="thought thinking-now">{text}</p>}
    </Fold>
  );
}

function firstSentence(text: string): string {
  return text.trim().slice(0, 200).replace(/\s+/g, ' ');
}

function lastSentence(text: string): string {
  const recent = text.slice(-400).replace(/\s+/g, ' ');
  const sentences = recent.split(/(?<=[.!?]) /);
  const last = sentences.at(-1) ?? '';
  return last.length < 20 ? sentences.slice(-2).join(' ') : last;
}
