import { memo, useState } from 'react';
import { plainOutput } from '../../../lib/terminal-text.ts';
import { plural } from '../../text/format.ts';
import { firstLines } from '../../text/output-lines.ts';
import { CopyButton } from '../copy-button.tsx';

type ClippedOutputProps = {
  text: string;
  /** Lines shown before a person asks for all. */
  lines?: number;
  tone?: 'error';
  /** Length before the journal cut it. */
  truncatedFrom?: number;
};

/** Output of a program: as it would stand on a terminal, its beginning first. */
export const ClippedOutput = memo(function ClippedOutput({
  text,
  lines = 24,
  tone,
  truncatedFrom,
}: ClippedOutputProps) {
  const [all, setAll] = useState(false);
  const plain = plainOutput(text);
  const { shown, hidden } = all ? { shown: plain, hidden: 0 } : firstLines(plain, lines);
  return (
    <div className={tone === 'error' ? 'output output-error' : 'output'}>
      {plain.trim() !== '' && <CopyButton text={plain} what="text" />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard */}
      <pre tabIndex={0}>{shown.trim() === '' ? <span className="faint">no output</span> : shown}</pre>
      {hidden > 0 && (
        <button type="button" className="more" onClick={() => setAll(true)}>
          Show {plural(hidden, 'more line')}
        </button>
      )}
      {hidden === 0 && truncatedFrom !== undefined && (
        <p className="faint">Cut here: it was {truncatedFrom.toLocaleString()} characters long.</p>
      )}
    </div>
  );
});
