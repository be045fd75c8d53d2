import { memo, useMemo, useState } from 'react';
import type { ChangedFile } from '../../changes/patch.ts';
import { type Pair, sideBySide } from '../../changes/side-by-side.ts';
import { diffLines } from '../../outline/diff.ts';
import { plural } from '../../text/format.ts';
import { DiffText, DiffView } from '../items/diff-view.tsx';

/** Lines of a file that are drawn before a person wants all. */
const LINES_AT_ONCE = 300;

/** The change of one file. */
export const FileDiff = memo(function FileDiff({ file, isSplit }: { file: ChangedFile; isSplit: boolean }) {
  if (file.isBinary) return <p className="soft file-note">A binary file; the patch has it.</p>;
  if (file.hunks.length === 0) return <p className="soft file-note">{file.mode ?? 'An empty file'}</p>;
  return isSplit ? <SplitDiff file={file} /> : <DiffView hunks={file.hunks} lines={LINES_AT_ONCE} />;
});

function SplitDiff({ file }: { file: ChangedFile }) {
  const [all, setAll] = useState(false);
  const pairs = useMemo(() => sideBySide(diffLines(file.hunks)), [file.hunks]);
  const shown = all ? pairs : pairs.slice(0, LINES_AT_ONCE);
  return (
    <div className="diff">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard */}
      <div className="diff-scroll" tabIndex={0}>
        <table className="split">
          <tbody>
            {shown.map((pair) => (
              <SplitRow key={pair.key} pair={pair} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < pairs.length && (
        <button type="button" className="more" onClick={() => setAll(true)}>
          Show {plural(pairs.length - shown.length, 'more line')}
        </button>
      )}
    </div>
  );
}

function SplitRow({ pair: { left, right } }: { pair: Pair }) {
  if (left === null && right === null) {
    return (
      <tr className="diff-gap">
        <td colSpan={4}>⋯</td>
      </tr>
    );
  }
  return (
    <tr>
      <td className={`diff-no ${left === null ? 'split-none' : `diff-${left.kind}`}`}>{left?.old}</td>
      <td className={`diff-text ${left === null ? 'split-none' : `diff-${left.kind}`}`}>
        {left !== null && <DiffText line={left} />}
      </td>
      <td className={`diff-no ${right === null ? 'split-none' : `diff-${right.kind}`}`}>{right?.new}</td>
      <td className={`diff-text ${right === null ? 'split-none' : `diff-${right.kind}`}`}>
        {right !== null && <DiffText line={right} />}
      </td>
    </tr>
  );
}
