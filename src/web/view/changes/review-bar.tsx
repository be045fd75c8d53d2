import { useId, useState } from 'react';
import { MAX_PROMPT } from '../../../protocol/api.ts';
import type { ChangedFile } from '../../changes/patch.ts';
import { type DraftComment, reviewText } from '../../changes/review.ts';
import { plural } from '../../text/format.ts';
import { useStore } from '../session-context.ts';
import { LineComments } from './line-comments.tsx';
import { useReview } from './use-review.ts';

type ReviewBarProps = { branch: string; head: string; files: readonly ChangedFile[] };

/** The comments that were gathered, and the button that sends them to Claude as one message. @param files that the branch changes */
export function ReviewBar({ branch, head, files }: ReviewBarProps) {
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
    <>
      <Left drafts={drafts} files={files} />
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
    </>
  );
}

/** Comments on files whose lines are not shown any more, so that they can still be edited and deleted. */
function Left({ drafts, files }: { drafts: readonly DraftComment[]; files: readonly ChangedFile[] }) {
  const shown = new Set(files.filter(({ hunks }) => hunks.length > 0).map(({ path }) => path));
  return drafts
    .filter(({ path }) => !shown.has(path))
    .map((draft) => (
      <section key={draft.id} aria-label={`Comment on ${draft.path}`}>
        <p className="faint file-note">
          On <code dir="auto">{draft.path}</code>, whose lines the branch no longer changes:
        </p>
        <LineComments drafts={[draft]} sent={[]} />
      </section>
    ));
}

/** By file, then by line. */
function inReadingOrder(drafts: readonly DraftComment[]): DraftComment[] {
  return drafts.toSorted((one, other) =>
    one.path === other.path ? one.to - other.to : one.path < other.path ? -1 : 1,
  );
}
