import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { MAX_FIND } from '../../../protocol/api.ts';
import { plural } from '../../text/format.ts';
import { Icon, Spinner } from '../icons.tsx';
import { useStore } from '../session-context.ts';
import { Time } from '../time.tsx';
import { type Find, nextMatch, useFind } from './use-find.ts';

/** Finds words in the whole session. Opened from the header, by `/`, and by the browser's own key for finding; closed by Esc. */
export function FindBar() {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.defaultPrevented || isOpen) return;
      const { target, key, ctrlKey, metaKey, altKey } = event;
      const isWriting = target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
      const isFind = (ctrlKey || metaKey) && !altKey && key.toLowerCase() === 'f';
      if (!isFind && !(key === '/' && !isWriting && !ctrlKey && !metaKey)) return;
      event.preventDefault();
      setOpen(true);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [isOpen]);
  return (
    <>
      <button
        type="button"
        className="bar-button"
        aria-label="Find in this session"
        title="Find in this session ( / )"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="search" />
      </button>
      {isOpen && <FindPanel onClose={() => setOpen(false)} />}
    </>
  );
}

function FindPanel({ onClose }: { onClose: () => void }) {
  const store = useStore();
  const [text, setText] = useState('');
  const [current, setCurrent] = useState(-1);
  const find = useFind(store.id, text);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);

  const go = (index: number) => {
    const match = find.matches[index];
    if (match === undefined) return;
    setCurrent(index);
    void store.goTo(match.seq);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      // Esc means other things elsewhere.
      event.nativeEvent.stopImmediatePropagation();
      onClose();
    } else if (event.key === 'Enter' && event.target === field.current) {
      event.preventDefault();
      go(nextMatch(current, find.matches.length, event.shiftKey));
    }
  };
  return (
    <search className="find" aria-label="In this session" onKeyDown={onKeyDown}>
      <div className="find-field">
        <input
          ref={field}
          type="search"
          value={text}
          maxLength={MAX_FIND}
          dir="auto"
          aria-label="Find in this session"
          placeholder="Find in this session"
          onChange={(event) => {
            setText(event.target.value);
            setCurrent(-1);
          }}
        />
        <button type="button" className="bar-button" aria-label="Close the search" onClick={onClose}>
          <Icon name="cross" />
        </button>
      </div>
      <p className="find-count" role="status">
        {countWords(find, text)}
      </p>
      {find.matches.length > 0 && (
        <ol className="find-matches" aria-label="Matches, newest first">
          {find.matches.map((match, index) => (
            <li key={match.seq}>
              <button
                type="button"
                className="find-match"
                aria-current={index === current ? 'true' : undefined}
                onClick={() => go(index)}
              >
                <span className="faint">
                  Turn {match.turn} <Time at={match.at} />
                </span>
                <span className="find-excerpt" dir="auto">
                  {match.excerpt.slice(0, match.from)}
                  <mark>{match.excerpt.slice(match.from, match.to)}</mark>
                  {match.excerpt.slice(match.to)}
                </span>
              </button>
            </li>
          ))}
        </ol>
      )}
      {find.state === 'more' && (
        <button type="button" className="more" onClick={find.more}>
          Search further back
        </button>
      )}
      {find.state === 'searching' && <Spinner />}
    </search>
  );
}

function countWords({ matches, state, problem }: Find, text: string): string {
  if (problem !== null) return problem;
  if (text.trim() === '' || state === 'idle') return 'Searches everything that happened, newest first.';
  if (matches.length === 0) return state === 'done' ? 'Nothing found' : '';
  return state === 'done' ? plural(matches.length, 'match', 'matches') : `${matches.length} newest matches`;
}
