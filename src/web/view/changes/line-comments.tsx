import { useId, useState } from 'react';
import { type DraftComment, linesText, type SentComment } from '../../changes/review.ts';
import { Prose } from '../prose.tsx';
import { useDraft, WordsField } from '../words-field.tsx';
import { useReview } from './use-review.ts';

/** The longest comment, in UTF-16 code units. */
const MOST_CHARACTERS = 5_000;

type CommentsProps = { drafts: readonly DraftComment[]; sent: readonly SentComment[] };

/** Comments on the same lines: those that were sent, with Claude's answers, and those that are still to be sent. */
export function LineComments({ drafts, sent }: CommentsProps) {
  return (
    <div className="line-comments">
      {sent.map((comment) => (
        <article key={comment.key} className="line-comment-box" aria-label={`Comment on ${linesText(comment)}`}>
          <p className="line-comment-head">
            <strong>{comment.author ?? 'Somebody'}</strong> <span className="faint">on {linesText(comment)}</span>
          </p>
          <p className="message-plain" dir="auto">
            {comment.text}
          </p>
          {comment.answer === null ? (
            <p className="faint">Claude has not answered this yet.</p>
          ) : (
            <div className="line-answer">
              <strong>Claude</strong>
              <div className="prose" dir="auto">
                <Prose text={comment.answer} />
              </div>
            </div>
          )}
        </article>
      ))}
      {drafts.map((draft) => (
        <DraftBox key={draft.id} draft={draft} />
      ))}
    </div>
  );
}

function DraftBox({ draft }: { draft: DraftComment }) {
  const { keep, remove } = useReview();
  const [isEdited, setEdited] = useState(false);
  const words = useId();
  if (isEdited) {
    return (
      <CommentForm
        lines={draft}
        text={draft.text}
        onKeep={(text) => {
          keep({ ...draft, text });
          setEdited(false);
        }}
        onCancel={() => setEdited(false)}
      />
    );
  }
  return (
    <article
      className="line-comment-box line-comment-draft"
      aria-label={`Comment on ${linesText(draft)}, not sent yet`}
    >
      <p className="line-comment-head">
        <strong>You</strong> <span className="faint">on {linesText(draft)} · not sent yet</span>
      </p>
      <p className="message-plain" id={words} dir="auto">
        {draft.text}
      </p>
      <p className="unsent-line">
        <button type="button" className="more" aria-describedby={words} onClick={() => setEdited(true)}>
          Edit
        </button>
        <button type="button" className="more" aria-describedby={words} onClick={() => remove([draft.id])}>
          Delete
        </button>
      </p>
    </article>
  );
}

type CommentFormProps = {
  lines: Pick<DraftComment, 'side' | 'from' | 'to'>;
  text?: string;
  onKeep: (text: string) => void;
  onCancel: () => void;
  /** Makes the comment one on the line above too; left out if there is none. */
  onExtend?: (() => void) | undefined;
};

/** Where a comment on lines is written. */
export function CommentForm({ lines, text = '', onKeep, onCancel, onExtend }: CommentFormProps) {
  const draft = useDraft(text, MOST_CHARACTERS);
  const { trimmed, mayKeep } = draft;
  return (
    <form
      className="line-comment-box line-comment-form"
      aria-label={`Comment on ${linesText(lines)}`}
      onSubmit={(event) => {
        event.preventDefault();
        if (mayKeep) onKeep(trimmed);
      }}
    >
      <WordsField
        draft={draft}
        label={`Comment on ${linesText(lines)}`}
        placeholder="What should Claude know about this?"
        onKeep={onKeep}
      />
      <p className="unsent-line">
        <button type="submit" className="button" disabled={!mayKeep}>
          Add to the review
        </button>
        {onExtend !== undefined && (
          <button type="button" className="more" onClick={onExtend}>
            Include the line above
          </button>
        )}
        <button type="button" className="more" onClick={onCancel}>
          Cancel
        </button>
        <span className="faint">{linesText(lines)}</span>
      </p>
    </form>
  );
}
