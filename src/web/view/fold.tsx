import { type ReactNode, useId, useState } from 'react';
import { Icon } from './icons.tsx';

type FoldProps = {
  /** The line that is always there; pressing it folds and unfolds. */
  line: ReactNode;
  /** What is under it; called only while it is unfolded, so that what is folded costs nothing. */
  children: () => ReactNode;
  startsOpen?: boolean;
  className?: string;
};

/** A line with something folded under it. */
export function Fold({ line, children, startsOpen = false, className = '' }: FoldProps) {
  const [open, setOpen] = useState(startsOpen);
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
