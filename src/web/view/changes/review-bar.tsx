import { useId, useState } from 'react';
import { MAX_PROMPT } from '../../../protocol/api.ts';
import { type DraftComment, reviewText } from '../../changes/review.ts';
import { plural } from '../../text/format.ts';
import { useStore } from '../session-context.ts';
import { useReview } from './use-review.ts';

/** The comments that were gathered, and the button that sends them to Claude as one message. */
export function ReviewBar({ branch, head }: { branch: string; head: string }) {
  const store = useStore();
  const { drafts, remove, mayWrite } = useReview();
  const [words, setWords] = useState('');
  const [told, setTold] = useState('');
  const heading = useId();
  if (!mayWrite) return null;
  const status = (
    <p className="soft" role="status">
      {told}
    </p>
  );
  if (drafts.length === 0) return <div className="review-told">{status}</div>;
  const text = reviewText(inReadingOrder(drafts), { branch, head, words });
  const isTooLong = text.length > MAX_PROMPT;
  const send = () => {
    store.prompt(text);
    remove(drafts.map(({ id }) => id));
    setWords('');
    setTold("The review was handed over. Claude's answers appear beside the lines.");
  };
  return (
    <form
      className="review-bar"
      aria-labelledby={heading}
      onSubmit={(event) => {
        event.preventDefault();
        if (!isTooLong) send();
      }}
    >
      <h3 id={heading}>Review with {plural(drafts.length, 'comment')}</h3>
      <input
        type="text"
        dir="auto"
        value={words}
        aria-label="About the changes as a whole"
        placeholder="About the changes as a whole (optional)"
        onChange={(event) => setWords(event.target.value)}
      />
      <button type="submit" className="button button-primary" disabled={isTooLong}>
        Send to Claude
      </button>
      {isTooLong && (
        <p className="problem" role="alert">
          Too long: {text.length.toLocaleString()} of at most {MAX_PROMPT.toLocaleString()} characters. Delete a
          comment, and send it after this review.
        </p>
      )}
      {status}
    </form>
  );
}

/** By file, then by line. */
function inReadingOrder(drafts: readonly DraftComment[]): DraftComment[] {
  return drafts.toSorted((one, other) =>
    one.path === other.path ? one.to - other.to : one.path < other.path ? -1 : 1,
  );
}
