/** A field in which words that were not sent yet are written or changed, with a bound. */
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';

/** Words while they are written. */
interface Draft {
  words: string;
  setWords: (words: string) => void;
  /** The words without blanks around them. */
  trimmed: string;
  /** The longest that they may be, in UTF-16 code units. */
  most: number;
  /** There are some, and not too many. */
  mayKeep: boolean;
}

/** @param most the longest that the words may be, in UTF-16 code units */
export function useDraft(text: string, most: number): Draft {
  const [words, setWords] = useState(text);
  const trimmed = words.trim();
  return { words, setWords, trimmed, most, mayKeep: trimmed !== '' && trimmed.length <= most };
}

type WordsFieldProps = {
  draft: Draft;
  label: string;
  placeholder?: string;
  onKeep: (text: string) => void;
  /** For Esc; left out: it does here what it does anywhere. */
  onEscape?: () => void;
};

/** The field itself, which gets the focus, and what is said if the words are too many. */
export function WordsField({ draft, label, placeholder, onKeep, onEscape }: WordsFieldProps) {
  const { words, setWords, trimmed, most, mayKeep } = draft;
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Escape' && onEscape !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      onEscape();
    } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && mayKeep) {
      event.preventDefault();
      onKeep(trimmed);
    }
  };
  return (
    <>
      <textarea
        ref={field}
        className="unsent-field"
        dir="auto"
        rows={3}
        value={words}
        aria-label={label}
        placeholder={placeholder}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {trimmed.length > most && (
        <p className="problem" role="alert">
          Too long: {trimmed.length.toLocaleString()} of at most {most.toLocaleString()} characters
        </p>
      )}
    </>
  );
}
