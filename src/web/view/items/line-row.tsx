import { memo } from 'react';
import type { LineWords } from '../../outline/line-words.ts';
import { Fold } from '../fold.tsx';
import { Icon, type IconName } from '../icons.tsx';
import { ClippedOutput } from './clipped-output.tsx';

const icons: Record<LineWords['level'], IconName> = { quiet: 'dot', info: 'info', warning: 'warning', error: 'cross' };

/** One plain line of the journal, with the rest of it folded where there is more. */
export const LineRow = memo(function LineRow({ level, text, more }: LineWords) {
  const line = (
    <>
      <span className="row-icon">
        <Icon name={icons[level]} />
      </span>
      <span className="row-words">{text}</span>
    </>
  );
  if (more === undefined) return <div className={`row row-plain level-${level}`}>{line}</div>;
  return (
    <Fold className={`row level-${level}`} line={line}>
      {() => <ClippedOutput text={more} />}
    </Fold>
  );
});
