import { type ReactNode, useId } from 'react';
import { Icon } from './icons.tsx';
import { useKept } from './kept-state.ts';

type FoldProps = {
  /** The line that is always there; pressing it folds and unfolds. */
  line: ReactNode;
  /** What is under it; called only while it is unfolded, so that what is folded costs nothing. */
  children: () => ReactNode;
  startsOpen?: boolean;
  /** Under this name it is remembered whether it is open while the row is out of the document. */
  name?: string;
  className?: string;
};

/** A line with something folded under it. */
export function Fold({ line, children, startsOpen = false, className = '', name }: FoldProps) {
  const [open, setOpen] = useKept(name, startsOpen);
  const id = useId();
  return (
    <div className={`fold ${className}`}>
      <button
        type="button"
        className="fold-line"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
      >
        {line}
        <span className="fold-mark">
          <Icon name="chevron" />
        </span>
      </button>
      <div id={id} hidden={!open} className="fold-body">
        {open && children()}
      </div>
    </div>
  );
}
