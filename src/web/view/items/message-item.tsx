import { memo, type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import type { Entry } from '../../outline/model.ts';
import { CopyButton } from '../copy-button.tsx';
import { useKept } from '../kept-state.ts';
import { Prose } from '../prose.tsx';
import { Time } from '../time.tsx';
import { entryLink } from '../timeline/deep-link.ts';

const sources: Record<Entry<'prompt'>['source'], string> = {
  delegation: 'assigned the issue',
  mention: 'mentioned Cyrus',
  comment: 'commented',
  page: 'wrote here',
};

/** What a person asked for. */
export const MessageItem = memo(function MessageItem({ entry }: { entry: Entry<'prompt'> }) {
  return (
    <Message author={entry.author} how={sources[entry.source]} at={entry.at} seq={entry.seq}>
      <Clamped name={`message ${entry.seq}`}>
        <Prose text={entry.text} />
      </Clamped>
      {entry.truncatedFrom !== undefined && <p className="faint">Cut here; Claude got the whole text.</p>}
    </Message>
  );
});

type MessageProps = {
  author: string | null;
  how: string;
  at: number;
  /** Its entry; left out while it is under way. */
  seq?: number;
  children: ReactNode;
  className?: string;
};

/** A message of a person, from the journal or still under way. */
export function Message({ author, how, at, seq, children, className = '' }: MessageProps) {
  const name = author ?? (how === sources.page ? 'You or a colleague' : 'Someone');
  return (
    <article className={`message ${className}`} aria-label={`${name} ${how}`}>
      <header>
        <span className="avatar" aria-hidden="true">
          {[...name][0]?.toUpperCase()}
        </span>
        <strong>{name}</strong>
        <span className="faint">{how}</span>
        <span className="row-time message-time">
          {seq !== undefined && <CopyButton text={() => entryLink(seq)} what="the link to this" icon="link" />}
          <Time at={at} />
        </span>
      </header>
      {children}
    </article>
  );
}

/** Long content is cut to a height until a person wants all of it. */
export function Clamped({ children, name }: { children: ReactNode; name?: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [isWanted, setWanted] = useKept(name, false);
  const [isLong, setLong] = useState(true);
  useLayoutEffect(() => {
    if (box.current !== null && box.current.scrollHeight <= box.current.clientHeight + 24) setLong(false);
  }, []);
  const isClamped = isLong && !isWanted;
  return (
    <>
      <div ref={box} dir="auto" className={isClamped ? 'prose message-text clamped' : 'prose message-text'}>
        {children}
      </div>
      {isClamped && (
        <button type="button" className="more" onClick={() => setWanted(true)}>
          Show all
        </button>
      )}
    </>
  );
}
