import { useNow, useSession } from '../session-context.ts';
import { linkText } from './link-text.ts';

/** Whether the page is live. Hardly there while it is. */
export function LinkStatus() {
  const link = useSession((state) => state.link);
  const now = useNow(link.at === 'connecting' || link.at === 'waiting');
  const { word, title, live } = linkText(link, now);
  return (
    <span className={live ? 'link link-live' : 'link link-lost'} title={title}>
      <span className="link-dot" aria-hidden="true" />
      <span className="link-word">{word}</span>
    </span>
  );
}
