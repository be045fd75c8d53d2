import { type Outgoing, waitOf } from '../../live/outgoing.ts';
import { Message } from '../items/message-item.tsx';
import { useSession } from '../session-context.ts';
import { useSituation } from './use-situation.ts';

/** Messages written here that are on their way; those that wait for something are beside the field. */
export function OutgoingMessages() {
  const outgoing = useSession((state) => state.outgoing);
  const situation = useSituation();
  return outgoing
    .filter((message) => waitOf(message, situation) === null)
    .map((message) => (
      <Message key={message.id} author="You" how={how(message)} at={message.at} className="message-outgoing">
        <p className="message-plain" dir="auto">
          {message.text}
        </p>
      </Message>
    ));
}

function how({ state, message }: Outgoing): string {
  if (state === 'accepted') return 'sent';
  return message === undefined ? 'sending…' : 'the server has not confirmed it yet; sending it again…';
}
