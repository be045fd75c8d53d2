import { memo, useEffect, useMemo, useRef, useState } from 'react';
import type { ChangedFile } from '../../changes/patch.ts';
import type { DraftComment, SentComment, Side } from '../../changes/review.ts';
import { excerptOf, linesText } from '../../changes/review.ts';
import { type Pair, sideBySide } from '../../changes/side-by-side.ts';
import { diffLines } from '../../outline/diff.ts';
import { plural } from '../../text/format.ts';
import { DiffText, DiffView, type FileLine } from '../items/diff-view.tsx';
import { ImageDiff } from './image-diff.tsx';
import { CommentForm, LineComments } from './line-comments.tsx';
import { useReview } from './use-review.ts';

/** Lines of a file that are drawn before a person wants all. */
const LINES_AT_ONCE = 300;

type FileDiffProps = { file: ChangedFile; isSplit: boolean };

/** The change of one file, with the comments on its lines. */
export const FileDiff = memo(function FileDiff({ file, isSplit }: FileDiffProps) {
  const comments = useComments(file);
  const box = useRef<HTMLDivElement>(null);
  useLineKeys(box);
  if (file.isBinary) return <ImageDiff file={file} />;
  if (file.hunks.length === 0) return <p className="soft file-note">{file.mode ?? 'An empty file'}</p>;
  return (
    <div ref={box}>
      <Unplaced file={file} />
      {isSplit ? (
        <SplitDiff file={file} comments={comments} />
      ) : (
        <DiffView hunks={file.hunks} lines={LINES_AT_ONCE} numberCell={comments.button} below={comments.below} />
      )}
    </div>
  );
});

/** What is drawn beside and below a line. */
interface Comments {
  button: (line: FileLine) => React.ReactNode;
  below: (line: FileLine) => React.ReactNode;
}

/** The number of a line on the side that a comment on it is about; null: nobody can comment on it. */
function placeOf(line: FileLine): { side: Side; number: number } | null {
  const side = line.kind === 'removed' ? 'old' : 'new';
  const number = line[side];
  return number === null ? null : { side, number };
}

function useComments(file: ChangedFile): Comments {
  const { drafts, sent, mayWrite, keep } = useReview();
  const [open, setOpen] = useState<{ side: Side; from: number; to: number } | null>(null);
  return useMemo(() => {
    const isHere = (side: Side, number: number) => (comment: DraftComment | SentComment) =>
      isPlaced(comment, file) && comment.side === side && comment.to === number;
    return {
      button: (line) => {
        const place = placeOf(line);
        if (place === null || !mayWrite) return null;
        const { side, number } = place;
        const name = `Comment on ${linesText({ side, from: number, to: number })} of ${file.path}`;
        return (
          <button
            type="button"
            className="line-comment"
            tabIndex={-1}
            aria-label={name}
            onClick={() => setOpen({ side, from: number, to: number })}
          >
            +
          </button>
        );
      },
      below: (line) => {
        const place = placeOf(line);
        if (place === null) return null;
        const { side, number } = place;
        const here = { drafts: drafts.filter(isHere(side, number)), sent: sent.filter(isHere(side, number)) };
        const isOpen = open?.side === side && open.to === number;
        if (!isOpen && here.drafts.length + here.sent.length === 0) return null;
        return (
          <>
            <LineComments {...here} />
            {isOpen && (
              <CommentForm
                lines={open}
                onCancel={() => setOpen(null)}
                onExtend={
                  hasLine(file, side, open.from - 1) ? () => setOpen({ ...open, from: open.from - 1 }) : undefined
                }
                onKeep={(text) => {
                  const { path, state, hunks } = file;
                  keep({ ...open, id: crypto.randomUUID(), path, state, excerpt: excerptOf(hunks, open), text });
                  setOpen(null);
                }}
              />
            )}
          </>
        );
      },
    };
  }, [file, drafts, sent, mayWrite, keep, open]);
}

function hasLine({ hunks }: ChangedFile, side: Side, number: number): boolean {
  return hunks.some(({ oldStart, oldLines, newStart, newLines }) => {
    const [start, count] = side === 'old' ? [oldStart, oldLines] : [newStart, newLines];
    return number >= start && number < start + count;
  });
}

/** Whether a comment on a file has its place beside a line. A draft has none in another version than the one that its writer saw. */
function isPlaced(comment: DraftComment | SentComment, file: ChangedFile): boolean {
  if (comment.path !== file.path || !hasLine(file, comment.side, comment.to)) return false;
  return !('state' in comment) || comment.state === file.state;
}

/** Comments that have no place beside a line any more. */
function Unplaced({ file }: { file: ChangedFile }) {
  const { drafts, sent } = useReview();
  const isGone = (comment: DraftComment | SentComment) => comment.path === file.path && !isPlaced(comment, file);
  const gone = { drafts: drafts.filter(isGone), sent: sent.filter(isGone) };
  if (gone.drafts.length + gone.sent.length === 0) return null;
  return (
    <>
      <p className="faint file-note">
        On an earlier version of this file, or on lines that the changes no longer show:
      </p>
      <LineComments {...gone} />
    </>
  );
}

/** The arrow keys go from line to line in a diff; Enter on a line opens a comment. */
function useLineKeys(box: React.RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const onKey = (event: KeyboardEvent) => {
      const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
      const focused = document.activeElement;
      const isInDiff = focused?.matches('.diff-scroll, .line-comment') ?? false;
      if (step === 0 || !isInDiff || event.ctrlKey || event.metaKey || event.altKey) return;
      const buttons = [...element.querySelectorAll<HTMLElement>('.line-comment')];
      const at = focused instanceof HTMLElement ? buttons.indexOf(focused) : -1;
      const next = buttons[at === -1 ? 0 : at + step];
      if (next === undefined) return;
      event.preventDefault();
      next.focus();
    };
    element.addEventListener('keydown', onKey);
    return () => element.removeEventListener('keydown', onKey);
  }, [box]);
}

function SplitDiff({ file, comments }: { file: ChangedFile; comments: Comments }) {
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
              <SplitRow key={pair.key} pair={pair} comments={comments} />
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

function SplitRow({ pair: { left, right }, comments: { button, below } }: { pair: Pair; comments: Comments }) {
  if (left === null && right === null) {
    return (
      <tr className="diff-gap">
        <td colSpan={4}>⋯</td>
      </tr>
    );
  }
  // A line that is the same on both sides is one line.
  const removed = left?.kind === 'removed' ? left : null;
  const more = [removed, right].map((line) => (line === null ? null : below(line)));
  return (
    <>
      <tr>
        <td className={`diff-no ${left === null ? 'split-none' : `diff-${left.kind}`}`}>
          {left?.old}
          {removed !== null && button(removed)}
        </td>
        <td className={`diff-text ${left === null ? 'split-none' : `diff-${left.kind}`}`}>
          {left !== null && <DiffText line={left} />}
        </td>
        <td className={`diff-no ${right === null ? 'split-none' : `diff-${right.kind}`}`}>
          {right?.new}
          {right !== null && button(right)}
        </td>
        <td className={`diff-text ${right === null ? 'split-none' : `diff-${right.kind}`}`}>
          {right !== null && <DiffText line={right} />}
        </td>
      </tr>
      {more.some((each) => each !== null) && (
        <tr className="diff-below">
          <td colSpan={4}>{more}</td>
        </tr>
      )}
    </>
  );
}
