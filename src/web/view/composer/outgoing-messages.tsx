import type { Outgoing } from '../../live/outgoing.ts';
import { Message } from '../items/message-item.tsx';
import { useSession, useStore } from '../session-context.ts';

/** Prompts written here that are still on their way. */
export function OutgoingMessages() {
  const outgoing = useSession((state) => state.outgoing);
  return outgoing.map((prompt) => <OutgoingMessage key={prompt.id} prompt={prompt} />);
}

function OutgoingMessage({ prompt }: { prompt: Outgoing }) {
  const store = useStore();
  const { id, text, at, state, message } = prompt;
  return (
    <Message author="You" how={how(prompt)} at={at} className={state === 'refused' ? '' : 'message-outgoing'}>
      <p className="message-plain" dir="auto">
        {text}
      </p>
      {state === 'refused' && (
        <p className="problem" role="alert">
          Not sent: {message}{' '}
          <button type="button" className="more" onClick={() => store.resend(id)}>
            Try again
          </button>{' '}
          <button type="button" className="more" onClick={() => store.discard(id)}>
            Discard
          </button>
        </p>
      )}
    </Message>
  );
}

function how({ state, message }: Outgoing): string {
  if (state === 'refused') return '';
  if (state === 'accepted') return 'sent';
  return message === undefined ? 'sending…' : 'sending…';
}
