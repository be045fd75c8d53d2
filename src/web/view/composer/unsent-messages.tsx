import { useId, useState } from 'react';
import { MAX_PROMPT } from '../../../protocol/api.ts';
import { isUnsent, type Outgoing, type Wait, waitOf } from '../../live/outgoing.ts';
import { plural } from '../../text/format.ts';
import { useSession, useStore } from '../session-context.ts';
import { useDraft, WordsField } from '../words-field.tsx';
import { useSituation } from './use-situation.ts';

type UnsentMessagesProps = {
  /** The message that is being edited here; null: none. */
  edited: string | null;
  onEdit: (id: string | null) => void;
  /** What somebody made of a message that was sent meanwhile. */
  onLost: (text: string) => void;
};

/** Messages written here that were not sent yet, above the field: what each waits for, and what can be done with it. */
export function UnsentMessages({ edited, onEdit, onLost }: UnsentMessagesProps) {
  const outgoing = useSession((state) => state.outgoing);
  const situation = useSituation();
  const heading = useId();
  const [problem, setProblem] = useState('');
  const waiting = outgoing
    .map((message) => ({ message, wait: waitOf(message, situation) }))
    .filter((each): each is { message: Outgoing; wait: Exclude<Wait, null> } => each.wait !== null);
  if (waiting.length === 0) return problem === '' ? null : <Problem text={problem} />;
  const first = waiting.find(({ message }) => isUnsent(message))?.message.id;
  return (
    <section className="unsent" aria-labelledby={heading}>
      <h2 id={heading} className="unsent-title">
        {plural(waiting.length, 'message')} not sent yet
      </h2>
      <ol>
        {waiting.map(({ message, wait }) => (
          <li key={message.id}>
            <UnsentMessage
              message={message}
              wait={wait}
              isFirst={message.id === first}
              isEdited={edited === message.id}
              onEdit={onEdit}
              onLost={onLost}
              onProblem={setProblem}
            />
          </li>
        ))}
      </ol>
      {problem !== '' && <Problem text={problem} />}
    </section>
  );
}

const TOO_LATE = 'That message is being sent, or was sent already: it can no longer be changed.';

function Problem({ text }: { text: string }) {
  return (
    <p className="problem" role="alert">
      {text}
    </p>
  );
}

type UnsentMessageProps = Pick<UnsentMessagesProps, 'onEdit' | 'onLost'> & {
  message: Outgoing;
  wait: Exclude<Wait, null>;
  isFirst: boolean;
  isEdited: boolean;
  onProblem: (text: string) => void;
};

function UnsentMessage({ message, wait, isFirst, isEdited, onEdit, onLost, onProblem }: UnsentMessageProps) {
  const { messages } = useStore();
  const { id, text } = message;
  const words = useId();
  // Which of them a button is for is said by its description.
  const tell = (changing: Promise<boolean>) => void changing.then((isChanged) => onProblem(isChanged ? '' : TOO_LATE));
  const edit = () =>
    tell(
      messages.hold(id).then((isHeld) => {
        if (isHeld) onEdit(id);
        return isHeld;
      }),
    );
  if (isEdited) {
    return (
      <EditField
        text={text}
        onKeep={(next) => {
          onEdit(null);
          tell(
            messages.edited(id, next).then((isKept) => {
              if (!isKept) onLost(next);
              return isKept;
            }),
          );
        }}
        onCancel={() => {
          onEdit(null);
          void messages.unhold(id);
        }}
      />
    );
  }
  return (
    <>
      <p className="unsent-text" id={words} dir="auto">
        {text}
      </p>
      <div className="unsent-line">
        <span
          className={message.state === 'refused' ? 'problem' : 'soft'}
          role={message.state === 'refused' ? 'alert' : undefined}
        >
          {whyOf(message, wait)}
        </span>
        {wait !== 'connection' && (
          <button type="button" className="more" aria-describedby={words} onClick={() => tell(messages.sendNow(id))}>
            {message.state === 'refused' ? 'Try again' : 'Send now'}
          </button>
        )}
        <button type="button" className="more" aria-describedby={words} onClick={edit}>
          Edit
        </button>
        {!isFirst && (
          <button type="button" className="more" aria-describedby={words} onClick={() => void messages.moveForward(id)}>
            Move up
          </button>
        )}
        <button type="button" className="more" aria-describedby={words} onClick={() => tell(messages.withdraw(id))}>
          Withdraw
        </button>
      </div>
    </>
  );
}

function whyOf({ state, message }: Outgoing, wait: Exclude<Wait, null>): string {
  if (state === 'refused') return `Not sent: ${message ?? 'the server refused it.'}`;
  if (wait === 'connection') return 'Will be sent when the connection is back.';
  if (wait === 'turn') return 'Will be sent after this turn, by this browser.';
  return message ?? 'Held back while its edit is not finished.';
}

type EditFieldProps = { text: string; onKeep: (text: string) => void; onCancel: () => void };

/** The field in which a message is changed. */
function EditField({ text, onKeep, onCancel }: EditFieldProps) {
  const draft = useDraft(text, MAX_PROMPT);
  const { trimmed, mayKeep } = draft;
  return (
    <div className="unsent-edit">
      {/* Of the page itself Esc stops Claude. */}
      <WordsField draft={draft} label="Message that is being edited" onKeep={onKeep} onEscape={onCancel} />
      <div className="unsent-line">
        <button type="button" className="more" disabled={!mayKeep} onClick={() => onKeep(trimmed)}>
          Keep the change
        </button>
        <button type="button" className="more" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </div>
  );
}
