import { memo, type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import type { Entry } from '../../outline/model.ts';
import { timeOfDay } from '../../text/format.ts';
import { Prose } from '../prose.tsx';

const sources: Record<Entry<'prompt'>['source'], string> = {
  delegation: 'assigned the issue',
  mention: 'mentioned Cyrus',
  comment: 'commented',
  page: 'wrote here',
};

/** What a person asked for. */
export const MessageItem = memo(function MessageItem({ entry }: { entry: Entry<'prompt'> }) {
  return (
    <Message author={entry.author} how={sources[entry.source]} at={entry.at}>
      <Clamped>
        <Prose text={entry.text} />
      </Clamped>
      {entry.truncatedFrom !== undefined && <p className="faint">Cut here; Claude got the whole text.</p>}
    </Message>
  );
});

type MessageProps = { author: string | null; how: string; at: number; children: ReactNode; className?: string };

/** A message of a person, from the journal or still under way. */
export function Message({ author, how, at, children, className = '' }: MessageProps) {
  const name = author ?? (how === sources.page ? 'You or a colleague' : 'Someone');
  return (
    <article className={`message ${className}`} aria-label={`${name} ${how}`}>
      <header>
        <span className="avatar" aria-hidden="true">
          {[...name][0]?.toUpperCase()}
        </span>
        <strong>{name}</strong>
        <span className="faint">{how}</span>
        <time className="row-time" dateTime={new Date(at).toISOString()}>
          {timeOfDay(at, Date.now())}
        </time>
      </header>
      {children}
    </article>
  );
}

/** Long content is cut to a height until a person wants all of it. */
function Clamped({ children }: { children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<'fits' | 'clamped' | 'all'>('clamped');
  useLayoutEffect(() => {
    if (box.current !== null && box.current.scrollHeight <= box.current.clientHeight + 24) setState('fits');
  }, []);
  return (
    <>
      <div ref={box} dir="auto" className={state === 'clamped' ? 'prose message-text clamped' : 'prose message-text'}>
        {children}
      </div>
      {state === 'clamped' && (
        <button type="button" className="more" onClick={() => setState('all')}>
          Show all
        </button>
      )}
    </>
  );
}
