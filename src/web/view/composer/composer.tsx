import { type KeyboardEvent, useEffect, useId, useState } from 'react';
import { MAX_PROMPT } from '../../../protocol/api.ts';
import type { Phase } from '../../../protocol/viewer.ts';
import { isUnsent } from '../../live/outgoing.ts';
import type { SessionStore } from '../../live/session-store.ts';
import { Icon } from '../icons.tsx';
import { useSession, useStore } from '../session-context.ts';
import { UnsentMessages } from './unsent-messages.tsx';

/** In these phases a stop ends something. */
const STOPPABLE: ReadonlySet<Phase> = new Set<Phase>(['queued', 'starting', 'working', 'asking', 'parked']);

/** In these phases a turn is at work that a message may wait for. */
const AT_WORK: ReadonlySet<Phase> = new Set<Phase>(['starting', 'working', 'saving', 'stopping']);

/** Where one writes to Claude. What is being written is kept, also when the tab is closed. */
export function Composer({ onSent }: { onSent: () => void }) {
  const store = useStore();
  const phase = useSession((state) => state.session?.phase);
  const stop = useSession((state) => state.stop);
  const answer = useSession((state) => state.answer);
  const question = useSession((state) => state.session?.asked?.id ?? null);
  const [text, setText] = useDraft(store.id);
  const [edited, setEdited] = useState<string | null>(null);
  const hint = useId();
  const runsOn = useSession((state) => (state.session?.background ?? []).length > 0);
  const canStop = phase !== undefined && (STOPPABLE.has(phase) || (phase === 'waiting' && runsOn));
  const stopping = phase === 'stopping' || stop.at === 'sending' || (canStop && stop.at === 'asked');

  const isAskingToStop = useStopByKey(canStop && !stopping, store);

  const mayWait = phase !== undefined && AT_WORK.has(phase) && question === null;

  const send = (isForLater = false) => {
    const words = text.trim();
    if (words === '' || words.length > MAX_PROMPT) return;
    if (question !== null) {
      // It stays in the field until it counts: an answer is not sent again by itself.
      void store.answer({ question, options: [], text: words }).then((isTaken) => {
        if (!isTaken) return;
        setText('');
        onSent();
      });
      return;
    }
    store.prompt(words, isForLater);
    setText('');
    if (!isForLater) onSent();
  };
  const editLast = () => {
    const last = store.getState().outgoing.findLast(isUnsent);
    if (last === undefined) return false;
    void store.messages.hold(last.id).then((isHeld) => isHeld && setEdited(last.id));
    return true;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowUp' && text === '' && editLast()) event.preventDefault();
    if (event.key !== 'Enter' || event.shiftKey) return;
    // A keyboard on the screen has no Shift Enter: there the button sends.
    if (hasScreenKeyboard() && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    send(event.altKey && mayWait);
  };
  const length = text.trim().length;
  const maySend = answer.at !== 'sending' && length > 0 && length <= MAX_PROMPT;

  return (
    <form
      className="composer"
      aria-label="Write to Claude"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <UnsentMessages
        edited={edited}
        onEdit={setEdited}
        onLost={(lost) => setText(text === '' ? lost : `${text}\n\n${lost}`)}
      />
      <div className="composer-box">
        <div className="composer-field" data-text={`${text}\n`}>
          <textarea
            rows={1}
            dir="auto"
            value={text}
            aria-label="Message to Claude"
            aria-describedby={hint}
            placeholder={placeholderFor(phase, canStop)}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={onKeyDown}
          />
        </div>
        {(canStop || stopping) && (
          <button type="button" className="button" disabled={stopping} onClick={() => void store.stop()}>
            <Icon name="square" />
            {stop.at === 'sending' && stop.message !== undefined ? 'Stop waits…' : stopping ? 'Stopping…' : 'Stop'}
          </button>
        )}
        {mayWait && (
          <button type="button" className="button" disabled={!maySend} onClick={() => send(true)}>
            <Icon name="clock" />
            After this turn
          </button>
        )}
        <button type="submit" className="button button-primary" disabled={!maySend}>
          <Icon name="send" />
          Send
        </button>
      </div>
      <p className="composer-hint" id={hint}>
        {length > MAX_PROMPT ? (
          <span className="problem">
            Too long: {length.toLocaleString()} of at most {MAX_PROMPT.toLocaleString()} characters
          </span>
        ) : stop.at === 'refused' ? (
          <span className="problem" role="alert">
            {stop.message}
          </span>
        ) : stop.at === 'sending' && stop.message !== undefined ? (
          <span className="problem" role="alert">
            Not stopped yet: {stop.message} Cyrus keeps sending the stop until it arrives.
          </span>
        ) : answer.at === 'failed' ? (
          <span className="problem" role="alert" dir="auto">
            {answer.message}
          </span>
        ) : isAskingToStop ? (
          <span role="alert">
            Press <kbd>Esc</kbd> again to stop Claude.
          </span>
        ) : (
          <span className="keys">
            <kbd>Enter</kbd> sends{mayWait && ' now · '}
            {mayWait && <kbd>Alt Enter</kbd>}
            {mayWait && ' after this turn'} · <kbd>Shift Enter</kbd> new line{canStop && ' · '}
            {canStop && <kbd>Esc Esc</kbd>}
            {canStop && ' stops'}
          </span>
        )}
      </p>
    </form>
  );
}

/** For how long a first press of Esc asks whether it is meant, ms. */
const ASKS_FOR_MS = 4_000;

/** Esc is pressed for many reasons: the first press asks, and one that follows soon stops. Returns whether it asks now. */
function useStopByKey(canStop: boolean, store: SessionStore): boolean {
  const [isAsking, setAsking] = useState(false);
  useEffect(() => {
    if (!canStop) {
      setAsking(false);
      return;
    }
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== 'Escape' || event.isComposing || event.defaultPrevented || event.repeat) return;
      if (isAsking) void store.stop();
      setAsking(!isAsking);
    };
    window.addEventListener('keydown', onKey);
    const timer = isAsking ? setTimeout(() => setAsking(false), ASKS_FOR_MS) : undefined;
    return () => {
      window.removeEventListener('keydown', onKey);
      clearTimeout(timer);
    };
  }, [canStop, isAsking, store]);
  return isAsking;
}

/** Whether one writes on the screen itself, as on a phone. */
function hasScreenKeyboard(): boolean {
  return matchMedia('(hover: none) and (pointer: coarse)').matches;
}

function useDraft(session: string): [string, (text: string) => void] {
  const key = `cyrus:draft:${session}`;
  const [text, setText] = useState(() => {
    try {
      return localStorage.getItem(key) ?? '';
    } catch {
      return ''; // Storage is forbidden: the draft lives as long as the page.
    }
  });
  const change = (next: string) => {
    setText(next);
    try {
      if (next === '') localStorage.removeItem(key);
      else localStorage.setItem(key, next);
    } catch {
      // As above.
    }
  };
  return [text, change];
}

function placeholderFor(phase: Phase | undefined, isBusy: boolean): string {
  if (phase === 'asking') return 'Your answer';
  if (phase === 'queued' || phase === 'parked') return 'Claude reads this when it starts';
  return isBusy ? 'Add to what Claude is doing' : 'What should Claude do next?';
}
