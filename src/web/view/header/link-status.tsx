import type { LinkState } from '../../live/connection.ts';
import { useSession } from '../session-context.ts';

/** Failures after which trying again alone is no longer what a reader should wait for. */
const MANY = 4;

/** Whether the page is live. Hardly there while it is. */
export function LinkStatus() {
  const link = useSession((state) => state.link);
  const { word, title, live } = linkText(link);
  return (
    <span className={live ? 'link link-live' : 'link link-lost'} title={title}>
      <span className="link-dot" aria-hidden="true" />
      <span className="link-word">{word}</span>
    </span>
  );
}

function linkText(link: LinkState): { word: string; title: string; live: boolean } {
  switch (link.at) {
    case 'live':
      return { word: 'Live', title: 'Updates appear at once', live: true };
    case 'connecting':
      return { word: 'Connecting', title: 'The page will be live in a moment', live: false };
    case 'waiting': {
      const title = `Not live: ${link.problem}. Nothing is lost; the page continues where it was.`;
      return { word: link.failures > MANY ? 'No connection, still trying' : 'Reconnecting', title, live: false };
    }
    case 'gone':
    case 'closed':
      return { word: 'Not live', title: '', live: false };
  }
}
