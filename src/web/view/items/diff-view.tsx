import { memo, type ReactNode, useMemo } from 'react';
import type { Hunk } from '../../../protocol/journal.ts';
import { type DiffLine, diffLines } from '../../outline/diff.ts';
import { plural } from '../../text/format.ts';
import { useKept } from '../kept-state.ts';

const signs = { same: ' ', added: '+', removed: '−', note: ' ' } as const;
/** A diff a few lines longer than its limit is shown whole: a button would save nothing. */
const TOLERANCE = 4;

/** A line of a file, without the gaps between hunks. */
export type FileLine = Exclude<DiffLine, { kind: 'gap' }>;

type DiffViewProps = {
  hunks: readonly Hunk[];
  /** So many lines are drawn before a person wants all. */
  lines: number;
  /** Under this name it is remembered that all are drawn. */
  name?: string;
  /** What is beside the number of a line. */
  numberCell?: (line: FileLine) => ReactNode;
  /** What is drawn below a line; null: nothing. */
  below?: (line: FileLine) => ReactNode;
};

/** An edit: old and new line numbers, what was removed and added, the changed part of a line marked. */
export const DiffView = memo(function DiffView({ hunks, lines: most, name, numberCell, below }: DiffViewProps) {
  const [all, setAll] = useKept(name, false);
  const lines = useMemo(() => diffLines(hunks), [hunks]);
  const shown = all || lines.length <= most + TOLERANCE ? lines : lines.slice(0, most);
  return (
    <div className="diff">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard */}
      <div className="diff-scroll" tabIndex={0}>
        <table>
          <tbody>
            {shown.map((line) => (
              <DiffRow key={line.key} line={line} numberCell={numberCell} below={below} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < lines.length && (
        <button type="button" className="more" onClick={() => setAll(true)}>
          Show {plural(lines.length - shown.length, 'more line')}
        </button>
      )}
    </div>
  );
});

function DiffRow({ line, numberCell, below }: { line: DiffLine } & Pick<DiffViewProps, 'numberCell' | 'below'>) {
  if (line.kind === 'gap') {
    return (
      <tr className="diff-gap">
        <td colSpan={4}>⋯</td>
      </tr>
    );
  }
  const more = below?.(line) ?? null;
  return (
    <>
      <tr className={`diff-${line.kind}`}>
        <td className="diff-no">{line.old}</td>
        <td className="diff-no">
          {line.new}
          {numberCell?.(line)}
        </td>
        <td className="diff-sign">{signs[line.kind]}</td>
        <td className="diff-text">
          <DiffText line={line} />
        </td>
      </tr>
      {more !== null && (
        <tr className="diff-below">
          <td colSpan={4}>{more}</td>
        </tr>
      )}
    </>
  );
}

/** A line with the part of it marked that was changed. */
export function DiffText({ line }: { line: FileLine }) {
  if (line.mark === undefined) return line.text;
  const [from, to] = line.mark;
  return (
    <>
      {line.text.slice(0, from)}
      <mark>{line.text.slice(from, to)}</mark>
      {line.text.slice(to)}
    </>
  );
}
