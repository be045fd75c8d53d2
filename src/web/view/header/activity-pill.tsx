import { useState } from 'react';
import { Icon } from '../icons.tsx';
import { useSession } from '../session-context.ts';

/** Tells a reader who scrolled up that something new is further down. */
export function ActivityPill({ atEnd, toEnd }: { atEnd: boolean; toEnd: () => void }) {
  const activity = useSession(({ timeline: { lastSeq, open } }) => {
    return `${lastSeq}:${open.reduce((sum, block) => sum + block.text.length + 1, 0)}`;
  });
  const [seen, setSeen] = useState(activity);
  if (atEnd && seen !== activity) setSeen(activity);
  if (atEnd) return null;
  return (
    <button type="button" className="activity" onClick={toEnd}>
      <Icon name="down" />
      {seen === activity ? 'To the end' : 'New activity'}
    </button>
  );
}
